"""What services say: kept, followed and shown on the console."""

import os
import re
import signal
import struct
import subprocess

from subreaper import LOGS, LOG_DATA, OK, SAMPAN, START, release, shell


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
