"""The engine is killed at each step of making, filling and removing a volume."""

import http.client
import itertools
import subprocess

import pytest

# what changes files and records
CALLS = "mkdirat renameat renameat2 unlinkat fsync fdatasync syncfs fchown fchmod utimensat".split()


def killed_at(engine, call, count, work):
    """Do @work, and kill the engine at the count-th @call of one thread. Returns what work did, or None
    and whether the engine was killed."""
    pid = engine.pid()
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={call}",
         "-e", f"inject={call}:signal=SIGKILL:when={count}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    while "TracerPid:\t0\n" in open(f"/proc/{pid}/status").read():
        assert tracer.poll() is None, tracer.stderr.read()
    try:
        answer = work()
    except (http.client.HTTPException, ConnectionError):
        answer = None
    if answer is None:
        tracer.wait(60)
        engine.wait_ready()
        return None, True
    tracer.terminate()
    tracer.wait(60)
    return answer, False


def check_whole(engine):
    """What has a record has a directory, and the other way; nothing is half made."""
    root = engine.dir / "root/volumes"
    listed = {v["Name"] for v in engine.get("/volumes")["Volumes"]}
    assert listed == {p.name for p in root.iterdir() if p.name[0] != "."}
    for name in listed:
        assert [p.name for p in (root / name).iterdir()] == ["_data"]
    assert not list((root / ".new").iterdir()) and not list((root / ".gone").iterdir())
    return listed


def steps(engine, work, check):
    """Kill it before each call of each kind that it makes. Returns how often that was."""
    kills = 0
    for call in CALLS:
        for count in itertools.count(1):
            step = f"{call}.{count}"
            answer, killed = killed_at(engine, call, count, lambda: work(step))
            check(step, answer)
            if not killed:
                break
            kills += 1
    return kills


def test_making_one(own_engine):
    engine = own_engine

    def make(step):
        return engine.post("/volumes/create", {"Name": f"v-{step}"})

    def check(step, answer):
        assert answer is None or f"v-{step}" in check_whole(engine)
        check_whole(engine)

    assert steps(engine, make, check) > 5


def test_filling_one(own_engine):
    engine = own_engine

    def make(step):
        return engine.create("true", name=f"c-{step}", host={"Binds": [f"v-{step}:/etc"]}, Volumes={"/anon": {}})

    def check(step, answer):
        listed = check_whole(engine)
        there = {c["Names"][0] for c in engine.get("/containers/json?all=1")}
        assert answer is None or f"/c-{step}" in there
        if f"/c-{step}" in there:
            files = sorted(p.name for p in (engine.dir / f"root/volumes/v-{step}/_data").iterdir())
            assert files == ["greeting", "group", "passwd"]
        else:
            assert f"v-{step}" not in listed
        # each container has its two
        assert len(listed) == 2 * len(there)

    assert steps(engine, make, check) > 20


def test_filling_one_that_was_there_before(own_engine):
    engine = own_engine

    def fill(step):
        return engine.create("true", host={"Binds": [f"v-{step}:/etc"]})

    def check(step, answer):
        # it stays in any case, empty or with all that the image has
        assert f"v-{step}" in check_whole(engine)
        files = sorted(p.name for p in (engine.dir / f"root/volumes/v-{step}/_data").iterdir())
        assert files == ["greeting", "group", "passwd"] or (answer is None and not files)

    for call in ("renameat", "renameat2", "unlinkat", "fsync"):
        for count in itertools.count(1):
            step = f"{call}.{count}"
            engine.post("/volumes/create", {"Name": f"v-{step}"})
            answer, killed = killed_at(engine, call, count, lambda: fill(step))
            check(step, answer)
            if not killed:
                break


@pytest.mark.parametrize("how", ["volume", "container"])
def test_removing_one(own_engine, how):
    engine = own_engine
    state = {}

    def make():
        host = {"Mounts": [{"Type": "volume", "Target": "/etc"}]} if how == "container" else {"Binds": ["vol:/etc"]}
        container = engine.create("true", host=host)
        (mount,) = engine.get(f"/containers/{container}/json")["Mounts"]
        state.update(container=container, volume=mount["Name"])
        if how == "volume":
            engine.request("DELETE", f"/containers/{container}")

    def remove(step):
        path = f"/volumes/{state['volume']}" if how == "volume" else f"/containers/{state['container']}?v=1"
        status, body, _ = engine.request("DELETE", path)
        assert status == 204, body
        return status

    def check(step, answer):
        listed = check_whole(engine)
        containers = engine.get("/containers/json?all=1")
        assert answer is None or (not listed and not containers)
        if listed:
            files = sorted(p.name for p in (engine.dir / f"root/volumes/{state['volume']}/_data").iterdir())
            assert files == ["greeting", "group", "passwd"]
        if how == "container":
            # the volume of one that is gone is gone
            assert len(listed) == len(containers)
        for one in containers:
            engine.request("DELETE", f"/containers/{one['Id']}?v=1")
        for volume in check_whole(engine):
            engine.request("DELETE", f"/volumes/{volume}")
        make()

    make()
    assert steps(engine, remove, check) > 5
