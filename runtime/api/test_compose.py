"""A stack by Docker Compose, from up to down. Networks are none: the engine has no others yet."""

import json
import os
import subprocess
import sys

import pytest

from harness import TIMEOUT, TOP

sys.path.append(str(TOP / "qemu-tests"))

from dockercli import PLUGINS, client  # noqa: E402

STACK = """
name: stack
services:
  db:
    image: bb:1
    network_mode: none
    command: ["sh", "-c", "echo db up; touch /data/ready; while :; do sleep 1; done"]
    volumes: ["data:/data"]
    healthcheck: {test: ["CMD-SHELL", "cat /data/ready"], interval: 1s, start_period: 1s, retries: 30}
    stop_grace_period: 1s
  web:
    image: bb:1
    network_mode: none
    environment: {GREETING: hello}
    labels: {tier: front}
    command: ["sh", "-c", "echo $$GREETING; while :; do sleep 1; done"]
    depends_on: {db: {condition: service_healthy}}
    volumes: ["data:/data:ro"]
    stop_grace_period: 1s
    deploy: {replicas: 2}
volumes: {data: {labels: {kind: stack}}}
"""


@pytest.fixture(name="compose")
def _compose(engine, tmp_path):
    (tmp_path / "compose.yaml").write_text(STACK)
    program = client() / PLUGINS / "docker-compose"

    def compose(*words):
        done = subprocess.run(
            [program, "--progress", "plain", "--ansi", "never", *words], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"}, timeout=TIMEOUT, check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield compose
    compose("down", "-v", "-t", "0")


def running(compose):
    """{name: health} of what runs."""
    lines = compose("ps", "--format", "json").splitlines()
    return {one["Name"]: one["Health"] for one in map(json.loads, lines) if one["State"] == "running"}


def test_a_stack_comes_up_in_order_and_goes(engine, compose):
    compose("up", "-d")
    assert running(compose) == {"stack-db-1": "healthy", "stack-web-1": "", "stack-web-2": ""}
    started = {one: engine.state(one)["StartedAt"] for one in running(compose)}
    assert started["stack-db-1"] < min(started["stack-web-1"], started["stack-web-2"])
    # each has come as far as to say something
    for name, line in (("stack-web-1", b"hello\n"), ("stack-web-2", b"hello\n")):
        engine.wait_for_output(name, line)
    # it clears each line first, on no terminal too, and pads as it likes
    logs = compose("logs", "--no-color").replace("\x1b[2K", "").splitlines()
    assert sorted(line.split() for line in logs) == [
        ["db-1", "|", "db", "up"], ["web-1", "|", "hello"], ["web-2", "|", "hello"]
    ]
    assert compose("exec", "-T", "web", "ls", "/data") == "ready\n"
    assert compose("run", "--rm", "-T", "web", "echo", "once") == "once\n"


def test_what_is_as_it_should_be_is_left_alone_and_what_changed_is_made_anew(engine, compose, tmp_path):
    compose("up", "-d")
    before = {name: engine.get(f"/containers/{name}/json")["Id"] for name in running(compose)}
    compose("up", "-d", "--scale", "web=3")
    scaled = {name: engine.get(f"/containers/{name}/json")["Id"] for name in running(compose)}
    assert set(scaled) - set(before) == {"stack-web-3"}
    assert all(scaled[name] == one for name, one in before.items())
    (tmp_path / "compose.yaml").write_text(STACK.replace("GREETING: hello", "GREETING: hi"))
    compose("up", "-d")
    after = {name: engine.get(f"/containers/{name}/json")["Id"] for name in running(compose)}
    assert after["stack-db-1"] == before["stack-db-1"]
    assert set(after) == set(before) and not set(after.values()) & {scaled["stack-web-1"], scaled["stack-web-2"]}
    engine.wait_for_output("stack-web-1", b"hi\n")


def test_down_leaves_nothing_but_the_volume_until_that_is_asked_for(engine, compose):
    compose("up", "-d")
    compose("stop", "-t", "0", "web")
    assert list(running(compose)) == ["stack-db-1"]
    compose("down", "-t", "0")
    assert engine.get("/containers/json?all=1") == []
    (volume,) = engine.get("/volumes")["Volumes"]
    assert (volume["Name"], volume["Labels"]["kind"]) == ("stack_data", "stack")
    compose("down", "-v")
    assert engine.get("/volumes")["Volumes"] == []
