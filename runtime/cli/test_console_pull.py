"""Pulls as the console shows them, from a registry on this host."""

import os

import pytest

from console import Console
from harness import needs_docker
from imagefiles import entry, folder, tar
from registries import FakeRegistry, image
from test_run import Terminal

pytestmark = needs_docker


@pytest.fixture
def console(engine):
    return Console(engine)


@pytest.fixture
def app(engine):
    registry = FakeRegistry()
    registry.add(image(tar(folder("etc"), entry("etc/one", data=b"1")), tar(entry("etc/two", data=os.urandom(300000)))), "v1")
    yield f"{registry.host}/some/app:v1"
    registry.close()


def both(console, app, *words):
    """What each client says of a pull of what is not there."""
    told = []
    for client in console.docker, console.stock:
        done = client(*words)
        told.append((done.returncode, sorted(done.stdout.splitlines()), sorted(done.stderr.splitlines())))
        console.docker("rmi", "-f", app)
    return told


def test_a_pull_into_a_file_has_a_line_for_each_step(console, app):
    ours, theirs = both(console, app, "pull", app)
    assert ours == theirs
    assert ours[0] == 0 and app in ours[1] and any("Pull complete" in line for line in ours[1])
    ours, theirs = both(console, app, "pull", "-q", app)
    assert ours == theirs == (0, [app], [])


def test_a_pull_that_fails_says_why(console, app):
    ours, theirs = both(console, app, "pull", app + "-nope")
    assert ours == theirs and ours[0] == 1


def test_run_pulls_what_is_missing(console, app):
    words = ["run", "--rm", "--network", "none", app, "/nothing"]
    ours, theirs = both(console, app, *words)
    assert ours == theirs
    assert ours[0] == 127 and f"Unable to find image '{app}' locally" in ours[2]


def test_on_a_terminal_each_layer_has_a_line_that_is_written_over(console, app):
    me = Terminal(console, "pull", app)
    me.see(b"v1: Pulling from some/app")
    me.see(b"Downloading [")
    me.see(b"Pull complete")
    me.see(app.encode())
    assert me.end() == 0
    console.docker("rmi", "-f", app)
