"""What a container may use, when it is made and later. Limits that need a controller of cgroup version 2 are
taken out with a warning where there is none, so the numbers on record are checked where there is one."""

import json
import threading
import time
from pathlib import Path

import pytest

ROOT = next(p for p in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")) if (p / "cgroup.controllers").exists())
CONTROLLERS = (ROOT / "cgroup.controllers").read_text().split()


def host_config(engine, container):
    return engine.get(f"/containers/{container}/json")["HostConfig"]


def update(engine, container, **change):
    return engine.post(f"/containers/{container}/update", change)["Warnings"]


def create(engine, **host):
    return engine.post("/containers/create", {"Image": "bb:1", "HostConfig": {"NetworkMode": "none", **host}})


@pytest.mark.parametrize("host, message", [
    ({"Memory": 1 << 20}, "Minimum memory limit allowed is 6MB"),
    ({"Memory": 1 << 24, "MemorySwap": 1 << 23},
     "Minimum memoryswap limit should be larger than memory limit, see usage"),
    ({"MemorySwap": 1 << 24}, "You should always set the Memory limit when using Memoryswap limit, see usage"),
    ({"Memory": 1 << 24, "MemoryReservation": 1 << 25},
     "Minimum memory limit can not be less than memory reservation limit, see usage"),
    ({"NanoCpus": 10**9, "CpuPeriod": 100000}, "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
    ({"NanoCpus": 10**13}, "range of CPUs is from 0.01 to"),
    ({"CpuPeriod": 10}, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"),
    ({"CpuQuota": 10}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    ({"CpuRealtimePeriod": 10}, "kernel does not support CPU real-time scheduler"),
    ({"CpusetCpus": "a-b"}, "Invalid value a-b for cpuset cpus"),
    ({"BlkioWeight": 5}, "Range of blkio weight is from 10 to 1000"),
    ({"RestartPolicy": {"Name": "sometimes"}}, "invalid restart policy: unknown policy 'sometimes'"),
    ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 1}},
     "invalid restart policy: maximum retry count can only be used with 'on-failure'"),
])
def test_what_makes_no_sense_is_refused(engine, host, message):
    body = {"Image": "bb:1", "HostConfig": {"NetworkMode": "none", **host}}
    status, got = engine.refused("POST", "/containers/create", body)
    assert status == 400 and message in got
    container = create(engine)["Id"]
    if "MemorySwap" not in host or "Memory" in host:
        status, got = engine.refused("POST", f"/containers/{container}/update", host)
        assert status in (400, 409) and (message in got or status == 409)
    assert host_config(engine, container)["CpuPeriod"] == 0


def test_what_no_kernel_limits_any_more_is_said(engine):
    made = create(engine, OomKillDisable=True, MemorySwappiness=10)
    assert made["Warnings"] == [
        "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
        "Memory swappiness discarded.",
        "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    ]
    shown = host_config(engine, made["Id"])
    assert shown["OomKillDisable"] is None and shown["MemorySwappiness"] is None
    assert create(engine, OomKillDisable=False)["Warnings"] == []


@pytest.mark.parametrize("controller, host, kept", [
    ("memory", {"Memory": 1 << 24}, {"Memory": 1 << 24, "MemorySwap": 1 << 25}),
    ("memory", {"Memory": 1 << 24, "MemorySwap": -1}, {"Memory": 1 << 24, "MemorySwap": -1}),
    ("pids", {"PidsLimit": 50}, {"PidsLimit": 50}),
    ("cpu", {"CpuShares": 512, "CpuQuota": 20000}, {"CpuShares": 512, "CpuQuota": 20000}),
    ("cpuset", {"CpusetCpus": "0"}, {"CpusetCpus": "0"}),
    ("io", {"BlkioWeight": 100}, {"BlkioWeight": 100}),
])
def test_a_limit_is_kept_or_its_lack_said(engine, controller, host, kept):
    made = create(engine, **host)
    shown = host_config(engine, made["Id"])
    if controller in CONTROLLERS:
        assert made["Warnings"] == [] and {key: shown[key] for key in kept} == kept
    else:
        assert len(made["Warnings"]) == len(host) - ("MemorySwap" in host)
        assert all("Your kernel does not support" in line for line in made["Warnings"])
        assert not any(shown[key] for key in kept)


def test_a_policy_changes_and_stays(own_engine):
    engine = own_engine
    container = engine.create("sh", "-c", "exit 3")
    policy = {"Name": "on-failure", "MaximumRetryCount": 2}
    assert update(engine, container, RestartPolicy=policy) is None
    assert host_config(engine, container)["RestartPolicy"] == policy
    engine.kill()
    engine.wait_ready()
    assert host_config(engine, container)["RestartPolicy"] == policy
    engine.post(f"/containers/{container}/start")
    assert engine.wait(container) == 3
    assert engine.get(f"/containers/{container}/json")["RestartCount"] == 2


def test_who_removes_itself_is_not_started_again(engine):
    container = engine.create("true", host={"AutoRemove": True})
    assert engine.refused("POST", f"/containers/{container}/update", {"RestartPolicy": {"Name": "always"}}) == (
        409, "Restart policy cannot be updated because AutoRemove is enabled for the container"
    )
    assert engine.refused("POST", "/containers/nosuch/update", {})[0] == 404


def test_a_running_container_is_updated_and_told(engine):
    since = int(time.time())
    container = engine.start("sleep", "1000", name="runs")
    assert update(engine, container, RestartPolicy={"Name": "always"}) is None
    told = engine.told(since, container=["runs"])
    assert [e["Action"] for e in told] == ["create", "start", "update"]
    assert update(engine, container, RestartPolicy={"Name": "no"}) is None
    assert engine.cli("update", "--restart", "unless-stopped", "runs") == "runs\n"
    assert host_config(engine, container)["RestartPolicy"]["Name"] == "unless-stopped"


def test_records_are_read_while_they_change(engine):
    """Many updates while lists and inspects go on: what one reads stays whole."""
    container = engine.create("true")
    stop = threading.Event()

    def read():
        while not stop.is_set():
            assert host_config(engine, container)["RestartPolicy"]["Name"] in ("no", "always", "unless-stopped")
            engine.get("/containers/json?all=1")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for i in range(60):
        update(engine, container, RestartPolicy={"Name": ("no", "always", "unless-stopped")[i % 3]})
    stop.set()
    for reader in readers:
        reader.join()
    assert json.loads(engine.request("GET", f"/containers/{container}/json")[1])["Id"] == container
    assert engine.pid()
