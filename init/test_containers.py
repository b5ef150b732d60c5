"""Containers that the image declares, with a stand-in for sampan-oci."""

import os

import pytest

from subreaper import OK, START, STOP, shell


OCI = """#!/bin/sh
# What sampan-oci does as far as init sees it: create leaves a process that waits, start lets it run.
echo "oci $*" >>{log}
shift 2
case $1 in
create)
	[ ! -e {dir}/create-fails ] || {{ echo "config.json: process.args: expected a list"; exit 1; }}
	[ ! -e {dir}/create-hangs ] || exec sleep 1000
	rm -f {dir}/gate && mkfifo {dir}/gate
	# $6: the id
	setsid sh -c 'read x <{dir}/gate; echo container runs; exec sh {dir}/main' &
	echo $! >{dir}/own
	if [ -s {dir}/names-another ]; then cat {dir}/names-another >"$5"; else echo $! >"$5"; fi
	;;
start)
	[ ! -e {dir}/start-fails ] || {{ echo "cannot start"; exit 1; }}
	echo go >{dir}/gate
	;;
delete)
	kill -9 "$(cat {dir}/own)" 2>/dev/null
	exit 0
	;;
esac
"""


@pytest.fixture
def container(start, tmp_path):
    """container(main, *lines): an init with one declared container that runs a script."""

    def run(main, *lines, **more):
        bundle, log, oci = tmp_path / "bundle", tmp_path / "log", tmp_path / "oci"
        bundle.mkdir()
        log.write_text("")
        (tmp_path / "main").write_text(main)
        for name in more.pop("files", []):
            (tmp_path / name).write_text("")
        # the stand-in needs init's directory, which is there only once init is
        service = "\n".join([f"container={bundle}", "console=yes", *lines, ""])
        runs = tmp_path / "run"
        oci.write_text(OCI.format(log=log, dir=tmp_path, run=runs))
        oci.chmod(0o755)
        init = start({"web": service, **more.pop("others", {})}, oci=oci, run=runs, **more)
        init.calls = lambda: [line.split()[3] for line in log.read_text().splitlines()]
        init.bundle = bundle
        init.log = log
        return init

    return run


def test_a_container_is_created_adopted_started_and_deleted(container):
    init = container("echo serving; exec sleep 1000")
    init.wait_for("^web . container runs")
    init.wait_for("^web . serving")
    init.wait_for("^init: ready")
    pid = int((init.run / "containers/web/pid").read_text())
    assert init.client().status("web").pid == pid
    assert init.calls() == ["create", "start"]
    assert init.client().ask(STOP, "web").kind == OK
    assert init.calls() == ["create", "start", "delete"]
    first = init.log.read_text().splitlines()[0]
    assert first == (f"oci --root {init.run}/sampan-oci create --bundle {init.bundle} "
                     f"--pid-file {init.run}/containers/web/pid web")


def test_other_services_let_a_container_start_first(container, tmp_path):
    other = shell(f"echo after $(wc -l <{tmp_path}/log) calls; exec sleep 1000", "console=yes")
    init = container("exec sleep 1000", others={"a": other})
    init.wait_for("^a . after 2 calls")


def test_a_container_that_hangs_does_not_hold_up_the_others(container):
    other = shell("echo runs; exec sleep 1000", "console=yes")
    init = container("", files=["create-hangs"], others={"a": other})
    init.wait_for("^a . runs")
    assert init.state("web") == "creating"


def test_a_container_that_ends_is_started_again(container):
    init = container("exit 5", "restart=always", "backoff=10ms..10ms")
    init.wait_for("^init: web: exited with status 5; starting it again in 10 ms")
    init.wait_for("^web . container runs")
    init.wait_for("^init: web: exited with status 5; starting it again in 10 ms")
    assert init.calls()[:6] == ["create", "start", "delete"] * 2


def test_a_container_that_cannot_be_created_is_cleaned_up(container):
    init = container("exit 0", files=["create-fails"])
    init.wait_for("^web . config.json: process.args: expected a list")
    init.wait_for("^init: web: sampan-oci create exited with status 1")
    assert init.state("web") == "failed"
    assert init.calls() == ["create", "delete"]


def test_a_container_that_cannot_be_started_is_cleaned_up(container):
    init = container("exit 0", files=["start-fails"])
    init.wait_for("^init: web: sampan-oci start exited with status 1")
    assert init.state("web") == "failed"
    assert init.calls() == ["create", "start", "delete"]
    assert init.zombies() == []


def test_a_pid_file_that_names_a_process_of_others_is_not_believed(container, tmp_path):
    init = container("exit 0", "condition.cmdline=by-hand")
    client = init.client()
    for written, reason in (
        ("1", f"{init.run}/containers/web/pid: expected a process's number"),
        ("soon", f"{init.run}/containers/web/pid: expected a process's number"),
        (str(os.getpid()), f"process {os.getpid()} is not a child of init"),
        ("4194304", "process 4194304: No such process"),
    ):
        (tmp_path / "names-another").write_text(written + "\n")
        assert client.ask(START, "web").text == f"web: {reason}"
    assert init.calls() == ["create", "delete"] * 4


def test_a_container_is_stopped_at_the_end(container):
    init = container('trap "echo stops; exit 0" TERM; echo is up; while :; do sleep 0.02; done')
    init.wait_for("^web . is up")
    assert init.sampan("poweroff").returncode == 0
    init.wait_for("^web . stops")
    assert init.wait() == 0
    assert init.calls()[-1] == "delete"
