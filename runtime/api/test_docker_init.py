"""HostConfig.Init: an init of our own in front of the program."""

import time

from harness import OCI

INIT = {"Init": True}


def wait_said(engine, container, word):
    deadline = time.monotonic() + 60
    while word not in b"".join(data for _, data in engine.logs(container)):
        assert time.monotonic() < deadline


def test_the_program_is_its_child_and_its_exit_code_the_containers(engine):
    script = "read line </proc/1/comm; echo $line $$; exit 7"
    assert engine.run_to_end("sh", "-c", script, host=INIT) == (7, b"docker-init 2\n")
    assert engine.run_to_end("sh", "-c", "echo $$") == (0, b"1\n")


def test_orphans_are_reaped(engine):
    # the orphan ends after its parent; then no process but the two is left, not even a dead one
    script = ("sh -c 'sleep 0.2 & echo $!' >/tmp/orphan; read pid </tmp/orphan; "
              "while [ -e /proc/$pid ]; do sleep 0.1; done; ls -d /proc/[0-9]* | wc -l")
    code, out = engine.run_to_end("sh", "-c", script, host=INIT)
    assert code == 0 and int(out) <= 4, out


def test_signals_reach_the_program(engine):
    script = "trap 'echo term; exit 3' TERM; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.1; done"
    container = engine.start("sh", "-c", script, host=INIT)
    wait_said(engine, container, b"ready")
    engine.post(f"/containers/{container}/kill?signal=USR1")
    wait_said(engine, container, b"usr1")
    engine.post(f"/containers/{container}/stop?t=30")
    assert engine.state(container)["ExitCode"] == 3


def test_it_ends_as_a_killed_program_did(engine):
    code, _ = engine.run_to_end("sh", "-c", "kill -9 $$", host=INIT)
    assert code == 137


def test_a_program_that_is_not_there(engine):
    container = engine.start("nosuch", host=INIT)
    assert engine.wait(container) == 127
    assert engine.logs(container) == [(2, b"docker-init: nosuch: not found\n")]


def test_it_is_read_only_small_and_not_shown(engine):
    container = engine.start("sh", "-c", "echo x >/sbin/docker-init", host=INIT)
    assert engine.wait(container) != 0
    found = engine.get(f"/containers/{container}/json")
    assert found["Path"] == "sh" and found["HostConfig"]["Init"] is True
    assert (OCI.parent / "docker-init").stat().st_size < 20000


def test_beside_other_processes_there_is_none(engine):
    code, out = engine.run_to_end("sh", "-c", "[ -e /sbin/docker-init ] || echo none", host={**INIT, "PidMode": "host"})
    assert (code, out) == (0, b"none\n")
