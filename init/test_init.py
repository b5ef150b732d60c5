"""init does what docs/init.md says. It runs as a child subreaper here; no root is needed."""

import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from subreaper import (  # noqa: E402
    ACK, ADOPTED, CLD_EXITED, CLD_KILLED, DROP_FDS, END, ERROR, EXIT_LOST, EXITED, FD, GIVE_FD,
    HEADER, INIT, KEEP_FD, LOGS, LOG_DATA, OK, RESTART, SAMPAN, SHUTDOWN, START, STATUS, STOP, SUBSCRIBE,
    TIMEOUT, Init, message,
)

# One process with several uses, because a shell is too slow for ten thousand of something:
#   storm N        N processes that end at once, each of them an orphan
#   orphans N FD   N orphans that end with status (number % 200) when FD reaches its end; prints pids
HELPER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[2]) : 0;
	int orphans = strcmp(argv[1], "orphans") == 0;

	for (int i = 0; i < n; i += 100) {
		pid_t middle = fork();

		if (middle == 0) {
			for (int k = i; k < i + 100 && k < n; k++) {
				char c;
				pid_t pid = fork();

				if (pid == 0) {
					if (orphans)
						read(atoi(argv[3]), &c, 1);
					_exit(k % 200);
				}
				if (pid < 0)
					_exit(1);
				if (orphans)
					dprintf(1, "%d %d\n", k, pid);
			}
			_exit(0);
		}
		int status;
		if (middle < 0 || waitpid(middle, &status, 0) < 0 || status != 0)
			return 1;
	}
	if (orphans)
		dprintf(1, "all are orphans\n");
	return 0;
}
"""


@pytest.fixture(scope="session")
def helper(tmp_path_factory):
    path = tmp_path_factory.mktemp("helper") / "helper"
    source = path.with_suffix(".c")
    source.write_text(HELPER)
    subprocess.run(["gcc", "-O1", "-w", "-o", path, source], check=True)
    return path


@pytest.fixture
def start():
    """start({name: file}, …) runs an init, which is gone after the test."""
    started = []

    def run(services=None, **more):
        started.append(Init(services or {}, **more))
        return started[-1]

    yield run
    for init in started:
        init.close()


def shell(script, *lines):
    """A service file that runs a script."""
    return "\n".join([f"exec=/bin/sh -c '{script}'", *lines, ""])


def read_log(init, name, lines):
    """The service's log, once it has that many lines."""
    client, data, cursor = init.client(), b"", 0
    while data.count(b"\n") < lines:
        answer = client.ask(LOGS, name, struct.pack("=QII", cursor, 1, 0))
        cursor, data = answer.cursor, data + answer.data[: answer.len]
    return data.decode()


SLEEPER = shell("echo is up; exec sleep 1000", "console=yes")


def release(gate):
    """Write a line to a fifo. It stays open, so that nobody has to be there to read it yet."""
    os.write(os.open(gate, os.O_RDWR), b"go\n")


# Services


def test_services_start_and_their_output_is_in_the_log(start):
    init = start({"one": shell("echo out; echo err >&2; exec sleep 1000", "restart=always")})
    init.wait_for("^init: ready")
    assert init.state("one") == "up"
    read_log(init, "one", 2)
    assert init.sampan("logs", "one").stdout == "out\nerr\n"


def test_a_service_starts_after_what_it_names_is_ready(start, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    init = start({
        "late": shell("echo started; exec sleep 1000", "after=early", "console=yes"),
        "early": shell(f"echo began; cat {gate} >&$NOTIFY_FD; exec sleep 1000", "ready=fd",
                       "console=yes"),
    })
    init.wait_for("^early . began")
    late = init.client().status("late")
    assert (late.state, late.what) == ("waiting", "waits for early")
    assert init.state("early") == "starting"
    release(gate)
    init.wait_for("^late . started")
    init.wait_for("^init: ready")
    assert init.state("early") == "up"


def test_the_readiness_descriptor_is_not_where_udhcpc_would_overwrite_it(start):
    init = start({"one": shell("echo number $NOTIFY_FD; echo >&$NOTIFY_FD; exec sleep 1000",
                               "ready=fd", "console=yes")})
    assert int(init.wait_for(r"^one . number (\d+)")[1]) in range(5, 10)
    init.wait_for("^init: ready")


def test_a_service_that_is_not_ready_in_time_holds_up_nobody(start):
    init = start({
        "slow": shell("exec sleep 1000", "ready=fd", "ready-timeout=50ms"),
        "other": SLEEPER + "after=slow\n",
    })
    init.wait_for("^init: slow: not ready after 50 ms")
    init.wait_for("^other . is up")
    assert init.state("slow") == "starting"


def test_a_service_that_failed_holds_up_nobody(start):
    init = start({
        "broken": shell("exit 3", "type=oneshot"),
        "other": SLEEPER + "after=broken\n",
    })
    init.wait_for("^other . is up")
    init.wait_state("broken", "failed")
    broken = init.client().status("broken")
    assert (broken.state, broken.what) == ("failed", "exited with status 3")
    init.wait_for("^init: not ready: broken")


def test_services_that_wait_for_each_other_are_refused_and_the_others_run(start):
    init = start({
        "a": SLEEPER + "after=b\n",
        "b": SLEEPER + "after=c\n",
        "c": SLEEPER + "after=a\n",
        "d": SLEEPER + "after=a\n",
    })
    line = init.wait_for("^init: services in a circle are not started: (.*)")[1]
    assert re.fullmatch("(a after b after c after a|b after c after a after b|"
                        "c after a after b after c)", line)
    init.wait_for("^d . is up")
    assert {init.state(name) for name in "abc"} == {"failed"}


def test_a_service_file_that_is_wrong_is_named_and_the_others_run(start):
    init = start({"wrong": "exec=/bin/true\nrestart=maybe\n", "right": SLEEPER})
    init.wait_for("^init: wrong:2: restart: expected always, on-failure or no$")
    init.wait_for("^right . is up")
    init.wait_for("^init: not ready: a service file is not usable")


def test_a_condition_keeps_a_service_down_unless_the_word_is_there(start):
    services = {"one": SLEEPER + "condition.cmdline=sampan.one=yes\n", "two": SLEEPER + "after=one\n"}
    without = start(services)
    without.wait_for("^init: ready")
    assert (without.state("one"), without.state("two")) == ("down", "up")
    within = start(services, cmdline='quiet sampan.one=yes')
    within.wait_for("^one . is up")


def test_the_wait_before_a_restart_doubles_up_to_its_limit(start):
    init = start({"one": shell("exit 1", "restart=always", "backoff=20ms..80ms")})
    waits = [int(init.wait_for(r"one: exited with status 1; starting it again in (\d+) ms")[1])
             for _ in range(5)]
    assert waits == [20, 40, 80, 80, 80]


def test_a_healthy_run_is_forgiven(start):
    init = start({"one": shell("exec sleep 0.05", "restart=always", "backoff=10ms..10s",
                               "healthy-after=10ms")})
    for _ in range(3):
        assert init.wait_for(r"starting it again in (\d+) ms")[1] == "10"


@pytest.mark.parametrize("policy, script, state", [
    ("always", "exit 0", "up"),
    ("always", "exit 1", "up"),
    ("on-failure", "exit 0", "done"),
    ("on-failure", "exit 1", "up"),
    ("on-failure", "kill -9 $$", "up"),
    ("no", "exit 0", "done"),
    ("no", "exit 1", "failed"),
])
def test_restart_policies(start, tmp_path, policy, script, state):
    again = tmp_path / "again"
    os.mkfifo(tmp_path / "hold")
    init = start({"one": shell(
        f"if [ -e {again} ]; then echo a second time; exec sleep 1000; fi; : >{again}; "
        f"read x <{tmp_path}/hold; {script}", f"restart={policy}", "backoff=10ms..10ms",
        "console=yes")})
    release(tmp_path / "hold")
    if state == "up":
        init.wait_for("^one . a second time")
        assert init.client().status("one").restarts == 1
    else:
        init.wait_state("one", state)
        assert init.client().ask(STOP, "one").kind == OK  # stopping what ended is no error
        assert "a second time" not in init.output()


def test_a_oneshot_is_ready_when_it_ended(start, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    init = start({
        "prepare": shell(f"echo began; read x <{gate}", "type=oneshot", "console=yes"),
        "use": SLEEPER + "after=prepare\n",
    })
    init.wait_for("^prepare . began")
    assert init.state("use") == "waiting"
    release(gate)
    init.wait_for("^use . is up")
    assert init.state("prepare") == "done"


def test_a_program_that_is_not_there_is_told_with_step_and_reason(start):
    init = start({"one": "exec=/nonexistent/program\n"})
    init.wait_for("^init: one: cannot start: exec: No such file or directory")
    done = init.sampan("start", "one")
    assert done.returncode == 1
    assert done.stderr == "sampan: one: cannot start: exec: No such file or directory\n"


def test_arguments_reach_the_program_as_they_were_quoted(start):
    init = start({"one": "exec=/usr/bin/printf '%s.' a 'b  c' \"d\\\"e'\" f\\ g ''\ntype=oneshot\n"})
    init.wait_for("^init: ready")
    assert init.sampan("logs", "one").stdout == "a.b  c.d\"e'.f g.."


def test_a_service_has_no_signal_blocked_and_nothing_open_but_its_own(start):
    init = start({"one": shell("grep -E \"Sig(Blk|Ign)\" /proc/self/status; ls /proc/self/fd; "
                               "exec sleep 1000")})
    init.wait_for("^init: ready")
    words = read_log(init, "one", 6).split()
    assert words[words.index("SigBlk:") + 1] == "0" * 16
    assert words[4:] == ["0", "1", "2", "3"]  # 3 is the directory that ls reads


def test_restart_takes_a_new_process_and_stop_keeps_it_down(start):
    init = start({"one": SLEEPER + "restart=always\n"})
    init.wait_for("^one . is up")
    client = init.client()
    before = client.status("one").pid
    assert client.ask(RESTART, "one").kind == OK
    after = client.status("one")
    assert after.state == "up" and after.pid != before
    assert client.ask(STOP, "one").kind == OK
    down = client.status("one")
    assert (down.state, down.pid) == ("down", 0)
    assert client.ask(START, "one").kind == OK


def test_a_service_that_ignores_its_stop_signal_is_killed(start):
    init = start({"one": shell('trap "" TERM; echo is up; while :; do sleep 1000; done',
                               "stop-timeout=50ms", "console=yes")})
    init.wait_for("^one . is up")
    assert init.client().ask(STOP, "one").kind == OK
    init.wait_for("^init: one: does not stop; killed")


def test_the_stop_signal_can_be_chosen(start):
    init = start({"one": shell('trap "echo got it; exit 0" USR1; echo is up; while :; do read x; sleep 0.01; done',
                               "stop-signal=USR1", "console=yes", "restart=always")})
    init.wait_for("^one . is up")
    assert init.client().ask(STOP, "one").kind == OK
    init.wait_for("^one . got it")


def test_what_a_service_leaves_behind_is_killed_with_it(start, tmp_path):
    init = start({"one": shell("sleep 1000 & echo child $!; exec sleep 1000", "console=yes")})
    child = int(init.wait_for(r"^one . child (\d+)")[1])
    fd = os.pidfd_open(child)
    assert init.client().ask(STOP, "one").kind == OK
    assert select.select([fd], [], [], TIMEOUT)[0]
    os.close(fd)


def test_running_out_of_descriptors_is_tried_again_not_given_up(start):
    init = start({f"s{i}": SLEEPER for i in range(8)}, nofile="32:1024")
    init.wait_for("cannot start: Too many open files; trying again in 100 ms")
    client = init.client()
    up = {f"s{i}" for i in range(8) if client.status(f"s{i}").state == "up"}
    assert up and len(up) < 8
    # what goes away makes room
    subprocess.run(["prlimit", f"--pid={init.process.pid}", "--nofile=1024:1024"], check=True)
    init.wait_for("^init: ready")


# Logs


def test_logs_go_on_over_a_restart_and_follow_waits(start):
    init = start({"one": shell("echo run $$; exec sleep 1000", "restart=always",
                               "backoff=10ms..10ms")})
    client, follow = init.client(), init.client()
    first = follow.ask(LOGS, "one", struct.pack("=QII", 0, 1, 0))
    pid = client.status("one").pid
    assert first.data[: first.len] == b"run %d\n" % pid
    follow.send(LOGS, "one", struct.pack("=QII", first.cursor, 1, 0))
    os.kill(pid, signal.SIGKILL)
    second = follow.receive()
    assert second.kind == LOG_DATA
    assert re.fullmatch(rb"run \d+\n", second.data[: second.len])
    assert len(init.sampan("logs", "one").stdout.splitlines()) == 2


def test_the_log_keeps_the_newest_whole_lines(start):
    init = start({"one": shell("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done",
                               "type=oneshot")})
    init.wait_for("^init: ready")
    lines = init.sampan("logs", "one").stdout.splitlines()
    assert lines[-1] == "line 2999"
    assert lines == [f"line {i}" for i in range(3000 - len(lines), 3000)]
    assert 15000 < sum(map(len, lines)) + len(lines) <= 16384


def test_sampan_logs_f_prints_what_is_added(start, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    init = start({"one": shell(f"echo first; read x <{gate}; echo second; exec sleep 1000")})
    env = dict(os.environ, SAMPAN_RUN_DIR=str(init.run))
    with subprocess.Popen([SAMPAN, "logs", "-f", "one"], env=env, stdout=subprocess.PIPE,
                          text=True) as logs:
        assert logs.stdout.readline() == "first\n"
        release(gate)
        assert logs.stdout.readline() == "second\n"
        logs.kill()


def test_complete_lines_are_mirrored_to_the_console(start, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    init = start({"one": shell(f"printf half; read x <{gate}; printf \" line\\\\nnext\\\\n\"; "
                               "exec sleep 1000", "console=yes")})
    client = init.client()
    half = client.ask(LOGS, "one", struct.pack("=QII", 0, 1, 0))
    assert half.data[: half.len] == b"half"
    release(gate)
    init.wait_for("^one . half line$")
    init.wait_for("^one . next$")


def test_a_console_that_takes_nothing_stops_nobody_and_loses_only_mirrored_lines(start):
    init = start({"one": shell(
        "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done", "type=oneshot",
        "console=yes")}, drain=False)
    client = init.client()
    assert client.ask(START, "one").kind == OK  # waits until the oneshot is done
    assert init.sampan("logs", "one").stdout.splitlines()[-1] == "line 19999"
    init.reader.start()
    init.wait_for(r"^init: \d+ lines were not shown here")


# Adopted processes


def make_orphans(start, helper, tmp_path, n, **services):
    """An init with n orphaned processes below it: (init, pids, end), end() lets them end."""
    gate = tmp_path / "orphans"
    os.mkfifo(gate)
    keep = os.open(gate, os.O_RDWR)
    # in a session of their own, because what is left of a service is killed with it
    init = start({"maker": shell(f"setsid {helper} orphans {n} 4 4<{gate} & exec sleep 1000",
                                 "console=yes"), **services})
    pids = {}
    while len(pids) < n:
        found = init.wait_for(r"^maker . (\d+) (\d+)$")
        pids[int(found[1])] = int(found[2])
    init.wait_for("^maker . all are orphans")
    return init, pids, lambda: os.close(keep)


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


# Kept descriptors


def keep(client, name, fd_name, fds):
    return client.ask(KEEP_FD, name, struct.pack("=24s", fd_name.encode()), fds)


def test_descriptors_outlive_the_engine(start):
    init = start()
    read_end, write_end = os.pipe()
    first = init.client()
    assert keep(first, "c", "stdout", [read_end]).kind == OK
    assert keep(first, "c", "stdin", [write_end]).kind == OK
    assert keep(first, "c", "stdin", [write_end]).text == "c: stdin is already kept"
    os.write(write_end, b"still here")
    os.close(write_end)
    os.close(read_end)
    first.close()
    second = init.client()
    given = [second.ask(GIVE_FD, "c", struct.pack("=II", i, 0)) for i in range(3)]
    assert [answer.kind for answer in given] == [FD, FD, END]
    assert [answer.name for answer in given[:2]] == ["stdout", "stdin"]
    assert os.read(given[0].fds[0], 100) == b"still here"
    assert second.ask(DROP_FDS, "c", struct.pack("=24s", b"stdin")).kind == OK
    os.close(given[1].fds[0])
    assert os.read(given[0].fds[0], 100) == b""  # nobody has the other end any more
    assert second.ask(DROP_FDS, "c", bytes(24)).kind == OK
    assert second.ask(GIVE_FD, "c", struct.pack("=II", 0, 0)).kind == END
    assert second.ask(DROP_FDS, "c", bytes(24)).text == "c: no such descriptor is kept"


def test_more_descriptors_than_fit_are_refused(start):
    init = start(nofile=4096)
    client = init.client()
    with open(os.devnull) as null:
        for i in range(2048):
            assert keep(client, "c", f"n{i}", [null.fileno()]).kind == OK
        refused = keep(client, "c", "one more", [null.fileno()])
        assert refused.text == "2048 descriptors are kept, no more fit"
        assert keep(client, "c", "none", []).text == "an id, a name and one descriptor are needed"
    assert client.ask(DROP_FDS, "c", bytes(24)).kind == OK
    fds = os.listdir(f"/proc/{init.process.pid}/fd")
    assert len(fds) < 20


# What clients do wrong


@pytest.mark.parametrize("raw, why", [
    (b"x", "shorter than a header"),
    (message(0), "unknown type"),
    (message(14), "unknown type"),
    (message(2**32 - 1), "unknown type"),
    (message(OK), "not a request"),
    (message(START, "a", length=HEADER.size + 1), "wrong length"),
    (message(START, "a", b"more"), "wrong length"),
    (message(STATUS, "a"), "wrong length"),
    (HEADER.pack(START, HEADER.size, b"a" * 72), "id not terminated"),
    (bytes(4000), "longer than any request"),
    (message(SHUTDOWN, "", struct.pack("=II", 9, 0)), "unknown way to shut down"),
    (message(KEEP_FD, "a", b"n" * 24), "name not terminated"),
], ids=["short", "type-0", "type-14", "type-max", "answer", "length-lies", "body-too-much",
        "body-missing", "id", "long", "how", "name"])
def test_a_bad_message_closes_that_connection_only(start, raw, why):
    init = start({"one": SLEEPER})
    init.wait_for("^init: ready")
    good, bad = init.client(), init.client()
    bad.send_raw(raw)
    assert bad.closed()
    init.wait_for(f"^init: init.sock: connection closed: .*{why}")
    assert good.status("one").state == "up"


def test_descriptors_that_nobody_asked_for_are_closed(start):
    init = start({"one": SLEEPER})
    init.wait_for("^init: ready")
    before = len(os.listdir(f"/proc/{init.process.pid}/fd"))
    for count, kind, body in ((1, START, b""), (2, KEEP_FD, struct.pack("=24s", b"n"))):
        client = init.client()
        client.send(kind, "one", body, [0] * count)
        assert client.closed()
        init.wait_for("a descriptor too many")
    init.client().status("one")  # so that all of it is done
    assert len(os.listdir(f"/proc/{init.process.pid}/fd")) <= before + 1


def test_a_client_that_does_not_read_is_dropped_and_the_others_are_served(start):
    init = start({"one": SLEEPER})
    init.wait_for("^init: ready")
    slow, good = init.client(), init.client()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(100000):
            slow.send(LOGS, "init", struct.pack("=QII", 0, 0, 0))
    init.wait_for("connection closed: it does not read its answers")
    assert good.status("one").state == "up"


def test_an_engine_that_reads_late_gets_every_exit(start, helper, tmp_path):
    init, pids, end = make_orphans(start, helper, tmp_path, 600)
    engine = init.client()
    engine.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    assert engine.ask(SUBSCRIBE).kind == OK
    for i, pid in pids.items():
        assert engine.adopt(f"c{i}", pid).kind == OK
    end()
    other = init.client()
    # until all have ended, nothing is read
    for i in pids:
        while other.ask(ADOPTED, "", struct.pack("=II", i, 0)).code == 0:
            pass
    assert {engine.next_exit().id for _ in pids} == {f"c{i}" for i in pids}


def test_a_second_engine_takes_the_first_ones_place(start):
    init = start()
    first, second = init.client(), init.client()
    assert first.ask(SUBSCRIBE).kind == OK
    assert second.ask(SUBSCRIBE).kind == OK
    assert first.closed()
    init.wait_for("another engine subscribed")


def test_connections_are_limited_with_a_clear_answer_and_freed(start):
    init = start({"one": SLEEPER})
    init.wait_for("^init: ready")
    clients = [init.client() for _ in range(32)]
    for client in clients:
        assert client.status("one").kind != ERROR
    refused = init.client()
    assert refused.receive().text == "32 connections are open, no more fit"
    clients[0].close()
    clients[1].ask(STATUS, "one", struct.pack("=II", 0, 0))
    assert init.client().status("one").state == "up"


def test_running_out_of_descriptors_for_connections_passes(start):
    init = start({"one": SLEEPER}, nofile=20)
    init.wait_for("^init: ready")
    clients = [init.client() for _ in range(20)]
    init.wait_for("accept: Too many open files")
    began = time.monotonic()
    # tried again once a second, not all the time: two more tries, and a second for a slow reader
    init.wait_for("accept: Too many open files")
    init.wait_for("accept: Too many open files")
    assert time.monotonic() - began >= 1
    # and whenever a connection ends
    for client in clients[:-1]:
        client.close()
    assert clients[-1].status("one").state == "up"


def test_others_users_are_kept_out_by_the_sockets_mode(start):
    init = start()
    assert os.stat(init.run / "init.sock").st_mode & 0o777 == 0o600


# Signals and the end


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


# Containers, with a stand-in for sampan-oci


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


# The command


def test_sampan_status_is_a_table(start):
    init = start({"one": SLEEPER, "two": shell("exit 1")})
    init.wait_state("two", "failed")
    init.wait_state("one", "up")
    lines = init.sampan("status").stdout.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "PID", "SINCE", "RESTARTS", "WHAT"]
    one, two = (line.split(None, 5) for line in lines[1:])
    assert (one[0], one[1], one[4]) == ("one", "up", "0")
    assert one[5] == "/bin/sh -c echo is up; exec sleep 1000"
    assert (two[0], two[1], two[2], two[5]) == ("two", "failed", "-", "exited with status 1")


@pytest.mark.parametrize("words, status, says", [
    (["--help"], 0, ""),
    (["status", "--help"], 0, ""),
    ([], 2, "Usage: sampan"),
    (["dance"], 2, 'no command "dance"'),
    (["start"], 2, "which service?"),
    (["stop", "nobody"], 1, "sampan: nobody: no such service"),
    (["logs"], 2, "logs of which service?"),
    (["logs", "-x", "one"], 2, "logs has one option, -f"),
    (["logs", "nobody"], 1, "nobody: no such service"),
    (["status", "one", "nobody"], 1, "nobody: no such service"),
    (["poweroff", "now"], 2, "no arguments are expected"),
])
def test_sampans_exit_statuses_and_errors(start, words, status, says):
    init = start({"one": SLEEPER})
    done = init.sampan(*words)
    assert done.returncode == status
    assert says in done.stderr
    assert status == 0 or done.stderr


def test_sampan_without_init_says_so(start):
    init = start()
    init.close()
    os.mkdir(init.dir)
    done = init.sampan("status")
    assert done.returncode == 1
    assert "init does not answer at" in done.stderr


@pytest.mark.parametrize("words", [[], ["--services"], ["--subreaper", "--frobnicate", "x"]])
def test_init_refuses_wrong_arguments(words):
    done = subprocess.run([INIT, *words], capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 2
    assert "Usage: init --subreaper" in done.stderr
