"""Hooks: when they run, in which namespaces, with what, and what their failure means."""

import json
import os
import pathlib

import pytest

from oci_host import NEEDS, hook

pytestmark = NEEDS

KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


def notes(oci):
    """A file that hooks on both sides can write."""
    log = oci.path / "log"
    log.touch()
    log.chmod(0o666)
    return log


def shell(script, **more):
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"], **more}


def test_hooks_run_in_order_with_the_state(oci):
    log = oci.path / "log"
    log.touch()
    log.chmod(0o666)
    line = f'echo "$0 $WHO $1 $(cat)" >> {log}\n'
    # startContainer resolves and runs inside the container.
    (oci.rootfs / "inside").write_text("#!/bin/sh\necho inside $(cat) >> /log\n")
    (oci.rootfs / "inside").chmod(0o755)
    oci.config["hooks"] = {
        k: hook(oci, k, line)
        for k in ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    }
    oci.config["hooks"]["startContainer"] = [
        {"path": "/inside", "env": ["PATH=/bin"]}]
    oci.create("sh", "-c", "exit 0")
    first = [x.split(" ", 3) for x in log.read_text().splitlines()]
    names = [pathlib.Path(x[0]).name.removeprefix("hook-") for x in first]
    assert names == ["prestart", "createRuntime", "createContainer"]
    pid = oci.state()["pid"]
    for x in first:
        assert x[1:3] == ["me", "argument"]
        seen = json.loads(x[3])
        assert seen["id"] == "c" and seen["pid"] == pid and seen["bundle"] == str(oci.bundle)
        assert seen["status"] == "creating"
    oci.ok("start", "c")
    oci.wait_status("stopped")
    oci.ok("delete", "c")
    inside = (oci.rootfs / "log").read_text()
    assert json.loads(inside.split(" ", 1)[1])["status"] == "created"
    names = [x.split()[0].split("hook-")[1] for x in log.read_text().splitlines()]
    assert names[3:] == ["poststart", "poststop"]


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_a_failing_hook_ends_the_container(oci, kind):
    oci.config["hooks"] = {kind: hook(oci, kind, "exit 3\n"),
                           "poststop": hook(oci, "poststop", f"touch {oci.path}/stopped\n")}
    oci.process["args"] = ["true"]
    assert f"hooks.{kind}[0]" in oci.refused()
    assert (oci.path / "stopped").exists()


def test_a_process_that_dies_under_a_hook_is_told(oci):
    script = ("p=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); kill -9 $p; "
              "until grep -q ') Z' /proc/$p/stat; do :; done")
    oci.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    assert "the container's process died while being made" in oci.refused()


def test_a_hook_that_hangs_is_killed(oci):
    oci.config["hooks"] = {"createRuntime": hook(oci, "h", "exec sleep 1000\n", timeout=1)}
    oci.process["args"] = ["true"]
    assert "still running after 1 s, killed" in oci.refused()


def test_each_kind_runs_in_its_namespaces(oci):
    """The specification's table: runtime for the outer ones, container for the two in between."""
    log = notes(oci)
    spaces = ["mnt", "net", "ipc", "uts", "pid"]
    links = " ".join(f"$(readlink /proc/self/ns/{n})" for n in spaces)
    oci.config["hooks"] = {k: [shell(f"echo {k} {links} >>{log}")] for k in KINDS}
    oci.config["hooks"]["startContainer"] = [
        shell(f"echo startContainer {links} >>/log; readlink /proc/self/root >>/log")]
    oci.create("sh", "-c", "sleep 1000")
    pid = oci.state()["pid"]
    inner = [os.readlink(f"/proc/{pid}/ns/{n}") for n in spaces]
    outer = [os.readlink(f"/proc/self/ns/{n}") for n in spaces]
    oci.ok("start", "c")
    oci.ok("delete", "--force", "c")
    seen = {x.split()[0]: x.split()[1:] for x in log.read_text().splitlines()}
    inside = (oci.rootfs / "log").read_text().splitlines()
    assert inside == ["startContainer " + " ".join(inner), "/"]
    assert list(seen) == ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
    assert seen.pop("createContainer") == inner
    assert all(x == outer for x in seen.values())


def test_create_container_resolves_its_path_on_the_host(oci):
    # Inside, the file does not exist; the mounts are made, and the root is not yet /.
    script = f"test ! -e /proc/self/root/log && grep -c /proc /proc/self/mountinfo >{oci.path}/n"
    oci.config["hooks"] = {"createContainer": hook(oci, "inner", script + "\npwd >>$0.cwd\n")}
    oci.run("true")
    assert int((oci.path / "n").read_text()) > 0
    assert (oci.path / "hook-inner.cwd").read_text().strip() == str(oci.rootfs)


def test_hooks_of_the_runtime_start_in_the_bundle(oci):
    log = notes(oci)
    oci.config["hooks"] = {k: [shell(f"pwd >>{log}")]
                           for k in ("prestart", "createRuntime", "poststart", "poststop")}
    oci.run("true")
    assert log.read_text().split() == [str(oci.bundle)] * 4


def test_the_environment_is_the_hooks_own(oci):
    log = notes(oci)
    oci.config["hooks"] = {"createRuntime": [
        {"path": "/usr/bin/env", "env": ["ONE=1", "TWO="]},
        {"path": "/usr/bin/env"},
        {"path": "/bin/sh", "args": ["name", "-c", f'echo "$0 $#" >>{log}', "zero", "one"]}]}
    oci.write("true")
    r = oci.call("run", "--bundle", oci.bundle, "c", env={"SECRET": "x", "PATH": "/bin"})
    # What a hook prints goes to standard error: the output is the container's.
    assert (r.returncode, r.stdout) == (0, "")
    assert r.stderr.split() == ["ONE=1", "TWO="]
    assert log.read_text() == "zero 1\n"


def test_a_failing_hook_keeps_the_next_from_running(oci):
    log = notes(oci)
    oci.config["hooks"] = {"createRuntime": [shell(f"echo first >>{log}; exit 4"),
                                             shell(f"echo second >>{log}")],
                           "createContainer": [shell(f"echo third >>{log}")],
                           "poststop": [shell(f"echo stopped >>{log}")]}
    oci.process["args"] = ["true"]
    assert oci.refused().endswith("hooks.createRuntime[0]: /bin/sh: exited with 4")
    assert log.read_text().split() == ["first", "stopped"]


@pytest.mark.parametrize("how", ["start", "run"])
def test_a_failing_start_container_hook_deletes_the_container(oci, how):
    log = notes(oci)
    oci.config["hooks"] = {"startContainer": [{"path": "/bin/false"}],
                           "poststart": [shell(f"echo poststart >>{log}")],
                           "poststop": [shell(f"echo poststop >>{log}")]}
    if how == "run":
        oci.process["args"] = ["true"]
        line = oci.refused()
    else:
        oci.create("true")
        r = oci.call("start", "c")
        assert r.returncode == 1
        line = r.stderr.strip()
    assert line == "sampan-oci: hooks.startContainer[0]: /bin/false: exited with 1"
    assert not (oci.root / "c").exists()
    assert log.read_text().split() == ["poststop"]


def test_a_failing_poststart_hook_deletes_the_container(oci):
    log = notes(oci)
    oci.config["hooks"] = {"poststart": [shell("exit 1"), shell(f"echo second >>{log}")],
                           "poststop": [shell(f"echo poststop >>{log}")]}
    oci.create("sleep", "1000")
    pid = oci.state()["pid"]
    r = oci.call("start", "c")
    assert r.returncode == 1 and "hooks.poststart[0]: /bin/sh: exited with 1" in r.stderr
    assert not (oci.root / "c").exists()
    assert not pathlib.Path(f"/proc/{pid}/exe").exists()
    assert log.read_text().split() == ["poststop"]


def test_a_failing_poststop_hook_is_a_warning(oci):
    log = notes(oci)
    oci.config["hooks"] = {"poststop": [shell("exit 1"), {"path": "/no/such/hook"},
                                        shell(f"echo third >>{log}")]}
    oci.write("true")
    r = oci.call("run", "--bundle", oci.bundle, "c")
    assert r.returncode == 0
    assert r.stderr.splitlines() == [
        "sampan-oci: warning: hooks.poststop[0]: /bin/sh: exited with 1",
        "sampan-oci: warning: hooks.poststop[1]: run /no/such/hook: No such file or directory"]
    assert log.read_text().split() == ["third"]


@pytest.mark.parametrize("kind", ["createContainer", "startContainer", "poststart"])
def test_a_hook_out_of_time_is_one_that_failed(oci, kind):
    oci.config["hooks"] = {kind: [shell("exec sleep 1000", timeout=1)]}
    oci.create("sleep", "1000") if kind != "createContainer" else oci.write("sleep", "1000")
    r = oci.call("start", "c") if kind != "createContainer" else oci.call(
        "create", "--bundle", oci.bundle, "c")
    assert r.returncode == 1
    assert f"hooks.{kind}[0]: /bin/sh: still running after 1 s, killed" in r.stderr
    assert not (oci.root / "c").exists()


def test_a_hook_that_runs_and_fails_is_told_with_its_signal(oci):
    oci.config["hooks"] = {"prestart": [shell("kill -9 $$")]}
    oci.process["args"] = ["true"]
    assert oci.refused().endswith("hooks.prestart[0]: /bin/sh: killed by signal 9")


def test_hooks_are_those_of_create(oci):
    """What becomes of the bundle later changes nothing."""
    log = notes(oci)
    oci.config["hooks"] = {"poststart": [shell(f"echo old >>{log}")],
                           "poststop": [shell(f"echo old >>{log}")]}
    oci.create("true")
    oci.config["hooks"] = {"poststart": [shell(f"echo new >>{log}")]}
    oci.write()
    oci.ok("start", "c")
    oci.wait_status("stopped")
    oci.ok("delete", "c")
    assert log.read_text().split() == ["old", "old"]
