"""What containers use, as far as this machine's kernel counts it; usage_test.c has the rest."""

import json
import os
import socket
import time

import pytest

ZEROS = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}
NOTHING = {"io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
           "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive"}


@pytest.fixture
def busy(engine):
    return engine.start("sh", "-c", "while :; do :; done", name="busy")


def test_two_samples_tell_how_busy_it_is(engine, busy):
    stats = engine.get(f"/containers/{busy}/stats?stream=false")
    assert stats["name"] == "/busy" and stats["id"] == busy
    now, before = stats["cpu_stats"], stats["precpu_stats"]
    assert stats["preread"] < stats["read"] and before["system_cpu_usage"] < now["system_cpu_usage"]
    assert now["online_cpus"] == os.cpu_count()
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    machine = now["system_cpu_usage"] - before["system_cpu_usage"]
    assert 0 < used <= machine * 1.5
    assert now["cpu_usage"]["usage_in_usermode"] > 0
    assert set(stats["blkio_stats"]) == NOTHING and "networks" not in stats


def test_one_shot_has_one_sample(engine, busy):
    stats = engine.get(f"/containers/{busy}/stats?stream=false&one-shot=true")
    assert stats["preread"] == "0001-01-01T00:00:00Z" and stats["precpu_stats"] == ZEROS
    assert stats["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert engine.refused("GET", f"/containers/{busy}/stats?one-shot=1") == (
        400, "cannot have stream=true and one-shot=true"
    )


def test_what_does_not_run_uses_nothing(engine):
    container = engine.create("true", name="idle")
    stats = engine.get(f"/containers/{container}/stats?stream=false")
    assert stats == {
        "name": "/idle", "id": container, "read": "0001-01-01T00:00:00Z", "preread": "0001-01-01T00:00:00Z",
        "pids_stats": {}, "blkio_stats": dict.fromkeys(NOTHING), "num_procs": 0, "storage_stats": {},
        "cpu_stats": ZEROS, "precpu_stats": ZEROS, "memory_stats": {},
    }


def test_a_stream_goes_on_until_the_container_is_gone(engine, busy):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(str(engine.socket))
    sock.sendall(f"GET /containers/{busy}/stats HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    reader = sock.makefile("rb")
    assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
    while reader.readline() != b"\r\n":
        pass

    def line():
        size = int(reader.readline(), 16)
        data = reader.read(size + 2)
        return json.loads(data) if size else None

    first, second = line(), line()
    assert first["precpu_stats"] == ZEROS and second["precpu_stats"] == first["cpu_stats"]
    assert second["preread"] == first["read"]
    engine.post(f"/containers/{busy}/kill")
    while (stats := line())["cpu_stats"] != ZEROS:
        pass
    assert stats["read"] == "0001-01-01T00:00:00Z"
    engine.request("DELETE", f"/containers/{busy}?force=1")
    while line():
        pass
    sock.close()


def test_a_stream_ends_with_its_client(engine, busy):
    def threads():
        return len(os.listdir(f"/proc/{engine.pid()}/task"))

    before = threads()
    socks = []
    for _ in range(5):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(60)
        sock.connect(str(engine.socket))
        sock.sendall(f"GET /containers/{busy}/stats HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert sock.recv(1)
        socks.append(sock)
    # a stream costs its connection's thread and no other
    assert threads() <= before + 5
    for sock in socks:
        sock.close()
    deadline = time.monotonic() + 60
    while threads() > before:
        assert time.monotonic() < deadline


def test_the_docker_cli_prints_them(engine, busy):
    line = engine.cli("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.NetIO}}")
    name, cpu, *net = line.split()
    assert name == "busy" and float(cpu.rstrip("%")) > 0 and net == ["0B", "/", "0B"]
