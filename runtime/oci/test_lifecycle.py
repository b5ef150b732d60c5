"""The life of a container on this machine: real bundles, a real kernel.

Limits and the device filter need a cgroup v2 machine: guest_test.sh."""

import json
import os
import signal
import subprocess

import pytest

from oci_host import NEEDS, SECONDS, leftovers

pytestmark = NEEDS


def test_create_start_state_kill_delete(oci):
    pid_file = oci.path / "pid"
    oci.create("sleep", "1000", options=["--pid-file", pid_file])
    state = oci.state()
    assert state["status"] == "created"
    assert state["pid"] == int(pid_file.read_text())
    assert state["bundle"] == str(oci.bundle)
    assert oci.call("exec", "nobody", "true").returncode == 1
    oci.ok("start", "c")
    assert oci.state()["status"] == "running"
    assert os.readlink(f"/proc/{state['pid']}/exe").endswith("/bin/busybox")
    r = oci.call("start", "c")
    assert r.returncode == 1 and "is running, not created" in r.stderr
    r = oci.call("delete", "c")
    assert r.returncode == 1 and "not stopped: running" in r.stderr
    oci.ok("kill", "c", "KILL")
    oci.wait_status("stopped")
    r = oci.call("kill", "c", "KILL")
    assert r.returncode == 1 and "not running" in r.stderr
    oci.ok("delete", "c")
    assert not (oci.root / "c").exists()
    r = oci.call("state", "c")
    assert r.returncode == 1 and r.stderr == "sampan-oci: container c does not exist\n"
    oci.ok("delete", "--force", "c")


def test_run_returns_the_exit_status(oci):
    oci.write("sh", "-c", "exit 7")
    assert oci.call("run", "--bundle", oci.bundle, "c").returncode == 7
    oci.write("sh", "-c", "kill -9 $$")
    # Process 1 of a namespace is not killed by itself.
    assert oci.call("run", "--bundle", oci.bundle, "c").returncode == 0
    oci.write("sh", "-c", "sh -c 'kill -9 $$'; exit $?")
    assert oci.call("run", "--bundle", oci.bundle, "c").returncode == 137


def test_run_in_the_foreground_forwards_signals(oci):
    oci.write("sh", "-c", "trap 'exit 42' TERM; echo up; while :; do sleep 1 & wait; done")
    p = subprocess.Popen(
        oci.command("run", "--bundle", oci.bundle, "c"), stdout=subprocess.PIPE, text=True
    )
    assert p.stdout.readline() == "up\n"
    p.send_signal(signal.SIGTERM)
    assert p.wait(SECONDS) == 42


def ignore_and_block():
    """What an engine does with signals before it calls the runtime."""
    for s in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(s, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})


def test_the_callers_signals_are_not_the_containers(oci):
    oci.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": [
        "sh", "-c", f"grep -E 'Sig(Ign|Blk)' /proc/self/status >{oci.path}/hook"]}]}
    signals = {"restore_signals": False, "preexec_fn": ignore_and_block}
    clear = ["SigBlk:\t" + "0" * 16, "SigIgn:\t" + "0" * 16]
    grep = ["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"]
    assert oci.run(*grep, **signals).splitlines() == clear
    assert (oci.path / "hook").read_text().splitlines() == clear
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    assert oci.ok("exec", "c", *grep, **signals).splitlines() == clear


def test_two_containers_cannot_have_one_id(oci):
    oci.create("sleep", "1000")
    r = oci.call("create", "--bundle", oci.bundle, "c")
    assert r.returncode == 1 and "already exists" in r.stderr
    assert oci.state()["status"] == "created"
    oci.linux["cgroupsPath"] += "-other"
    oci.write()
    r = oci.call("create", "--bundle", oci.bundle, "c")
    assert r.returncode == 1 and "already exists" in r.stderr
    assert oci.state()["status"] == "created"


def test_list_and_ps(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    listed = json.loads(oci.ok("list", "--format", "json"))
    assert [(c["id"], c["status"]) for c in listed] == [("c", "running")]
    assert oci.ok("list", "--quiet").split() == ["c"]
    assert "running" in oci.ok("list")
    if json.loads(oci.ok("ps", "--format", "json", "c")) == []:
        pytest.skip("no cgroup v2 to list processes from")
    assert json.loads(oci.ok("ps", "--format", "json", "c")) == [oci.state()["pid"]]
    assert "sleep 1000" in oci.ok("ps", "c")


def test_pause_and_resume(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    oci.ok("pause", "c")
    assert oci.state()["status"] == "paused"
    assert "paused" in oci.call("exec", "c", "true").stderr
    oci.ok("resume", "c")
    assert oci.state()["status"] == "running"
    oci.ok("pause", "c")
    oci.ok("delete", "--force", "c")


def test_a_missing_program_fails_at_create(oci):
    oci.process["args"] = ["nothing"]
    assert 'process.args[0]: exec: "nothing": executable file not found in $PATH' in oci.refused()
    oci.process["args"] = ["/bin"]
    assert 'process.args[0]: exec: "/bin": permission denied' in oci.refused()
    oci.process["args"] = ["/bin/nothing"]
    assert 'process.args[0]: exec: "/bin/nothing": no such file or directory' in oci.refused()


def test_a_program_that_cannot_be_executed_fails_at_start(oci):
    (oci.rootfs / "bad").write_bytes(b"\x7fELF nonsense")
    (oci.rootfs / "bad").chmod(0o755)
    oci.create("/bad")
    r = oci.call("start", "c")
    assert r.returncode == 1
    assert r.stderr == "sampan-oci: process.args[0]: exec /bad: exec format error\n"
    oci.wait_status("stopped")


def test_a_waiting_process_that_is_stopped_keeps_nobody(oci):
    oci.create("sleep", "1000")
    oci.ok("kill", "c", "STOP")
    for _ in range(20):
        assert oci.state()["status"] == "created"
    oci.ok("delete", "c")


def test_the_waiting_process_killed(oci):
    oci.create("sleep", "1000")
    os.kill(oci.state()["pid"], signal.SIGKILL)
    oci.wait_status("stopped")
    r = oci.call("start", "c")
    assert r.returncode == 1 and "is stopped, not created" in r.stderr
    oci.ok("delete", "c")
    assert leftovers(oci) == []
