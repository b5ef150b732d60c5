"""Pushing to registries that are particular, and what is not pushed as it was pulled."""

import json
import os
import subprocess

import pytest

from harness import SAMPAND, Engine
from imagefiles import encode, entry, tar
from registries import DebianRegistry, FakeRegistry, auth_header, error_of, image, pull, push


@pytest.fixture(scope="module")
def pusher():
    engine = Engine("--registry-timeout 2")
    yield engine
    engine.close()


@pytest.fixture
def fake(pusher):
    registry = FakeRegistry()
    yield registry
    registry.close()
    for one in pusher.get("/images/json"):
        pusher.request("DELETE", f"/images/{one['Id']}?force=1")


def blobs_of(one):
    return {part["digest"] for part in [one.manifest_json["config"], *one.manifest_json["layers"]]}


def retag(engine, old, new):
    engine.post(f"/images/{old}/tag?repo={new}&tag=latest")


def test_what_was_pulled_is_pushed_word_for_word(pusher, fake):
    one = image(tar(entry("a", data=os.urandom(3000))))
    digest, _ = fake.add(one)
    assert "error" not in pull(pusher, f"{fake.host}/app")[1][-1]
    other = FakeRegistry()
    retag(pusher, f"{fake.host}/app", f"{other.host}/copy")
    status, lines = push(pusher, f"{other.host}/copy")
    assert lines[-1]["aux"]["Digest"] == digest
    assert other.manifests["latest"] == fake.manifests["latest"] and set(other.blobs) == blobs_of(one)
    other.close()


def test_an_image_whose_layers_were_there_in_another_packing_can_be_pushed(pusher, fake):
    """The manifest that came last names blobs that never came."""
    data = os.urandom(3000)
    fake.add(image(tar(entry("a", data=data)), packing="gzip"))
    assert "error" not in pull(pusher, f"{fake.host}/gzip")[1][-1]
    fake.add(image(tar(entry("a", data=data)), packing="zstd"))
    assert "error" not in pull(pusher, f"{fake.host}/zstd")[1][-1]
    assert len(pusher.get("/images/json")) == 1
    registry = DebianRegistry()
    retag(pusher, f"{fake.host}/zstd", f"{registry.host}/copy")
    status, lines = push(pusher, f"{registry.host}/copy")
    assert "aux" in lines[-1], lines
    pusher.request("DELETE", f"/images/{pusher.get('/images/json')[0]['Id']}?force=1")
    assert "error" not in pull(pusher, f"{registry.host}/copy")[1][-1]
    registry.close()


class Scoped(FakeRegistry):
    """Tokens say what they are for, and are good for @uses requests."""

    def __init__(self, uses=1000):
        super().__init__()
        self.uses, self.tokens, self.refused = uses, {}, []
        self.hooks = [("^/token", self.give), ("mount=", self.mount), ("^/v2/", self.check)]

    def give(self, h):
        name = f"t{len(self.tokens)}"
        self.tokens[name] = [self.uses, h.path]
        h.answer(200, encode({"token": name}))

    def check(self, h):
        token = self.tokens.get(h.headers.get("Authorization", "").removeprefix("Bearer "), [0, ""])
        token[0] -= 1
        if token[0] >= 0:
            return False
        self.refused.append(h.command)
        h.rfile.read(int(h.headers.get("Content-Length", 0)))
        h.answer(401, b"{}", WWW_Authenticate=f'Bearer realm="{self.url}/token",service="reg"')

    def mount(self, h):
        if self.check(h) is not False:
            return True
        token = self.tokens[h.headers["Authorization"].removeprefix("Bearer ")]
        h.answer(201 if "first%3Apull" in token[1] else 202, Location="/v2/x/blobs/uploads/1")


def test_to_mount_a_blob_the_right_to_read_it_is_asked_for(pusher, fake):
    fake.add(image(tar(entry("a", data=os.urandom(3000)))))
    pull(pusher, f"{fake.host}/app")
    registry = Scoped()
    for name in "first", "second":
        retag(pusher, f"{fake.host}/app", f"{registry.host}/{name}")
        registry.blobs.clear()
        status, lines = push(pusher, f"{registry.host}/{name}")
        assert "aux" in lines[-1], lines
    assert any(line.get("status") == "Mounted from first" for line in lines), lines
    registry.close()


def test_a_token_that_runs_out_during_an_upload_is_renewed(pusher, fake):
    one = image(tar(entry("a", data=os.urandom(3000))))
    fake.add(one)
    pull(pusher, f"{fake.host}/app")
    # the third request of each token is refused; the first blob's PUT is one
    registry = Scoped(uses=2)
    retag(pusher, f"{fake.host}/app", f"{registry.host}/app")
    status, lines = push(pusher, f"{registry.host}/app")
    assert "aux" in lines[-1], lines
    assert "PUT" in registry.refused and set(registry.blobs) == blobs_of(one)
    registry.close()


def test_a_bad_moment_of_a_push_is_waited_out(pusher, fake):
    fake.add(image(tar(entry("a", data=os.urandom(3000)))))
    pull(pusher, f"{fake.host}/app")
    registry, seen = FakeRegistry(), set()

    def busy(h):
        kind = (h.command, h.path.split("?")[0])
        if h.path == "/v2/" or kind in seen:
            return False
        seen.add(kind)
        h.rfile.read(int(h.headers.get("Content-Length", 0)))
        h.answer(503, b"busy")

    registry.hooks = [("^/v2/", busy)]
    retag(pusher, f"{fake.host}/app", f"{registry.host}/app")
    status, lines = push(pusher, f"{registry.host}/app")
    assert "aux" in lines[-1] and {command for command, _ in seen} == {"HEAD", "POST", "PUT"}, lines
    registry.close()


def test_blobs_are_not_sent_to_another_host(pusher, fake):
    fake.add(image(tar(entry("a", data=os.urandom(3000)))))
    pull(pusher, f"{fake.host}/app")
    registry, thief = FakeRegistry(), FakeRegistry()
    registry.hooks = [("uploads", lambda h: h.answer(202, Location=thief.url + "/v2/app/blobs/uploads/1"))]
    retag(pusher, f"{fake.host}/app", f"{registry.host}/app")
    status, lines = push(pusher, f"{registry.host}/app", headers=auth_header(username="me", password="secret"))
    assert "wants blobs sent to another host" in error_of(lines) and thief.requests == []
    registry.close()
    thief.close()


@pytest.mark.parametrize("server", ["a b", "me@host", "host?x", ".."])
def test_login_at_what_is_no_registry_is_refused(pusher, server):
    status, body, _ = pusher.request("POST", "/auth", {"username": "a", "password": "b", "serveraddress": f"https://{server}"})
    assert status == 400 and b"is no registry" in body


def test_a_token_that_would_be_two_headers_is_refused(pusher):
    status, body, _ = pusher.request("POST", "/auth", {"registrytoken": "a\r\nX: y", "serveraddress": "127.0.0.1:1"})
    assert status == 400 and json.loads(body)["message"] == "invalid AuthConfig: registrytoken: more than one line"


@pytest.mark.parametrize("url", ["mirror", "ftp://mirror", "https://mirror/path", "https://", "https://a b", "https://m?x"])
def test_a_mirror_that_is_no_host_is_refused_at_the_start(url):
    done = subprocess.run([SAMPAND, "--registry-mirror", url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and f'"{url}" is no http or https URL of a host alone' in done.stderr
