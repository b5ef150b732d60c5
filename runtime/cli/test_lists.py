"""What is listed and inspected looks as with docker's own client."""

import json

import pytest

from console import Console
from harness import SLEEP, needs_docker

pytestmark = needs_docker


@pytest.fixture
def console(engine):
    return Console(engine)


@pytest.fixture
def two(engine, console):
    engine.start(*SLEEP, name="one", Labels={"b": "2", "a": "<1>"}, host={"Binds": ["data:/data"]})
    engine.run_to_end("sh", "-c", "echo \"a\tb\"; exit 3", name="two")
    return console


@pytest.mark.parametrize("words", [
    [], ["-a"], ["-aq"], ["-a", "--no-trunc"], ["-n", "1"], ["-l"], ["-a", "-s"],
    ["-a", "--filter", "status=exited"], ["--filter", "label=b=2", "-q"], ["-af", "name=t"],
    ["-a", "--format", "json"], ["-a", "--format", "{{.Names}}\\t{{.State}} {{json .Labels}}"],
    ["-a", "--format", "table {{.Names}}\t{{.Networks}}\t{{.Mounts}}"], ["-a", "--format=table {{.Image}}"],
])
def test_ps(two, words):
    assert two.same("ps", *words).stdout


@pytest.mark.parametrize("words", [
    [], ["-q"], ["--no-trunc"], ["--digests"], ["--format", "json"], ["bb"], ["bb:1"], ["nope"],
    ["--format", "{{.Repository}}:{{.Tag}}"], ["--filter", "dangling=true"],
])
def test_images(console, words):
    console.same("images", *words)


@pytest.mark.parametrize("words", [
    ["one"], ["two", "bb:1"], ["none"], ["nope"], ["one", "nope"], ["--type", "image", "one"], ["data"],
    ["-f", "{{.State.Status}} {{.Config.Env}} {{.HostConfig.Binds}}", "one"], ["-f", "{{json .State.Running}}", "one", "two"],
    ["-f", "{{.Name}}", "nope", "one"],
    ["-f", "{{json .Config.Labels}}", "two"],
])
def test_inspect(two, words):
    two.same("inspect", *words)


@pytest.mark.parametrize("words", [
    ["two"], ["--tail", "1", "two"], ["-t", "two"], ["--since", "10m", "two"], ["--until", "2020-01-01", "two"], ["nope"],
    ["-f", "two"],
])
def test_logs(two, words):
    two.same("logs", *words)


def test_both_outputs_are_told_apart(engine, console):
    engine.run_to_end("sh", "-c", "echo out; echo err >&2", name="both")
    said = console.same("logs", "both")
    assert (said.stdout, said.stderr) == ("out\n", "err\n")


@pytest.mark.parametrize("words", [
    ["ps", "--nope"], ["ps", "-z"], ["ps", "x"], ["rm"], ["stop"], ["logs"], ["logs", "a", "b"], ["ps", "--filter"],
    ["stop", "nope", "nope2"], ["kill", "nope"], ["rmi", "nope"], ["rm", "nope"], ["rm", "-f", "nope"], ["rm", "one"],
    ["pause", "two"], ["kill", "two"], ["rename", "one"],
])
def test_refusals(two, words):
    two.same(*words)


def test_what_a_template_cannot_say_is_refused_by_name(two):
    done = two.docker("ps", "-a", "--format", "{{range .Names}}")
    assert done.returncode == 1
    assert done.stderr == "template: {{range .Names}} is not understood: there is {{.Field}} and {{json .Field}}\n"


def test_a_container_from_start_to_removal(two):
    for words, says in [
        (["stop", "-t", "0", "one"], "one\n"), (["start", "one"], "one\n"), (["restart", "-t", "0", "one"], "one\n"),
        (["pause", "one"], None), (["kill", "one"], "one\n"), (["wait", "one"], "137\n"), (["rename", "one", "three"], ""),
        (["rm", "-v", "three"], "three\n"),
    ]:
        done = two.docker(*words)
        if says is not None:  # pausing needs cgroup v2
            assert (done.returncode, done.stdout, done.stderr) == (0, says, ""), words
    assert two.docker("ps", "-aq", "--filter", "name=three").stdout == ""


def test_long_names_are_known(two):
    for long, short in [(["container", "ls", "-q"], ["ps", "-q"]), (["image", "ls", "-q"], ["images", "-q"]),
                        (["container", "inspect", "two"], ["inspect", "two"])]:
        assert two.docker(*long).stdout == two.docker(*short).stdout


def test_an_engine_that_is_not_there_is_said(console):
    said = console.docker("-H", "unix:///nowhere", "ps")
    assert (said.returncode, said.stderr) == (
        1, "Cannot connect to the Docker daemon at unix:///nowhere. Is the docker daemon running?\n")
    assert "only unix:// is spoken here, not tcp://x" in console.docker("-H", "tcp://x", "ps").stderr


def test_json_of_inspect_is_json(two):
    assert json.loads(two.docker("inspect", "one").stdout)[0]["Name"] == "/one"
