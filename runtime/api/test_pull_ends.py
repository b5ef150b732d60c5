"""Pulls that end early: what unpacks ends with them, however stuck it is."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

import harness
from harness import Engine
from imagefiles import entry, tar
from registries import FakeRegistry, image, pull


@pytest.fixture
def puller():
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture
def fake():
    registry = FakeRegistry()
    yield registry
    registry.close()


def unpackers(folder):
    """Processes that unpack below the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"--unpack-layer" in (process / "cmdline").read_bytes().split(b"\0") and \
                    os.readlink(process / "root").startswith(str(folder)):
                found.append(int(process.name))
        except OSError:
            pass
    return found


def wait_until(what):
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        harness.select.select([], [], [], 0.02)


def begin_and_stop_the_unpacker(engine, registry):
    """Begin a pull whose layer comes to a half, stop its unpacker, and let the rest come. Returns the connection."""
    one = image(tar(entry("a", data=os.urandom(100000))))
    registry.add(one)
    data, reached, released = one.packed[0], threading.Event(), threading.Event()

    def half(h):
        h.send_response(200)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data[: len(data) // 2])
        h.wfile.flush()
        reached.set()
        released.wait(60)
        h.wfile.write(data[len(data) // 2:])

    registry.hooks = [(one.manifest_json["layers"][0]["digest"], half)]
    connection = harness.Connection(engine.socket)
    connection.request("POST", f"/images/create?fromImage={registry.host}/app&tag=latest")
    assert reached.wait(60)
    wait_until(lambda: unpackers(engine.dir))
    (process,) = unpackers(engine.dir)
    os.kill(process, signal.SIGSTOP)
    released.set()
    return connection


def test_a_client_that_goes_away_ends_an_unpacker_that_is_stuck(puller, fake):
    connection = begin_and_stop_the_unpacker(puller, fake)
    answer = connection.getresponse()
    while b"Extracting" not in answer.readline():
        pass
    connection.sock.shutdown(harness.socket.SHUT_RDWR)
    answer.close()
    connection.close()
    wait_until(lambda: not unpackers(puller.dir) and not list((puller.dir / "root/layers").iterdir()))
    fake.hooks = []
    assert "error" not in pull(puller, f"{fake.host}/app")[1][-1]
