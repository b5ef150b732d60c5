"""Containers through the API, as a client sees them."""

import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

import harness


def attach(engine, container, options="stream=1&stdout=1&stderr=1&stdin=1"):
    """A hijacked connection, past the answer's head."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(str(engine.socket))
    sock.sendall(
        f"POST /containers/{container}/attach?{options} HTTP/1.1\r\nHost: x\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    assert head.startswith(b"HTTP/1.1 101 UPGRADED"), head
    return sock


def read_to_end(sock):
    data = b""
    while part := sock.recv(65536):
        data += part
    return data


# The engine itself


def test_ping_tells_the_versions(engine):
    status, body, headers = engine.request("GET", "/_ping")
    assert (status, body) == (200, b"OK")
    assert headers["Api-Version"] == "1.51" and headers["Ostype"] == "linux"
    status, body, headers = engine.request("HEAD", "/_ping")
    assert (status, body, headers["Content-Length"]) == (200, b"", "2")


@pytest.mark.parametrize("path, status", [
    ("/v1.24/version", 200), ("/v1.51/version", 200), ("/version", 200), ("/v1.23/version", 400),
    ("/v1.52/version", 400), ("/nosuch", 404), ("/v1.41/nosuch", 404),
])
def test_paths_with_and_without_a_version(engine, path, status):
    got, body, _ = engine.request("GET", path)
    assert got == status
    if status != 200:
        assert json.loads(body)["message"]


def test_what_is_not_served_says_so_by_name(engine):
    status, body, _ = engine.request("POST", "/swarm/init")
    assert status == 404
    status, body, _ = engine.request("GET", "/swarm")
    assert status == 501 and b"/swarm is not served" in body


def test_info_tells_of_this_machine(engine):
    info = engine.get("/info")
    assert info["CgroupVersion"] == "2" and info["OSType"] == "linux"
    assert info["NCPU"] > 0 and info["MemTotal"] > 1 << 20 and info["Images"] == 1


def test_a_docker_client_gets_through_by_dial_stdio(engine):
    done = subprocess.run(
        [harness.SAMPAN, "system", "dial-stdio"], input=b"GET /_ping HTTP/1.1\r\nConnection: close\r\n\r\n",
        env=dict(os.environ, SAMPAN_ENGINE_SOCKET=str(engine.socket)), capture_output=True, timeout=60,
    )
    assert done.returncode == 0 and done.stdout.startswith(b"HTTP/1.1 200 OK")
    assert done.stdout.endswith(b"\r\n\r\nOK")


# Images


def test_a_loaded_image_is_listed_and_inspected(engine):
    (image,) = engine.get("/images/json")
    assert image["RepoTags"] == ["bb:1"] and image["Labels"] == {"made-by": "test"}
    for name in ("bb:1", "docker.io/library/bb:1", image["Id"], image["Id"][7:19]):
        found = engine.get(f"/images/{name}/json")
        assert found["Id"] == image["Id"]
        assert len(found["RootFS"]["Layers"]) == 2
    assert "VirtualSize" in engine.get("/v1.43/images/json")[0]
    assert "VirtualSize" not in engine.get("/v1.44/images/json")[0]


def test_names_come_and_go_and_the_last_one_takes_the_image_along(own_engine):
    engine = own_engine
    engine.post("/images/bb:1/tag?repo=other/name&tag=2")
    assert sorted(engine.get("/images/json")[0]["RepoTags"]) == ["bb:1", "other/name:2"]
    status, body, _ = engine.request("DELETE", "/images/bb:1")
    assert status == 200 and json.loads(body) == [{"Untagged": "bb:1"}]
    container = engine.create("true", Image="other/name:2")
    status, body, _ = engine.request("DELETE", "/images/other/name:2")
    assert status == 409 and container[:12].encode() in body
    engine.request("DELETE", f"/containers/{container}")
    status, body, _ = engine.request("DELETE", "/images/other/name:2")
    assert status == 200 and engine.get("/images/json") == []
    assert list((engine.dir / "root/layers").iterdir()) == []


@pytest.mark.parametrize("archive", [b"", b"not a tar file", b"\0" * 1024],
                         ids=["nothing", "text", "empty-tar"])
def test_an_archive_that_is_none_is_refused_and_leaves_nothing(engine, archive):
    before = sorted((engine.dir / "root/layers").iterdir())
    status, body, _ = engine.request("POST", "/images/load", archive)
    assert status >= 400 or b"errorDetail" in body, body
    assert sorted((engine.dir / "root/layers").iterdir()) == before
    assert len(engine.get("/images/json")) == 1


# Containers


def test_a_container_runs_with_its_layers_stacked(engine):
    code, out = engine.run_to_end("sh", "-c", "cat /etc/greeting; ls /bin/false; exit 7")
    assert (code, out) == (7, b"hello\n")


def test_the_two_streams_are_kept_apart(engine):
    container = engine.start("sh", "-c", "echo out; echo err >&2")
    engine.wait(container)
    assert sorted(engine.logs(container)) == [(1, b"out\n"), (2, b"err\n")]
    assert engine.logs(container, "stderr=1") == [(2, b"err\n")]


def test_tail_takes_the_last_lines(engine):
    container = engine.start("seq", "1", "1000")
    engine.wait(container)
    assert engine.logs(container, "stdout=1&tail=2") == [(1, b"999\n1000\n")]
    assert engine.logs(container, "stdout=1&tail=0") == []
    (_, all_lines), = engine.logs(container, "stdout=1")
    assert all_lines.split() == [str(i).encode() for i in range(1, 1001)]


def test_logs_follow_until_the_end(engine):
    container = engine.start("sh", "-c", "echo one; read x; echo two", OpenStdin=True, StdinOnce=True)
    sock = attach(engine, container, "stream=1&stdin=1")
    followed = []
    thread = threading.Thread(
        target=lambda: followed.extend(engine.logs(container, "stdout=1&follow=1"))
    )
    thread.start()
    sock.sendall(b"go\n")
    thread.join(60)
    assert followed == [(1, b"one\ntwo\n")]
    sock.close()


def test_input_reaches_the_program_and_ends_with_the_client(engine):
    container = engine.create("cat", OpenStdin=True, StdinOnce=True)
    sock = attach(engine, container)
    sock.sendall(b"said before the start\n")
    sock.shutdown(socket.SHUT_WR)
    engine.post(f"/containers/{container}/start")
    data = read_to_end(sock)
    assert data[8:] == b"said before the start\n" and data[0] == 1
    assert engine.wait(container) == 0


def test_a_terminal_is_one_raw_stream(engine):
    container = engine.create("sh", "-c", "tty; echo err >&2", Tty=True)
    sock = attach(engine, container)
    engine.post(f"/containers/{container}/start")
    assert read_to_end(sock) == b"/dev/pts/0\r\nerr\r\n"


def test_wait_answers_its_head_at_once_and_the_code_later(engine):
    container = engine.create("sh", "-c", "exit 5")
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(str(engine.socket))
    sock.sendall(f"POST /containers/{container}/wait?condition=next-exit HTTP/1.1\r\n\r\n".encode())
    assert sock.recv(17).startswith(b"HTTP/1.1 200 OK")
    engine.post(f"/containers/{container}/start")
    data = b""
    while b"StatusCode" not in data:
        data += sock.recv(4096)
    assert b'{"StatusCode":5}' in data


def test_stop_gives_the_program_its_time_then_kills_it(engine):
    container = engine.start("sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 1; done")
    engine.wait_for_output(container, b"ready\n")
    engine.post(f"/containers/{container}/stop?t=30")
    assert engine.state(container)["ExitCode"] == 3
    container = engine.start("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
    engine.wait_for_output(container, b"ready\n")
    engine.post(f"/containers/{container}/stop?t=0")
    assert engine.state(container)["ExitCode"] == 137
    status, _, _ = engine.request("POST", f"/containers/{container}/stop")
    assert status == 304


def test_a_program_that_is_not_there_is_told_with_127(engine):
    container = engine.create("nosuch")
    status, body, _ = engine.request("POST", f"/containers/{container}/start")
    assert status == 400 and b"executable file not found in $PATH" in body
    state = engine.state(container)
    assert (state["Status"], state["ExitCode"]) == ("created", 127)


def test_a_name_is_given_once(engine):
    first = engine.create("true", name="mine")
    status, body, _ = engine.request(
        "POST", "/containers/create?name=mine", {"Image": "bb:1", "HostConfig": {"NetworkMode": "none"}}
    )
    assert status == 409 and first.encode() in body
    engine.post(f"/containers/{first}/rename?name=yours")
    assert engine.get("/containers/yours/json")["Id"] == first
    assert engine.get(f"/containers/{first[:10]}/json")["Name"] == "/yours"


@pytest.mark.parametrize("body, path", [
    ({"Image": 5}, "Image"),
    ({"Image": "bb:1", "Env": "A=B"}, "Env"),
    ({"Image": "bb:1", "HostConfig": {"Memory": "1g"}}, "HostConfig.Memory"),
    ({"Image": "bb:1", "HostConfig": {"RestartPolicy": {"Name": 1}}}, "HostConfig.RestartPolicy.Name"),
    ({"Image": "bb:1", "Labels": {"a": 1}}, "Labels.a"),
])
def test_a_wrong_type_is_refused_by_its_field(engine, body, path):
    status, answer, _ = engine.request("POST", "/containers/create", body)
    assert status == 400 and f"{path}: expected" in json.loads(answer)["message"]


def test_filters_are_honoured_and_unknown_ones_refused(engine):
    one = engine.create("true", name="one", Labels={"a": "1", "b": "2"})
    two = engine.create("true", name="two", Labels={"a": "1"})

    def listed(**filters):
        found = engine.get(f"/containers/json?all=1&filters={json.dumps(filters)}".replace(" ", ""))
        return {c["Id"] for c in found}

    assert listed(label=["a"]) == {one, two}
    assert listed(label=["a=1", "b=2"]) == {one}
    assert listed(label={"b=3": True}) == set()
    assert listed(name=["tw"]) == {two}
    assert listed(status=["created"]) == {one, two} and listed(status=["running"]) == set()
    status, body, _ = engine.request("GET", '/containers/json?filters={"nosuch":["x"]}')
    assert status == 400 and b"nosuch" in body


def test_limits_of_what_may_be_done_inside(engine):
    script = "id -u; touch /x 2>/dev/null || echo read-only; touch /t/x && echo tmpfs"
    code, out = engine.run_to_end(
        "sh", "-c", script, User="user", host={"ReadonlyRootfs": True, "Tmpfs": {"/t": "mode=1777"}}
    )
    assert (code, out) == (0, b"1000\nread-only\ntmpfs\n")


def test_a_container_that_removes_itself(engine):
    container = engine.create("true", host={"AutoRemove": True})
    engine.post(f"/containers/{container}/start")
    assert engine.wait(container, "removed") == 0
    status, _, _ = engine.request("GET", f"/containers/{container}/json")
    assert status == 404
    assert not (engine.dir / f"root/containers/{container}").exists()


def test_on_failure_tries_as_often_as_it_says(engine):
    policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}
    container = engine.start("sh", "-c", "echo try; exit 4", host=policy)
    assert engine.wait(container) == 4
    assert engine.get(f"/containers/{container}/json")["RestartCount"] == 2
    assert engine.logs(container) == [(1, b"try\ntry\ntry\n")]


def test_events_come_in_dockers_order(engine):
    since = int(time.time())
    container = engine.start("sh", "-c", "while :; do sleep 1; done", name="seen")
    engine.post(f"/containers/{container}/stop?t=0")
    engine.request("DELETE", f"/containers/{container}")
    filters = json.dumps({"container": ["seen"], "type": ["container"]}).replace(" ", "")
    status, body, _ = engine.request(
        "GET", f"/events?since={since}&until={int(time.time()) + 1}&filters={filters}"
    )
    actions = [json.loads(line)["Action"] for line in body.splitlines()]
    assert actions == ["create", "start", "kill", "kill", "die", "stop", "destroy"]


# The engine dies


def test_containers_outlive_the_engine_with_all_that_they_print(own_engine):
    engine = own_engine
    script = "i=0; while [ ! -e /tmp/end ]; do i=$((i+1)); echo $i; sleep 0.05; done; exit 6"
    container = engine.start("sh", "-c", script)
    for _ in range(3):
        engine.kill()
        engine.wait_ready()
        assert engine.state(container)["Status"] == "running"
    engine.cli("exec", container, "touch", "/tmp/end")
    assert engine.wait(container) == 6
    (_, out), = engine.logs(container)
    lines = out.split()
    assert lines == [str(i).encode() for i in range(1, len(lines) + 1)] and len(lines) > 3


def test_an_end_while_the_engine_is_away_is_not_lost(own_engine):
    engine = own_engine
    container = engine.start("sh", "-c", "read x; exit 9", OpenStdin=True)
    sock = attach(engine, container, "stream=1&stdin=1")
    pid = engine.pid()
    # it ends while the engine cannot look
    os.kill(pid, signal.SIGSTOP)
    inside = engine_child(engine, container)
    os.kill(inside, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    engine.wait_ready()
    assert engine.wait(container) == 137
    sock.close()


def engine_child(engine, container):
    """The number of the container's process, from the file that the runtime wrote."""
    return int((engine.dir / f"root/containers/{container}/pid").read_text())


@pytest.mark.parametrize("round_", range(8))
def test_what_was_acknowledged_is_there_after_a_kill(own_engine, round_):
    engine = own_engine
    created = [engine.create("true", name=f"c{i}") for i in range(round_)]
    engine.post("/images/bb:1/tag?repo=t&tag=1")
    if created:
        engine.request("DELETE", f"/containers/{created[0]}")
    engine.kill()
    engine.wait_ready()
    assert {c["Id"] for c in engine.get("/containers/json?all=1")} == set(created[1:])
    assert "t:1" in engine.get("/images/json")[0]["RepoTags"]
    kept = {path.name for path in (engine.dir / "root/containers").iterdir()}
    assert kept == set(created[1:])
