"""The command line that talks to init."""

import os
import subprocess

import pytest

from subreaper import INIT, SLEEPER, TIMEOUT, shell


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
    (["dance"], 2, "sampan: unknown command: sampan dance"),
    (["start"], 1, "'sampan start' requires at least 1 argument"),
    (["stop", "nobody"], 1, "sampan: nobody: no such service, and the engine does not answer"),
    (["logs"], 1, "'sampan logs' requires 1 argument"),
    (["logs", "-x", "one"], 125, "unknown shorthand flag: 'x' in -x"),
    (["logs", "-t", "one"], 2, "logs of a service has one option, -f"),
    (["stop", "-t", "1", "one"], 2, "-s and -t are for containers"),
    (["logs", "nobody"], 1, "nobody: no such service"),
    (["status", "one", "nobody"], 1, "nobody: no such service"),
    (["poweroff", "now"], 1, "'sampan poweroff' accepts no arguments"),
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
