"""python3-docker's client, as programs that orchestrate containers use it."""

import io
import tarfile
import threading

import pytest

from harness import SLEEP, TIMEOUT

docker = pytest.importorskip("docker")
# its own use of distutils
pytestmark = pytest.mark.filterwarnings("ignore:distutils Version classes")


@pytest.fixture(name="client")
def _client(engine):
    client = docker.DockerClient(base_url=f"unix://{engine.socket}", version="auto", timeout=TIMEOUT)
    yield client
    client.close()


@pytest.fixture(name="sleeper")
def _sleeper(client):
    return client.containers.run("bb:1", list(SLEEP), detach=True, network_mode="none", name="sleeper",
                                 labels={"role": "sleeper"})


def test_what_the_engine_says_of_itself(client):
    assert client.ping() is True
    assert client.version()["ApiVersion"] == "1.51"
    info = client.info()
    assert (info["OSType"], info["CgroupDriver"]) == ("linux", "cgroupfs") and info["MemTotal"] > 0


def test_run_gives_back_the_output(client):
    out = client.containers.run("bb:1", ["sh", "-c", "echo out; echo err >&2"], network_mode="none", remove=True,
                                stdout=True, stderr=True)
    assert sorted(out.splitlines()) == [b"err", b"out"]
    assert client.containers.list(all=True) == []


def test_run_tells_of_a_failure(client):
    with pytest.raises(docker.errors.ContainerError) as error:
        client.containers.run("bb:1", ["sh", "-c", "echo no >&2; exit 4"], network_mode="none", remove=True)
    assert error.value.exit_status == 4 and error.value.stderr == b"no\n"
    with pytest.raises(docker.errors.APIError) as missing:
        client.containers.run("bb:1", ["no-such-program"], network_mode="none")
    assert missing.value.status_code == 400 and "executable file not found" in str(missing.value)
    with pytest.raises(docker.errors.APIError) as refused:
        client.containers.run("bb:1", ["true"], network_mode="none", mem_limit="1m")
    assert refused.value.status_code == 400 and "Minimum memory limit" in str(refused.value)


def test_what_is_not_there_is_not_found(client):
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("nobody")
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("nothing:1")


def test_a_container_lives_and_dies(client, sleeper):
    sleeper.reload()
    assert (sleeper.status, sleeper.labels["role"]) == ("running", "sleeper")
    assert [one.name for one in client.containers.list(filters={"label": "role=sleeper"})] == ["sleeper"]
    assert client.containers.list(filters={"label": "role=other"}) == []
    sleeper.rename("renamed")
    sleeper.pause()
    sleeper.reload()
    assert (sleeper.name, sleeper.status) == ("renamed", "paused")
    sleeper.unpause()
    sleeper.kill()
    assert sleeper.wait()["StatusCode"] == 137
    sleeper.start()
    sleeper.restart(timeout=0)
    sleeper.stop(timeout=0)
    sleeper.reload()
    assert sleeper.status == "exited"
    sleeper.remove()
    assert client.containers.list(all=True) == []


def test_logs_are_followed(client):
    container = client.containers.run("bb:1", ["sh", "-c", "for i in 1 2 3; do echo $i; done"], detach=True,
                                      network_mode="none")
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n"
    assert container.logs(tail=1) == b"3\n"


def test_exec_runs_beside_it(client, sleeper):
    code, out = sleeper.exec_run(["sh", "-c", "echo $WHO; echo err >&2; exit 5"], environment={"WHO": "me"}, demux=True)
    assert (code, out) == (5, (b"me\n", b"err\n"))
    _, lines = sleeper.exec_run(["seq", "3"], stream=True)
    assert b"".join(lines) == b"1\n2\n3\n"


def test_attach_speaks_both_ways(client):
    container = client.containers.create("bb:1", ["cat"], network_mode="none", stdin_open=True)
    sock = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    sock._sock.sendall(b"hello\n")
    head = sock.read(8)
    assert (head[0], sock.read(head[7])) == (1, b"hello\n")
    container.kill()


def test_files_go_in_and_come_out(client, sleeper):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("note")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    assert sleeper.put_archive("/tmp", packed.getvalue())
    chunks, stat = sleeper.get_archive("/tmp/note")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        assert archive.extractfile("note").read() == b"hello"
    assert (stat["name"], stat["size"]) == ("note", 5)
    assert {"Path": "/tmp/note", "Kind": 1} in sleeper.diff()


def test_stats_and_top(sleeper):
    assert sleeper.stats(stream=False)["name"] == "/sleeper"
    stream = sleeper.stats(stream=True, decode=True)
    assert next(stream)["read"] < next(stream)["read"]
    assert any("sleep" in " ".join(row) for row in sleeper.top()["Processes"])


def test_images_are_listed_tagged_saved_and_loaded(client):
    one = client.images.get("bb:1")
    assert one.tag("copy", "2") and "copy:2" in client.images.get(one.id).tags
    saved = b"".join(client.images.get(one.id).save(named="copy:2"))
    client.images.remove("copy:2")
    (loaded,) = client.images.load(saved)
    assert loaded.id == one.id and "copy:2" in loaded.tags
    client.images.remove("copy:2")


def test_a_commit_is_an_image(client, sleeper):
    made = sleeper.commit("made", "1", changes=["ENV MADE=yes"])
    assert client.containers.run("made:1", ["sh", "-c", "echo $MADE"], network_mode="none", remove=True) == b"yes\n"
    client.images.remove(made.id)


def test_volumes_outlive_containers(client):
    volume = client.volumes.create("kept", labels={"a": "b"})
    mount = docker.types.Mount("/data", "kept", type="volume")
    for script, out in (("echo 1 >/data/n", b""), ("cat /data/n", b"1\n")):
        assert client.containers.run("bb:1", ["sh", "-c", script], network_mode="none", remove=True,
                                     mounts=[mount]) == out
    assert [one.name for one in client.volumes.list(filters={"label": "a=b"})] == ["kept"]
    volume.remove()
    assert client.volumes.list() == []


def test_events_come_as_things_happen(client):
    events = client.events(decode=True, filters={"type": "container", "event": ["create", "die", "destroy"]})
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(next(events) for _ in range(3)))
    thread.start()
    client.containers.run("bb:1", ["sh", "-c", "exit 6"], network_mode="none", detach=True).wait()
    for one in client.containers.list(all=True):
        one.remove()
    thread.join(TIMEOUT)
    assert [one["Action"] for one in seen] == ["create", "die", "destroy"]
    assert seen[1]["Actor"]["Attributes"]["exitCode"] == "6"


def test_what_is_unused_is_pruned(client):
    client.containers.run("bb:1", ["true"], network_mode="none", detach=True).wait()
    assert len(client.containers.prune()["ContainersDeleted"]) == 1
    assert client.df()["Containers"] in ([], None)
