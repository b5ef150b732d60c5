"""top, stats, events, info and version; and the examples of docs/cli.md."""

import json
import re
import shlex
import time
from pathlib import Path

import pytest

from console import Console
from harness import SLEEP, needs_docker

pytestmark = needs_docker
DOC = Path(__file__).resolve().parents[2] / "docs/cli.md"


@pytest.fixture
def console(engine):
    return Console(engine)


def test_top(engine, console):
    engine.start("sleep", "1000", name="one")
    console.same("top", "one")
    console.same("top", "one", "-o", "pid,comm")
    console.same("top", "nope")


def test_stats_once(engine, console):
    container = engine.start(*SLEEP, name="one")
    ours, theirs = (client("stats", "--no-stream", "--format", "json").stdout for client in (console.docker, console.stock))
    assert json.loads(ours).keys() == json.loads(theirs).keys()
    assert json.loads(ours)["Name"] == "one" and json.loads(ours)["ID"] == container[:12]
    ours, theirs = (client("stats", "--no-stream", "one").stdout.splitlines() for client in (console.docker, console.stock))
    assert ours[0].split() == theirs[0].split()
    assert re.fullmatch(rf"{container[:12]} +one +\d+\.\d\d% .*", ours[1])
    done = console.docker("stats", "--no-stream", "nope")
    assert (done.returncode, done.stderr) == (1, "Error response from daemon: No such container: nope\n")


def test_events(engine, console):
    engine.run_to_end("true", name="two", Labels={"z": "1", "a": "2"})
    span = ["--since", "5m", "--until", str(int(time.time()) + 1), "--filter", "container=two"]
    for more in [], ["--format", "{{.Action}} {{.Actor.Attributes.name}}"]:
        assert console.same("events", *span, *more).stdout.count("\n") >= 3
    ours, theirs = (client("events", *span, "--format", "json").stdout for client in (console.docker, console.stock))
    assert [json.loads(line) for line in ours.splitlines()] == [json.loads(line) for line in theirs.splitlines()]


def test_info_and_version(engine, console):
    said = console.docker("info").stdout
    info = engine.get("/info")
    assert f"Images: {info['Images']}\n" in said and f"CPUs: {info['NCPU']}\n" in said
    assert "Server: Sampan\n" in console.docker("version").stdout
    assert console.docker("version", "-f", "{{.ApiVersion}}").stdout == "1.51\n"


def examples():
    blocks = re.findall(r"```console\n(.*?)```", DOC.read_text(encoding="utf-8"), re.S)
    return [line for block in blocks for line in block.splitlines()]


def test_the_examples_of_the_documentation_do_what_they_say(console):
    lines = examples()
    assert len(lines) > 10
    said = None
    for line in lines:
        if line.startswith("# "):
            if said is not None:
                assert not said, line
            words = shlex.split(line[2:])
            done = console.sampan(*words[1:])
            said = (done.stdout + done.stderr).splitlines()
            continue
        assert said and re.fullmatch(re.escape(line).replace("…", ".*"), said.pop(0)), line
    assert not said
