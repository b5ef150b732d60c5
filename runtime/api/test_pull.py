"""Pulling from registries that behave."""

import hashlib
import json
import os
import signal
import subprocess
import threading

import pytest

import harness
from harness import Engine
from imagefiles import digest_of, encode, entry, folder, tar
from registries import (ARCH, DOCKER, DebianRegistry, FakeRegistry, auth_header, error_of, image, make_certificate,
                        pull, push)


@pytest.fixture(scope="module")
def puller():
    engine = Engine("--registry-timeout 2")
    yield engine
    engine.close()


@pytest.fixture
def fake(clean):
    registry = FakeRegistry()
    yield registry
    registry.close()


@pytest.fixture
def clean(puller):
    yield
    for one in puller.get("/images/json"):
        puller.request("DELETE", f"/images/{one['Id']}?force=1")
    assert_clean(puller)


def assert_clean(engine):
    for name in "layers", "blobs/sha256":
        assert list((engine.dir / "root" / name).iterdir()) == [], name


def two_layers(**more):
    return image(tar(folder("etc"), entry("etc/one", data=b"1")), tar(entry("etc/two", data=os.urandom(300000))), **more)


def statuses(lines, layer=None):
    return [line["status"] for line in lines if layer is None or line.get("id") == layer]


def test_a_pull_tells_what_docker_tells(puller, fake):
    one = two_layers()
    digest, _ = fake.add(one, "v1")
    status, lines = pull(puller, f"{fake.host}/some/app", "v1")
    assert status == 200
    assert lines[0] == {"status": "Pulling from some/app", "id": "v1"}
    ids = [layer["digest"][7:19] for layer in one.manifest_json["layers"]]
    assert [line["id"] for line in lines[1:3]] == ids
    assert lines[1] == {"status": "Pulling fs layer", "progressDetail": {}, "id": ids[0]}
    told = statuses(lines, ids[1])
    seen = [word for i, word in enumerate(told) if i == 0 or told[i - 1] != word]
    assert seen == ["Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete", "Extracting",
                    "Pull complete"]
    counted = [line for line in lines if line["status"] == "Downloading" and line["id"] == ids[1]]
    assert counted[-1]["progressDetail"]["total"] == len(one.packed[1])
    assert "kB" in counted[-1]["progress"] and counted[-1]["progress"].startswith("[")
    assert lines[-2:] == [{"status": f"Digest: {digest}"},
                          {"status": f"Status: Downloaded newer image for {fake.host}/some/app:v1"}]
    status, lines = pull(puller, f"{fake.host}/some/app", "v1")
    assert statuses(lines, ids[0]) == ["Already exists"]
    assert lines[-1] == {"status": f"Status: Image is up to date for {fake.host}/some/app:v1"}


def test_a_pulled_image_has_its_ids_and_digests(puller, fake):
    one = two_layers(config={"Cmd": ["x"]})
    digest, descriptor = fake.add(one)
    assert pull(puller, f"{fake.host}/app")[0] == 200
    found = puller.get(f"/images/{fake.host}/app/json")
    assert found["Id"] == one.manifest_json["config"]["digest"]
    assert found["RepoTags"] == [f"{fake.host}/app:latest"] and found["RepoDigests"] == [f"{fake.host}/app@{digest}"]
    assert puller.get("/images/json")[0]["RepoDigests"] == found["RepoDigests"]
    assert found["RootFS"]["Layers"] == [digest_of(layer) for layer in one.plain]
    assert puller.get(f"/images/{fake.host}/app@{digest}/json")["Id"] == found["Id"]
    status, body, _ = puller.request("GET", f"/events?since=0&until={harness.time.time() + 0.1:.3f}")
    told = [json.loads(line) for line in body.splitlines()]
    assert [e["Actor"]["Attributes"]["name"] for e in told if e["Action"] == "pull"][-1] == f"{fake.host}/app"
    status, body, _ = puller.request("DELETE", f"/images/{fake.host}/app:latest")
    assert status == 200 and puller.get("/images/json") == []


@pytest.mark.parametrize("packing", ["gzip", "zstd", None])
def test_every_packing_is_unpacked_and_runs(puller, fake, packing):
    busybox = tar(folder("bin"), entry("bin/busybox", data=harness.BUSYBOX.read_bytes(), mode=0o755))
    fake.add(image(busybox, packing=packing, config={"Cmd": ["/bin/busybox", "echo", "pulled"]}))
    assert pull(puller, f"{fake.host}/bb")[0] == 200
    container = puller.post("/containers/create", {"Image": f"{fake.host}/bb", "HostConfig": {"NetworkMode": "none"}})["Id"]
    puller.post(f"/containers/{container}/start")
    assert puller.wait(container) == 0 and puller.logs(container) == [(1, b"pulled\n")]
    puller.request("DELETE", f"/containers/{container}")


def test_owners_modes_attributes_and_whiteouts_survive_the_confined_unpacker(puller, fake):
    lower = tar(folder("d"), entry("d/old"), folder("gone"), entry("gone/x"))
    upper = tar(
        entry("implied/file", data=b"x", uid=1234, gid=77, mode=0o4755),
        entry("capable", data=b"x", xattrs={"security.capability": bytes.fromhex(
            "0100000200040000000000000000000000000000").decode("latin-1")}),
        folder("d"), entry("d/.wh..wh..opq"), entry(".wh.gone"),
    )
    one = image(lower, upper)
    fake.add(one)
    assert pull(puller, f"{fake.host}/odd")[0] == 200
    chains = puller.dir / "root/layers"
    top = next(p for p in chains.iterdir() if (p / "implied").exists())
    found = (top / "implied/file").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (1234, 77, 0o4755)
    assert (top / "implied").stat().st_uid == 0 and os.lstat(top / "gone").st_uid == 0
    assert os.getxattr(top / "capable", "security.capability")
    assert os.getxattr(top / "d", "trusted.overlay.opaque") == b"y"
    assert os.lstat(top / "gone").st_rdev == 0 and os.path.stat.S_ISCHR(os.lstat(top / "gone").st_mode)


def test_an_index_gives_this_machines_image_and_its_own_digest(puller, fake):
    ours, other = two_layers(), image(tar(entry("foreign")), architecture="s390x")
    entries = []
    for one, arch in (other, "s390x"), (ours, ARCH):
        fake.add(one, "x")
        entries.append(one.manifest(platform={"os": "linux", "architecture": arch}))
    kind = "application/vnd.oci.image.index.v1+json"
    digest = fake.add_manifest(kind, encode({"schemaVersion": 2, "mediaType": kind, "manifests": entries}))
    assert pull(puller, f"{fake.host}/multi")[0] == 200
    found = puller.get(f"/images/{fake.host}/multi/json")
    assert found["Id"] == ours.manifest_json["config"]["digest"]
    assert found["RepoDigests"] == [f"{fake.host}/multi@{digest}"]
    wanted = {"amd64": "linux/arm64", "arm64": "linux/amd64"}[ARCH]
    status, lines = pull(puller, f"{fake.host}/multi", platform=wanted)
    assert error_of(lines) == f"no matching manifest for {wanted} in the manifest list entries"


def test_a_digest_pins_the_image(puller, fake):
    digest, _ = fake.add(two_layers())
    fake.add(image(tar(entry("newer"))))
    status, lines = pull(puller, f"{fake.host}/app", digest)
    assert status == 200 and lines[-1]["status"].endswith(f"image for {fake.host}/app@{digest}")
    (found,) = puller.get("/images/json")
    assert found["RepoTags"] == [] and found["RepoDigests"] == [f"{fake.host}/app@{digest}"]


@pytest.mark.parametrize("name, tag, status, message", [
    ("app", "nosuch", 404, "manifest for {host}/app:nosuch not found: manifest unknown: manifest unknown"),
    ("App", "x", 400, "invalid reference format: repository name (App) must be lowercase"),
    ("app", "-", 400, "invalid reference format"),
])
def test_a_name_that_leads_nowhere_is_a_proper_error(puller, fake, name, tag, status, message):
    fake.add(two_layers())
    got, lines = pull(puller, f"{fake.host}/{name}", tag)
    assert (got, lines) == (status, [{"message": message.format(host=fake.host)}])


def test_denied_is_said_as_docker_says_it(puller, fake):
    fake.hooks = [("manifests", lambda h: h.refuse(403, "DENIED", "requested access to the resource is denied"))]
    got, lines = pull(puller, f"{fake.host}/secret")
    assert got == 404 and lines[0]["message"] == (
        f"pull access denied for {fake.host}/secret, repository does not exist or may require 'docker login': "
        "denied: requested access to the resource is denied")


def test_nobody_there_is_an_error_that_names_the_address(puller):
    got, lines = pull(puller, "127.0.0.1:1/app")
    assert got == 500 and 'Get "http://127.0.0.1:1/v2/"' in lines[0]["message"]


def test_create_of_a_missing_image_makes_the_client_pull(puller):
    status, body, _ = puller.request("POST", "/containers/create", {"Image": "nosuch"})
    assert (status, json.loads(body)) == (404, {"message": "No such image: nosuch:latest"})


def test_layers_come_three_at_a_time_and_each_once(puller, fake):
    one = image(*[tar(entry(f"f{i}", data=os.urandom(2000))) for i in range(6)])
    fake.add(one)
    barrier, most, now = threading.Semaphore(0), [0], [0]
    lock = threading.Lock()

    def slow(h):
        if h.path.endswith(one.manifest_json["config"]["digest"]):
            return False
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == 3:
                barrier.release(100)
        barrier.acquire(timeout=20)
        with lock:
            now[0] -= 1
        return False

    fake.hooks = [("blobs/", slow)]
    results = []
    threads = [threading.Thread(target=lambda: results.append(pull(puller, f"{fake.host}/six")))]
    threads.append(threading.Thread(target=lambda: results.append(pull(puller, f"{fake.host}/six"))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [status for status, _ in results] == [200, 200] and most[0] == 3
    assert all("error" not in lines[-1] for _, lines in results)
    for layer in one.manifest_json["layers"]:
        assert len(fake.asked(layer["digest"])) == 1


# Authentication


class Tokens(FakeRegistry):
    """Its own token server: what it gives out lasts for two requests."""

    def __init__(self, user=None):
        super().__init__()
        self.user, self.given, self.uses, self.token_requests = user, 0, 0, []
        self.hooks = [("^/token", self.give), ("^/v2/", self.check)]

    def give(self, h):
        self.token_requests.append(h.path)
        if self.user and h.headers.get("Authorization") != self.user:
            h.refuse(401, "UNAUTHORIZED", "incorrect username or password")
            return
        self.given += 1
        self.uses = 0
        h.answer(200, encode({"token": f"t{self.given}", "expires_in": 300}))

    def check(self, h):
        self.uses += 1
        if h.headers.get("Authorization") == f"Bearer t{self.given}" and self.uses <= 2:
            return False
        h.answer(401, b"{}", WWW_Authenticate=f'Bearer realm="{self.url}/token",service="reg",scope="repository:app:pull"')


def test_a_bearer_token_is_fetched_with_its_scope_and_renewed(puller, clean):
    registry = Tokens()
    one = two_layers()
    registry.add(one)
    status, lines = pull(puller, f"{registry.host}/app")
    assert status == 200 and "error" not in lines[-1], lines
    assert registry.given >= 2
    assert "service=reg" in registry.token_requests[0] and "scope=repository%3Aapp%3Apull" in registry.token_requests[0]
    registry.close()


def test_credentials_go_to_the_token_server_and_login_says_whether_they_are_right(puller, clean):
    registry = Tokens(user="Basic bWU6c2VjcmV0")
    registry.add(two_layers())
    good = {"username": "me", "password": "secret", "serveraddress": registry.host}
    assert puller.post("/auth", good) == {"Status": "Login Succeeded", "IdentityToken": ""}
    status, body, _ = puller.request("POST", "/auth", {**good, "password": "wrong"})
    assert status == 401 and b"unauthorized: incorrect username or password" in body
    assert pull(puller, f"{registry.host}/app", headers=auth_header(**good))[0] == 200
    status, lines = pull(puller, f"{registry.host}/app")
    assert status == 500 and "unauthorized" in lines[0]["message"]
    registry.close()


# Debian's registry, with the stock client


@pytest.fixture(scope="module")
def debian():
    registry = DebianRegistry(tls=True, users={"me": "secret"})
    engine = Engine("--certs {root}/none.d --certs {root}/certs.d")
    certs = engine.dir / "root/certs.d" / registry.host
    certs.mkdir(parents=True)
    (certs / "ca.crt").write_bytes(registry.cert.read_bytes())
    engine.load_image()
    yield engine, registry
    engine.close()
    registry.close()


def docker(engine, config, *words, **more):
    return subprocess.run(
        ["docker", "--config", config, "-H", f"unix://{engine.socket}", *words], capture_output=True, text=True,
        timeout=120, stdin=subprocess.DEVNULL if "input" not in more else None, **more)


def test_the_stock_client_logs_in_pushes_and_pulls_over_tls(debian, tmp_path):
    engine, registry = debian
    name = f"{registry.host}/team/bb:1"
    before = engine.get("/images/bb:1/json")["Id"]
    assert docker(engine, tmp_path, "tag", "bb:1", name).returncode == 0
    done = docker(engine, tmp_path, "push", name)
    assert done.returncode != 0 and "no basic auth credentials" in done.stderr
    done = docker(engine, tmp_path, "login", "-u", "me", "--password-stdin", registry.host, input="wrong")
    assert done.returncode != 0 and "401 Unauthorized" in done.stderr
    done = docker(engine, tmp_path, "login", "-u", "me", "--password-stdin", registry.host, input="secret")
    assert done.returncode == 0 and "Login Succeeded" in done.stdout
    done = docker(engine, tmp_path, "push", name)
    assert done.returncode == 0 and "1: digest: sha256:" in done.stdout, done.stderr
    digest = engine.get(f"/images/{name}/json")["RepoDigests"]
    assert digest[0].split("@")[1] in done.stdout
    done = docker(engine, tmp_path, "push", name)
    assert done.stdout.count("Layer already exists") == 2
    engine.request("DELETE", "/images/bb:1")
    assert docker(engine, tmp_path, "rmi", name).returncode == 0
    assert engine.get("/images/json") == [] and list((engine.dir / "root/layers").iterdir()) == []
    done = docker(engine, tmp_path, "run", "--rm", "--network", "none", name, "cat", "/etc/greeting")
    assert done.returncode == 0 and done.stdout == "hello\n", done.stderr
    assert f"Downloaded newer image for {name}" in done.stderr
    found = engine.get(f"/images/{name}/json")
    assert found["Id"] == before and found["RepoDigests"] == digest
    inspected = engine.request("GET", f"/distribution/{name}/json", headers=auth_header(username="me", password="secret"))
    assert json.loads(inspected[1])["Descriptor"]["digest"] == digest[0].split("@")[1]
    assert engine.request("GET", f"/distribution/{name}/json")[0] == 401
    engine.load_image()


def test_a_pulled_image_is_pushed_with_the_same_digest_and_blobs_are_mounted(debian):
    engine, registry = debian
    me = auth_header(username="me", password="secret")
    engine.post(f"/images/bb:1/tag?repo={registry.host}/first&tag=1")
    assert "aux" in push(engine, f"{registry.host}/first", "1", me)[1][-1]
    engine.post(f"/images/bb:1/tag?repo={registry.host}/second&tag=1")
    status, lines = push(engine, f"{registry.host}/second", "1", me)
    assert sum("Mounted from first" in line.get("status", "") for line in lines) == 2, lines
    digests = engine.get("/images/bb:1/json")["RepoDigests"]
    assert len({digest.split("@")[1] for digest in digests}) == 1


def test_an_authority_that_is_not_trusted_ends_the_pull(debian, tmp_path):
    engine, registry = debian
    certs = engine.dir / "root/certs.d" / registry.host / "ca.crt"
    good = certs.read_bytes()
    certs.write_bytes(make_certificate(tmp_path)[0].read_bytes())
    status, lines = pull(engine, f"{registry.host}/team/bb", "1")
    certs.write_bytes(good)
    assert status == 500 and "certificate" in lines[0]["message"], lines


def test_a_mirror_is_asked_first_and_the_registry_when_it_has_not(tmp_path):
    mirror = FakeRegistry()
    digest, _ = mirror.add(two_layers(), "1")
    engine = Engine(f"--registry-mirror {mirror.url}")
    status, lines = pull(engine, "debian", "1", headers=auth_header(username="me", password="secret"))
    assert status == 200 and lines[0]["status"] == "Pulling from library/debian"
    assert engine.get("/images/debian:1/json")["RepoDigests"] == [f"debian@{digest}"]
    assert all("Authorization" not in headers for _, _, headers in mirror.requests)
    engine.close()
    mirror.close()


def test_a_pull_that_is_killed_leaves_nothing_and_works_the_next_time():
    registry, engine = FakeRegistry(), Engine()
    one = image(tar(entry("a", data=b"a" * 5000)), tar(entry("b", data=os.urandom(400000))))
    registry.add(one)
    reached, released = threading.Event(), threading.Event()

    def half(h):
        data = one.packed[1]
        h.send_response(200)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data[: len(data) // 2])
        h.wfile.flush()
        reached.set()
        released.wait(60)

    registry.add(one)
    registry.hooks = [(one.manifest_json["layers"][1]["digest"], half)]
    result = []

    def try_pull():
        try:
            result.append(pull(engine, f"{registry.host}/app"))
        except (ConnectionError, harness.http.client.HTTPException) as e:
            result.append(e)

    thread = threading.Thread(target=try_pull)
    thread.start()
    assert reached.wait(60)
    os.kill(engine.pid(), signal.SIGKILL)
    thread.join(60)
    engine.wait_ready()
    assert_clean(engine)
    assert engine.get("/images/json") == []
    released.set()
    registry.hooks = []
    status, lines = pull(engine, f"{registry.host}/app")
    assert status == 200 and "error" not in lines[-1]
    layers = engine.dir / "root/layers"
    kept = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (engine.dir / "root/blobs/sha256").iterdir()}
    assert len(list(layers.iterdir())) == 2 and kept == {digest_of(data)[7:] for data in one.packed}
    engine.close()
    registry.close()


def test_a_client_that_goes_away_ends_its_pull(puller, fake):
    one = two_layers()
    fake.add(one)
    reached, released = threading.Event(), threading.Event()

    def hold(h):
        reached.set()
        released.wait(60)
        return False

    fake.hooks = [(one.manifest_json["layers"][1]["digest"], hold)]
    connection = harness.Connection(puller.socket)
    connection.request("POST", f"/images/create?fromImage={fake.host}/app&tag=latest")
    assert reached.wait(60)
    connection.close()
    deadline = harness.time.monotonic() + 60
    while list((puller.dir / "root/layers").iterdir()):
        assert harness.time.monotonic() < deadline
        harness.select.select([], [], [], 0.02)
    released.set()
    assert puller.get("/images/json") == []


def test_docker_media_types_are_known(puller, fake):
    one = two_layers()
    one.media = [f"{DOCKER}.image.rootfs.diff.tar.gzip"] * 2
    one.config_media, one.manifest_media = f"{DOCKER}.container.image.v1+json", f"{DOCKER}.distribution.manifest.v2+json"
    fake.add(one)
    status, lines = pull(puller, f"{fake.host}/app")
    assert status == 200 and "error" not in lines[-1]
