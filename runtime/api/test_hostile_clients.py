"""Clients that send too much, too slowly, or not at all: one clear answer, and the engine goes on."""

import json
import resource
import socket
import time

import pytest

from harness import TIMEOUT

# of runtime/api/limits.h
CONNECTIONS_MAX = 1024
HEAD_BYTES_MAX = 65536
JSON_BYTES_MAX = 4 << 20
DRAIN_BYTES_MAX = 1 << 20
IO_TIMEOUT = 30


def connect(engine):
    sock = socket.socket(socket.AF_UNIX)
    # waits for room among those who were not accepted yet; with a time-out it would not
    sock.connect(str(engine.socket))
    sock.settimeout(TIMEOUT)
    return sock


def answer_of(sock):
    """(status, body) of all that comes until the engine closes."""
    data = b""
    try:
        while got := sock.recv(65536):
            data += got
    except ConnectionResetError:
        pass
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else None, body


def refused(sock):
    status, body = answer_of(sock)
    return status, json.loads(body)["message"]


def flood(sock, piece, most):
    """Send the piece again and again until the engine does not take more; returns the bytes that it took."""
    sent = 0
    try:
        while sent <= most:
            sent += sock.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


@pytest.fixture(name="slow", scope="module", autouse=True)
def _slow(shared):
    """Clients that stop in the middle: of the head, of a body. What becomes of them is seen last."""
    head, body = connect(shared), connect(shared)
    began = time.monotonic()
    head.sendall(b"GET /_ping HTTP/1.1\r\nHo")
    body.sendall(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                 b"Content-Length: 100\r\n\r\n{")
    yield began, head, body


@pytest.fixture(autouse=True)
def _alive(engine):
    yield
    assert engine.request("GET", "/_ping")[:2] == (200, b"OK")


def test_a_body_of_ten_gigabytes_is_refused_by_its_length(engine):
    with connect(engine) as sock:
        sock.sendall(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 10737418240\r\n\r\n{")
        status, message = refused(sock)
    assert status == 413 and str(JSON_BYTES_MAX) in message


def test_a_body_without_a_length_is_refused_once_it_is_too_long(engine):
    with connect(engine) as sock:
        sock.sendall(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        most = JSON_BYTES_MAX + DRAIN_BYTES_MAX + (4 << 20)
        assert JSON_BYTES_MAX < flood(sock, chunk, most) < most
        # what was on its way when the engine closed may have cost us the answer
        assert answer_of(sock)[0] in (413, None)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 2 * HEAD_BYTES_MAX,
        b"GET /_ping HTTP/1.1\r\n" + b"".join(b"X-%d: x\r\n" % i for i in range(1000)) + b"\r\n",
        b'GET /containers/json?filters={"label":[' + b'"a",' * 100000 + b'"a"]} HTTP/1.1\r\nHost: x\r\n\r\n',
    ],
    ids=["a header of 128 KiB", "1000 headers", "100000 filters"],
)
def test_a_head_that_is_too_large_is_refused(engine, head):
    with connect(engine) as sock:
        flood(sock, head, len(head) - 1)
        assert answer_of(sock)[0] in (400, 431, None)


def test_many_filters_that_fit_are_honoured(engine):
    container = engine.create("true", Labels={"wanted": "yes"})
    filters = json.dumps({"id": [container], "label": ["wanted"] * 3000}).replace(" ", "")
    (one,) = engine.get(f"/containers/json?all=1&filters={filters}")
    assert one["Id"] == container


def test_requests_in_one_breath_are_answered_in_order(engine):
    paths = ["/_ping", "/version", "/containers/nobody/json", "/_ping"] * 50
    with connect(engine) as sock:
        sock.sendall(b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths[:-1])
                     + b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        while got := sock.recv(65536):
            data += got
    statuses = [int(part.split(b" ", 1)[0]) for part in data.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 200, 404, 200] * 50


def test_connections_beyond_the_limit_are_told_and_leave_room_again(engine):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    container = engine.start("sh", "-c", "echo up; while :; do sleep 1; done")
    crowd = [connect(engine) for _ in range(CONNECTIONS_MAX + 50)]
    told = []
    for sock in crowd[CONNECTIONS_MAX:]:
        told.append(refused(sock))
    assert told == [(503, "too many connections")] * 50
    # those that got in are served
    for sock in (crowd[0], crowd[CONNECTIONS_MAX // 2]):
        sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    for sock in crowd:
        sock.close()
    deadline = time.monotonic() + TIMEOUT
    while engine.request("GET", "/_ping")[0] != 200:
        assert time.monotonic() < deadline
    assert engine.logs(container) == [(1, b"up\n")]


def test_two_thousand_connections_one_after_the_other(engine):
    for _ in range(2000):
        connect(engine).close()
    # the last in the row, and served
    with connect(engine) as sock:
        sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")


def test_those_who_stop_in_the_middle_are_dropped(slow):
    began, head, body = slow
    assert answer_of(head)[0] is None
    assert refused(body) == (408, "the request's body did not arrive in time")
    assert IO_TIMEOUT - 1 < time.monotonic() - began < IO_TIMEOUT + TIMEOUT
