"""The API over TCP: mutual TLS or nothing."""

import http.client
import json
import re
import select
import socket
import ssl
import subprocess
import threading
import time

import pytest

from certificates import make_authority, make_certificate, offer
from harness import TIMEOUT, Engine


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Remote:
    """An engine that is served over TCP, and certificates of all kinds."""

    def __init__(self, folder, server_key):
        self.folder = folder
        self.port = free_port()
        make_authority(folder)
        make_certificate(folder, "server", "server", key=server_key)
        make_certificate(folder, "client", "client")
        offer(folder, "server")
        self.engine = Engine(f"--tls {folder}", f"--tls-port {self.port}")
        self.engine.load_image()

    def context(self, client="client"):
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        if client:
            context.load_cert_chain(self.folder / f"{client}.pem", self.folder / f"{client}-key.pem")
        return context

    def connect(self, client="client", host="127.0.0.1"):
        raw = socket.create_connection((host, self.port), timeout=TIMEOUT)
        return self.context(client).wrap_socket(raw, server_hostname=host)

    def get(self, path, client="client", host="127.0.0.1"):
        """The status; raises when TLS fails."""
        connection = http.client.HTTPSConnection(host, self.port, timeout=TIMEOUT, context=self.context(client))
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def docker(self, *words, **more):
        folder = self.folder
        command = ["docker", "-H", f"tcp://127.0.0.1:{self.port}", "--tlsverify", "--tlscacert", folder / "ca.pem",
                   "--tlscert", folder / "client.pem", "--tlskey", folder / "client-key.pem", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False, **more)

    def threads(self):
        """Threads of the engine."""
        status = open(f"/proc/{self.engine.pid()}/status", encoding="utf-8").read()
        return int(re.search(r"Threads:\s+(\d+)", status)[1])

    @staticmethod
    def until(condition):
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline
            select.select([], [], [], 0.05)

    def settle(self, threads):
        """Wait until the engine has no more than so many threads."""
        self.until(lambda: self.threads() <= threads)


@pytest.fixture(name="remote", scope="module", params=["ec", "rsa"])
def _remote(request, tmp_path_factory):
    keys = {"ec": ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "rsa": ("rsa:2048",)}
    one = Remote(tmp_path_factory.mktemp("tls"), keys[request.param])
    yield one
    one.engine.close()


def test_the_docker_cli_runs_a_container(remote):
    done = remote.docker("run", "-i", "--rm", "--network", "none", "bb:1", "sh", "-c", "cat; echo err >&2; exit 3",
                         input="hello\n" * 50000)
    assert (done.returncode, done.stdout, done.stderr) == (3, "hello\n" * 50000, "err\n")


def test_version_six_of_ip_is_served_too(remote):
    assert remote.get("/_ping", host="::1") == 200


def refused(remote, **how):
    """Neither a handshake nor, with TLS 1.3, the first answer gets through."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        remote.get("/_ping", **how)
    return True


def test_nobody_without_a_certificate(remote):
    assert refused(remote, client=None)


def test_nobody_of_another_authority(remote):
    make_authority(remote.folder, "other")
    make_certificate(remote.folder, "stranger", "client", authority="other")
    assert refused(remote, client="stranger")
    remote.until(lambda: re.search(r"TLS: (::ffff:)?127\.0\.0\.1 refused: .*ertificate", remote.engine.output()))


def test_no_certificate_of_a_server(remote):
    assert refused(remote, client="server")


def test_nothing_that_has_expired(remote):
    make_certificate(remote.folder, "old", "client", days=-1)
    assert refused(remote, client="old")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_no_old_version_of_tls(remote):
    context = remote.context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", remote.port), timeout=TIMEOUT) as raw:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(raw, server_hostname="127.0.0.1")


def test_plain_http_gets_no_answer(remote):
    with socket.create_connection(("127.0.0.1", remote.port), timeout=TIMEOUT) as raw:
        raw.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        try:
            while got := raw.recv(4096):
                answer += got
        except ConnectionError:
            pass
    assert b"HTTP" not in answer


def test_a_client_that_goes_without_a_word_leaves_nothing(remote):
    """It follows a log that says nothing; its thread ends with it."""
    container = remote.engine.start("sh", "-c", "while :; do sleep 1; done")
    remote.settle(remote.threads())
    before = remote.threads()
    request = f"GET /containers/{container}/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n"
    sock = remote.connect()
    sock.sendall(request.encode())
    assert b"200 OK" in sock.recv(4096)
    assert remote.threads() > before
    raw = sock.detach()
    socket.socket(fileno=raw).close()
    remote.settle(before)
    remote.engine.request("DELETE", f"/containers/{container}?force=1")


def test_a_client_that_never_shakes_hands_keeps_nobody_waiting(remote):
    silent = [socket.create_connection(("127.0.0.1", remote.port), timeout=TIMEOUT) for _ in range(20)]
    assert remote.get("/_ping") == 200
    before = remote.threads()
    for sock in silent:
        sock.close()
    remote.settle(before - 40)


def test_many_at_once(remote):
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(remote.get("/version"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert statuses == [200] * 20


@pytest.mark.parametrize("broken", ["no key", "another's key", "no file"])
def test_keys_that_are_no_good_leave_the_unix_socket(tmp_path, broken):
    make_authority(tmp_path)
    make_certificate(tmp_path, "server", "server")
    make_certificate(tmp_path, "client", "client")
    offer(tmp_path, "server")
    key = tmp_path / "key.pem"
    if broken == "no file":
        key.unlink()
    else:
        key.write_bytes(b"no key\n" if broken == "no key" else (tmp_path / "client-key.pem").read_bytes())
    port = free_port()
    engine = Engine(f"--tls {tmp_path}", f"--tls-port {port}")
    try:
        assert engine.get("/version")["ApiVersion"]
        assert re.search(rf"not served over TCP: {key}: ", engine.output())
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    finally:
        engine.close()


def test_without_keys_no_port_is_open(engine):
    assert json.loads(engine.request("GET", "/version")[1])
    assert "TCP" not in engine.output()
