"""top: a container's processes as ps lists them, without ps."""

import subprocess

import pytest

from harness import SLEEP, docker, needs_docker, refused


def top(engine, container, ps_args=""):
    found = engine.get(f"/containers/{container}/top?ps_args={ps_args.replace(' ', '%20').replace('%c', '%25c')}")
    return found["Titles"], found["Processes"]


def pid_of(engine, container):
    return engine.state(container)["Pid"]


def test_ef_is_the_default(engine):
    container = engine.start("sleep", "1000", User="1000")
    titles, (row,) = top(engine, container)
    assert titles == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert row[1:4] == [str(pid_of(engine, container)), str(engine.init.pid), "0"]
    assert row[5:] == ["?", "00:00:00", "sleep 1000"]


@pytest.mark.parametrize("ps_args", [
    "-ef", "aux", "-o pid,ppid,user,args", "-eo uid,gid,pid,pgid,sid,stat,s,tname,ni,nlwp,vsz,comm,cmd",
    "-o pid,stime,time,tt,rss,command",
])
def test_it_is_what_ps_prints(engine, ps_args):
    container = engine.start("sleep", "1000", User="1000")
    titles, (row,) = top(engine, container, ps_args)
    done = subprocess.run(["ps", *ps_args.split(), "-q", str(pid_of(engine, container))],
                          capture_output=True, text=True)
    if ps_args == "aux":  # ps takes no -q beside it
        done = subprocess.run(["ps", "u", "-p", str(pid_of(engine, container))], capture_output=True, text=True)
    head, line = done.stdout.splitlines()
    assert titles == head.split()
    wanted = line.split(None, len(titles) - 1)
    # what changes from one moment to the next, or by how long the machine says it has run
    for i, title in enumerate(titles):
        if title in ("STIME", "START", "%CPU", "C", "RSS"):
            assert row[i]
        else:
            assert row[i] == wanted[i].strip(), (title, row, wanted)


def test_all_of_its_processes_and_no_others(engine):
    container = engine.start("sh", "-c", "sleep 1000 & sleep 2000 & wait")
    engine.start("sleep", "3000")
    rows = []
    while len(rows) < 3:
        rows = top(engine, container, "-o pid,args")[1]
    assert sorted(row[1] for row in rows) == ["sh -c sleep 1000 & sleep 2000 & wait", "sleep 1000", "sleep 2000"]


@pytest.mark.parametrize("ps_args, status, words", [
    ("-o pid,nosuch", 400, 'unknown column "nosuch"'),
    ("--forest", 400, 'unknown option "--forest"'),
    ("-o", 400, "no columns are named"),
    ("-o args", 500, "Couldn't find PID field in ps output"),
])
def test_what_is_not_known_is_refused_by_name(engine, ps_args, status, words):
    container = engine.start("sleep", "1000")
    got, message = refused(engine, "GET", f"/containers/{container}/top?ps_args={ps_args.replace(' ', '%20')}")
    assert got == status and words in message


def test_who_does_not_run_has_none(engine):
    container = engine.create(*SLEEP)
    assert refused(engine, "GET", f"/containers/{container}/top") == (
        409, f"container {container} is not running")


def test_words_that_are_no_text_do_not_break_the_answer(engine):
    script = "exec sh -c 'read x' \"$(printf 'x\\377y')\""
    container = engine.start("sh", "-c", script, OpenStdin=True)
    rows = []
    while not rows or "printf" in rows[0][-1]:
        rows = top(engine, container)[1]
    assert rows[0][-1] == "sh -c read x x\ufffdy"


@needs_docker
def test_docker_top(engine):
    engine.start("sleep", "1000", name="c1")
    done = docker(engine, "top", "c1")
    assert done.returncode == 0 and done.stdout.split()[:8] == b"UID PID PPID C STIME TTY TIME CMD".split()
    assert b"sleep 1000" in done.stdout
