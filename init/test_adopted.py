"""Processes that the engine made are init's to wait for: no end of one is lost."""

import os
import signal
import struct
import subprocess
import sys

from subreaper import (
    ACK, ADOPTED, CLD_EXITED, CLD_KILLED, END, EXITED, EXIT_LOST, OK, START, SUBSCRIBE, TIMEOUT,
    make_orphans, release, shell,
)


def test_how_an_adopted_process_ended_is_told_and_kept_until_acknowledged(start, helper, tmp_path):
    init, pids, end = make_orphans(start, helper, tmp_path, 3)
    engine = init.client()
    assert engine.ask(SUBSCRIBE).kind == OK
    for i, pid in pids.items():
        assert engine.adopt(f"c{i}", pid).kind == OK
    # the engine is gone while they end
    engine.close()
    os.kill(pids[2], signal.SIGKILL)
    end()
    again = init.client()
    assert again.ask(SUBSCRIBE).kind == OK
    ended = {}
    while len(ended) < 3:
        one = again.next_exit()
        ended[one.id] = (one.pid, one.code, one.status)
    assert ended == {
        "c0": (pids[0], CLD_EXITED, 0),
        "c1": (pids[1], CLD_EXITED, 1),
        "c2": (pids[2], CLD_KILLED, signal.SIGKILL),
    }
    assert again.ask(ACK, "c0").kind == OK
    again.close()
    third = init.client()
    assert third.ask(SUBSCRIBE).kind == OK
    assert {third.next_exit().id for _ in range(2)} == {"c1", "c2"}
    assert third.ask(ACK, "c0").text == "c0: not adopted"


ENGINE = r"""
import os, struct, sys
sys.path.insert(0, %(folder)r)
from pathlib import Path
from subreaper import Client, SUBSCRIBE, ACK, OK
client = Client(Path(%(run)r))
assert client.ask(SUBSCRIBE).kind == OK
for pid in map(int, sys.stdin.read().split()) if os.path.exists(%(first)r) else []:
    os.unlink(%(first)r) if os.path.exists(%(first)r) else None
    assert client.adopt("c", pid).kind == OK
    print("adopted", flush=True)
print("serving", flush=True)
while True:
    ended = client.next_exit()
    print("exited", ended.id, ended.code, ended.status, flush=True)
    assert client.ask(ACK, ended.id).kind == OK
    print("acknowledged", flush=True)
"""


def test_an_engine_that_is_killed_learns_everything_after_its_restart(start, helper, tmp_path):
    init, pids, end = make_orphans(start, helper, tmp_path, 2)
    script = tmp_path / "engine.py"
    body = ENGINE % {"folder": os.path.dirname(os.path.abspath(__file__)), "run": str(init.run),
                     "first": str(tmp_path / "first")}
    script.write_text(body)
    (tmp_path / "first").write_text("")
    engine = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    engine.stdin.write(str(pids[1]))
    engine.stdin.close()
    assert engine.stdout.readline() == "adopted\n"
    assert engine.stdout.readline() == "serving\n"
    engine.kill()
    engine.wait()
    end()
    with subprocess.Popen([sys.executable, script], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True) as second:
        lines = [second.stdout.readline() for _ in range(3)]
        assert lines == ["serving\n", f"exited c {CLD_EXITED} 1\n", "acknowledged\n"]
        second.kill()


def test_ten_thousand_rapid_exits_lose_no_adopted_status(start, helper, tmp_path):
    storm = shell(f"echo blows; exec {helper} storm 10000", "type=oneshot", "console=yes",
                  "condition.cmdline=by-hand")
    init, pids, end = make_orphans(start, helper, tmp_path, 500, storm=storm)
    engine = init.client()
    assert engine.ask(SUBSCRIBE).kind == OK
    for i, pid in pids.items():
        assert engine.adopt(f"c{i}", pid).kind == OK
    client = init.client()
    client.send(START, "storm")  # answered when it is over
    init.wait_for("^storm . blows")
    end()
    ended = {}
    while len(ended) < 500:
        one = engine.next_exit()
        assert one.kind == EXITED
        ended[one.id] = (one.pid, one.code, one.status)
        assert engine.ask(ACK, one.id).kind == OK
    assert client.receive().kind == OK
    assert ended == {f"c{i}": (pid, CLD_EXITED, i % 200) for i, pid in pids.items()}
    assert init.zombies() == []


def test_who_is_not_inits_child_is_adopted_only_with_its_pidfd(start):
    init = start()
    client = init.client()
    with subprocess.Popen(["sleep", str(TIMEOUT)]) as other:
        fd = os.pidfd_open(other.pid)
        refused = client.adopt("c", other.pid)
        assert refused.text == f"process {other.pid} is not a child of init; pass its pidfd"
        wrong = client.adopt("c", other.pid, [os.pidfd_open(os.getpid())])
        assert "not what the descriptor is of" in wrong.text
        assert client.adopt("c", other.pid, [fd]).kind == OK
        assert client.ask(SUBSCRIBE).kind == OK
        # It ends as our child, and we take its status: init can only say that it is gone.
        other.kill()
        other.wait()
    lost = client.next_exit()
    assert (lost.id, lost.code) == ("c", EXIT_LOST)
    os.close(fd)


def test_a_process_adopted_before_it_is_inits_child_is_told_when_it_ends(start, tmp_path):
    """As an engine does that passes the pidfd while sampan-oci still runs."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    init = start({"engine": shell(
        f"setsid sh -c \"echo child \\$\\$; read x <{gate}; exit 7\" & exec sleep 1000", "console=yes")})
    child = int(init.wait_for(r"^engine . child (\d+)")[1])
    client = init.client()
    assert client.ask(SUBSCRIBE).kind == OK
    assert client.adopt("c", child, [os.pidfd_open(child)]).kind == OK
    os.kill(client.status("engine").pid, signal.SIGKILL)  # only it: the child has its own session
    release(gate)
    ended = client.next_exit()
    assert (ended.pid, ended.code, ended.status) == (child, CLD_EXITED, 7)


def test_adopt_refuses_what_it_cannot_watch(start, helper, tmp_path):
    init, pids, end = make_orphans(start, helper, tmp_path, 2)
    client = init.client()
    assert client.adopt("c", pids[0]).kind == OK
    assert client.adopt("c", pids[1]).text == "c: already adopted"
    assert client.adopt("d", 2**22 + 5).text.startswith("process 4194309: ")
    assert client.adopt("d", 1).text == "1: not a process to adopt"
    assert client.adopt("", pids[1]).text == "an id is needed"
    assert client.ask(ACK, "c").text == "c: still runs"
    listed = client.ask(ADOPTED, "", struct.pack("=II", 0, 0))
    assert (listed.id, listed.pid, listed.code) == ("c", pids[0], 0)
    assert client.ask(ADOPTED, "", struct.pack("=II", 1, 0)).kind == END
    end()
