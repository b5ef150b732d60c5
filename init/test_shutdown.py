"""Signals and the end."""

import os
import select
import signal
import struct

import pytest

from subreaper import OK, RESTART, SHUTDOWN, SLEEPER, START, make_orphans, shell


STOPPING = {"INT": 0, "TERM": 0, "USR1": 4, "USR2": 0, "PWR": 0}


def test_no_other_signal_does_anything(start):
    init = start({"one": SLEEPER})
    init.wait_for("^init: ready")
    spared = {signal.SIGKILL, signal.SIGSTOP} | {getattr(signal, f"SIG{s}") for s in STOPPING}
    sent = [number for number in range(1, 65) if number not in spared and number not in (32, 33)]
    for number in sent:
        os.kill(init.process.pid, number)
    assert len(sent) == 55
    assert init.client().status("one").state == "up"
    assert init.client().ask(RESTART, "one").kind == OK


@pytest.mark.parametrize("name, status", STOPPING.items())
def test_signals_that_mean_the_end(start, name, status):
    init = start({"one": SLEEPER})
    init.wait_for("^init: ready")
    os.kill(init.process.pid, getattr(signal, f"SIG{name}"))
    assert init.wait() == status


def saying(stop, *lines):
    return shell(f'trap "echo stops; exit 0" TERM; echo is up; while :; do {stop}; done', "console=yes",
                 *lines)


def test_services_are_stopped_in_the_reverse_of_after(start):
    loop = "sleep 0.02"
    init = start({"a": saying(loop), "b": saying(loop, "after=a"), "c": saying(loop, "after=b")})
    init.wait_for("^c . is up")
    assert init.sampan("poweroff").returncode == 0
    assert [init.wait_for("^(.) . stops")[1] for _ in range(3)] == ["c", "b", "a"]
    init.wait_for("^init: down")
    assert init.wait() == 0


def test_a_reboot_ends_with_its_own_status(start):
    init = start({"one": SLEEPER})
    assert init.sampan("reboot").returncode == 0
    assert init.wait() == 3


def test_a_shutdown_does_not_wait_longer_than_its_deadline(start):
    init = start({"one": shell('trap "" TERM; echo is up; while :; do sleep 1000; done',
                               "console=yes", "stop-timeout=1000s")},
                 cmdline="sampan.shutdown-timeout=200ms")
    init.wait_for("^one . is up")
    assert init.sampan("poweroff").returncode == 0
    init.wait_for("^init: one: still stopping at the shutdown's deadline")
    assert init.wait() == 0


def test_adopted_processes_are_ended_too(start, helper, tmp_path):
    init, pids, _ = make_orphans(start, helper, tmp_path, 1)
    fd = os.pidfd_open(pids[0])
    assert init.client().adopt("c", pids[0]).kind == OK
    assert init.sampan("poweroff").returncode == 0
    assert init.wait() == 0
    assert select.select([fd], [], [], 0)[0]


def test_nothing_is_started_once_the_end_began(start):
    init = start({"one": shell('trap "" TERM; echo is up; while :; do sleep 1000; done', "console=yes"),
                  "two": SLEEPER}, cmdline="sampan.shutdown-timeout=500ms")
    init.wait_for("^one . is up")
    client = init.client()
    assert client.ask(SHUTDOWN, "", struct.pack("=II", 1, 0)).kind == OK
    assert client.ask(START, "two").text == "the machine is shutting down"
    assert init.wait() == 0
