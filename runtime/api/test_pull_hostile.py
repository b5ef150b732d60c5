"""Registries that lie, stall and break: a clear error, bounded cost, nothing left, and the engine serves on."""

import gzip
import os
import threading
from pathlib import Path

import pytest

from harness import Engine
from imagefiles import digest_of, encode, entry, tar
from registries import FakeRegistry, auth_header, error_of, image, pull


@pytest.fixture(scope="module")
def puller():
    engine = Engine("--registry-timeout 2")
    yield engine
    engine.close()


@pytest.fixture
def fake(puller):
    registry = FakeRegistry()
    yield registry
    registry.close()
    for one in puller.get("/images/json"):
        puller.request("DELETE", f"/images/{one['Id']}?force=1")
    for name in "layers", "blobs/sha256":
        assert list((puller.dir / "root" / name).iterdir()) == []
    assert puller.request("GET", "/_ping")[0] == 200
    children = Path(f"/proc/{puller.pid()}/task/{puller.pid()}/children").read_text().split()
    assert children == []


def app(data=None):
    return image(tar(entry("file", data=os.urandom(100000) if data is None else data)))


def layer_of(one):
    return one.manifest_json["layers"][0]["digest"]


def config_of(one):
    return one.manifest_json["config"]["digest"]


def memory(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10
    raise ValueError("no VmRSS")


def test_another_content_than_the_digest_says_is_refused(puller, fake):
    one = app()
    fake.add(one)
    other = gzip.compress(tar(entry("file", data=b"x" * 100)))
    good = fake.blobs[layer_of(one)]
    fake.blobs[layer_of(one)] = other[:50] + other[50:] + b"\0" * (len(good) - len(other))
    status, lines = pull(puller, f"{fake.host}/app")
    assert status == 200 and any(word in error_of(lines) for word in ("does not match", "unpack"))


def test_a_layer_that_is_not_the_configs_is_refused(puller, fake):
    one = app()
    one.config["rootfs"]["diff_ids"] = ["sha256:" + "0" * 64]
    fake.add(one)
    assert "does not match its diffID" in error_of(pull(puller, f"{fake.host}/app")[1])


def test_a_config_with_another_content_is_refused(puller, fake):
    one = app()
    fake.add(one)
    data = fake.blobs[config_of(one)]
    fake.blobs[config_of(one)] = data.replace(b"linux", b"Linux")
    assert "does not match its digest" in error_of(pull(puller, f"{fake.host}/app")[1])


def test_a_manifest_with_another_content_than_its_digest_is_refused(puller, fake):
    digest, _ = fake.add(app())
    fake.manifests[digest] = (fake.manifests[digest][0], fake.manifests[digest][1] + b" ")
    status, lines = pull(puller, f"{fake.host}/app", digest)
    assert status == 400 and "manifest verification failed for digest" in lines[0]["message"]


@pytest.mark.parametrize("change, words", [(1, "than the"), (-1, "unexpected EOF")], ids=["more", "less"])
def test_a_blob_of_another_size_is_refused(puller, fake, change, words):
    one = app()
    fake.add(one)
    good = fake.blobs[layer_of(one)]
    fake.blobs[layer_of(one)] = good + b"x" if change > 0 else good[:-1]
    assert words in error_of(pull(puller, f"{fake.host}/app")[1])


def test_a_body_without_end_is_cut_off(puller, fake):
    one = app()
    fake.add(one)

    def endless(h):
        h.send_response(200)
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()
        honest = fake.blobs.get(h.path.rsplit("/")[-1], b"x")
        try:
            h.wfile.write(b"%x\r\n%s\r\n" % (len(honest), honest))
            while True:
                h.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        except OSError:
            h.close_connection = True

    fake.hooks = [("manifests", endless)]
    before = memory(puller.pid())
    status, lines = pull(puller, f"{fake.host}/app")
    assert status == 413 and "more than 4194304 bytes" in lines[0]["message"]
    fake.hooks = [(layer_of(one), endless)]
    assert "than the" in error_of(pull(puller, f"{fake.host}/app")[1])
    assert memory(puller.pid()) < before + (64 << 20)


def test_a_connection_that_breaks_is_gone_on_with(puller, fake):
    one = app(os.urandom(3 << 20))
    fake.add(one)
    data = fake.blobs[layer_of(one)]
    cut = len(data) // 3

    def broken(h):
        if "Range" in h.headers:
            return False
        h.send_response(200)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data[:cut])
        h.wfile.flush()
        h.close_connection = True
        return True

    fake.hooks = [(layer_of(one), broken)]
    status, lines = pull(puller, f"{fake.host}/app")
    assert "error" not in lines[-1] and any("Retrying in 1 second" == line["status"] for line in lines)
    # more on a machine that is so busy that silence is taken for a stall
    first, second, *_ = fake.asked(layer_of(one))
    assert "Range" not in first and 0 < int(second["Range"][6:-1]) <= cut


def test_a_registry_without_ranges_sends_it_all_again(puller, fake):
    one = app(os.urandom(1 << 20))
    fake.add(one)
    data = fake.blobs[layer_of(one)]
    calls = []

    def broken(h):
        calls.append(1)
        h.send_response(200)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data if len(calls) > 1 else data[: len(data) // 2])
        h.wfile.flush()
        h.close_connection = True

    fake.hooks = [(layer_of(one), broken)]
    assert "error" not in pull(puller, f"{fake.host}/app")[1][-1]
    assert len(calls) >= 2


def test_a_bad_moment_is_waited_out(puller, fake):
    fake.add(app())
    calls = []

    def busy(h):
        calls.append(1)
        if len(calls) > 1:
            return False
        h.answer(503, b"busy")

    fake.hooks = [("manifests", busy)]
    assert "error" not in pull(puller, f"{fake.host}/app")[1][-1]


def test_a_stall_is_given_up(puller, fake):
    one = app()
    fake.add(one)
    released = threading.Event()

    def stall(h):
        h.send_response(200)
        h.send_header("Content-Length", "4000")
        h.end_headers()
        released.wait(100)
        h.close_connection = True

    fake.hooks = [("manifests", stall)]
    status, lines = pull(puller, f"{fake.host}/app")
    released.set()
    assert status == 500 and "too slow" in lines[0]["message"]


def test_redirects_in_a_circle_end(puller, fake):
    one = app()
    fake.add(one)
    fake.hooks = [("manifests", lambda h: h.answer(307, Location=h.path))]
    status, lines = pull(puller, f"{fake.host}/app")
    assert status == 500 and "stopped after 10 redirects" in lines[0]["message"]


def test_where_another_host_is_redirected_to_no_secret_is_sent(puller, fake):
    one = app()
    fake.add(one)
    store = FakeRegistry()
    store.add(one)
    good = "Basic bWU6c2VjcmV0"

    def check(h):
        if h.headers.get("Authorization") != good:
            return h.answer(401, b"{}", WWW_Authenticate='Basic realm="x"')
        return False

    fake.hooks = [("blobs/", lambda h: h.headers.get("Authorization") == good and
                   h.answer(307, Location=store.url + h.path)), ("^/v2/", check)]
    headers = auth_header(username="me", password="secret")
    assert "error" not in pull(puller, f"{fake.host}/app", headers=headers)[1][-1]
    assert len(store.requests) == 2 and all("Authorization" not in h for _, _, h in store.requests)
    store.close()


def test_a_challenge_of_another_host_is_not_answered(puller, fake):
    """A store behind the registry asks for proof of identity, and names a server of its own for it."""
    fake.add(app())
    thief = FakeRegistry()
    thief.hooks = [("^/token", lambda h: h.answer(200, b'{"token": "x"}')),
                   ("", lambda h: h.answer(401, b"{}", WWW_Authenticate=f'Bearer realm="{thief.url}/token"'))]
    fake.hooks = [("blobs/", lambda h: h.answer(307, Location=thief.url + h.path))]
    status, lines = pull(puller, f"{fake.host}/app", headers=auth_header(username="me", password="secret"))
    assert "unauthorized" in error_of(lines)
    assert thief.requests and not thief.asked("token") and not any("Authorization" in h for _, _, h in thief.requests)
    thief.close()


@pytest.mark.parametrize("path", ["manifests", "blobs/"])
def test_the_text_of_a_refusal_that_has_no_end_is_cut_off(puller, fake, path):
    fake.add(app())

    def endless(h):
        h.send_response(404)
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()
        try:
            while True:
                h.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        except OSError:
            h.close_connection = True

    fake.hooks = [(path, endless)]
    status, lines = pull(puller, f"{fake.host}/app")
    assert "error parsing HTTP 404 response body: xxx" in lines[-1].get("error", lines[-1].get("message"))


@pytest.mark.parametrize("path", ["manifests", "config", "^/v2/$"])
def test_an_answer_that_trickles_is_given_up_and_asked_for_again(puller, fake, path):
    one = app()
    fake.add(one)
    calls, done = [], threading.Event()

    def trickle(h):
        calls.append(1)
        if len(calls) > 1 and path != "^/v2/$":
            return False
        h.send_response(200)
        h.send_header("Content-Length", "4000")
        h.end_headers()
        try:
            # the config's own bytes: what came is kept
            for byte in fake.blobs[config_of(one)]:
                h.wfile.write(bytes([byte]))
                if done.wait(0.2):
                    break
        except OSError:
            h.close_connection = True

    fake.hooks = [(config_of(one) if path == "config" else path, trickle)]
    status, lines = pull(puller, f"{fake.host}/app")
    done.set()
    if path == "^/v2/$":
        assert status == 500 and "timed out" in lines[0]["message"]
    else:
        assert "error" not in lines[-1] and len(calls) == 2


def test_a_file_that_is_larger_than_any_image_is_refused_at_once(puller, fake):
    # what a bomb of 32 GiB and more looks like at its start
    info, _ = entry("big")
    info.size = 40 << 30
    one = image(info.tobuf() + b"\0" * 100000)
    fake.add(one)
    assert "more bytes than are allowed" in error_of(pull(puller, f"{fake.host}/app")[1])


def test_what_is_packed_behind_the_archives_end_is_bounded(puller, fake):
    one = image(tar(entry("a")) + b"\0" * (64 << 20))
    fake.add(one)
    assert "follow the archive's end" in error_of(pull(puller, f"{fake.host}/app")[1])


def test_an_archive_that_wants_out_of_its_layer_is_refused(puller, fake):
    fake.add(image(tar(entry("../../escaped", data=b"x"))))
    assert "leaves the root" in error_of(pull(puller, f"{fake.host}/app")[1])
    assert not list(puller.dir.rglob("escaped"))


@pytest.mark.parametrize("media, words", [
    ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "foreign layers are not supported"),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "foreign layers are not supported"),
    ("application/vnd.cncf.helm.chart", "unknown layer media type"),
])
def test_foreign_media_types_are_refused_by_name(puller, fake, media, words):
    one = app()
    one.media = [media]
    fake.add(one)
    error = error_of(pull(puller, f"{fake.host}/app")[1])
    assert words in error and media in error


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"schemaVersion": 1}', b"\0" * 100,
                                  b'{"schemaVersion": 2, "config": 3, "layers": []}'])
def test_a_manifest_that_is_none_is_refused(puller, fake, text):
    fake.add_manifest("application/vnd.oci.image.manifest.v1+json", text)
    assert "manifest" in error_of(pull(puller, f"{fake.host}/app")[1])


def test_indexes_without_end_are_refused(puller, fake):
    kind = "application/vnd.oci.image.index.v1+json"
    text = encode({"schemaVersion": 2, "manifests": []})
    for _ in range(6):
        text = encode({"schemaVersion": 2, "mediaType": kind, "manifests": [
            {"mediaType": kind, "digest": fake.add_manifest(kind, text), "size": len(text)}]})
    fake.add_manifest(kind, text)
    assert "nested deeper" in error_of(pull(puller, f"{fake.host}/app")[1])


@pytest.mark.parametrize("answer", [b"", b"{}", b'{"token": 3}', b'{"token": "a\\r\\nX: y"}', b"x" * (2 << 20)])
def test_a_token_server_that_talks_nonsense_is_an_error(puller, fake, answer):
    fake.add(app())
    fake.hooks = [("^/token", lambda h: h.answer(200, answer)),
                  ("^/v2/", lambda h: h.answer(401, b"{}", WWW_Authenticate=f'Bearer realm="{fake.url}/token"'))]
    status, lines = pull(puller, f"{fake.host}/app")
    assert status >= 400 and lines[0]["message"]


@pytest.mark.parametrize("header", ["Bearer", "Bearer realm=", 'Bearer realm="' + "x" * 5000 + '"', "Basic", "\x01", ","])
def test_a_challenge_that_is_none_is_an_error(puller, fake, header):
    fake.hooks = [("^/v2/", lambda h: h.answer(401, b"{}", WWW_Authenticate=header))]
    status, lines = pull(puller, f"{fake.host}/app")
    assert status >= 400 and lines[0]["message"]


@pytest.mark.parametrize("header", ["!", "e30", "W10", "eyJ1c2VybmFtZSI6IDN9", "x" * 60000])
def test_credentials_that_are_none_count_as_none(puller, fake, header):
    fake.add(app())
    status, lines = pull(puller, f"{fake.host}/app", headers={"X-Registry-Auth": header})
    assert status == 200 and "error" not in lines[-1]


def test_a_failed_layer_ends_the_others(puller, fake):
    one = image(*[tar(entry(f"f{i}", data=os.urandom(5000))) for i in range(5)])
    fake.add(one)
    bad = one.manifest_json["layers"][2]["digest"]
    fake.blobs[bad] = fake.blobs[bad][:-1] + b"\xff"
    error = error_of(pull(puller, f"{fake.host}/app")[1])
    assert bad[7:19] in error and digest_of(fake.blobs[bad]) != bad
