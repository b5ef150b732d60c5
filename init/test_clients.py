"""init's socket: bad messages, slow readers, many connections."""

import os
import socket
import struct
import time

import pytest

from subreaper import (
    ADOPTED, ERROR, HEADER, KEEP_FD, LOGS, OK, SHUTDOWN, SLEEPER, START, STATUS, SUBSCRIBE,
    make_orphans, message,
)


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
