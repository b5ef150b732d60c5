"""Volumes with options: a file system of their own while a container uses them."""

import os

import pytest


def data(engine, name):
    return engine.dir / "root/volumes" / name / "_data"


def sleep(engine, bind, **more):
    return engine.start("sleep", "1000", host={"Binds": [bind], **more})


@pytest.fixture(autouse=True)
def _no_volumes_left(engine):
    yield
    for one in engine.get("/containers/json?all=1"):
        engine.request("DELETE", f"/containers/{one['Id']}?force=1&v=1")
    for volume in engine.get("/volumes")["Volumes"]:
        engine.request("DELETE", f"/volumes/{volume['Name']}")


def test_it_is_mounted_from_the_first_start_to_the_last_end(engine):
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=64k,uid=1000"}
    engine.post("/volumes/create", {"Name": "ram", "DriverOpts": options})
    assert engine.get("/volumes/ram")["Options"] == options
    assert not os.path.ismount(data(engine, "ram"))
    one, two = sleep(engine, "ram:/a"), sleep(engine, "ram:/b")
    assert os.path.ismount(data(engine, "ram")) and data(engine, "ram").stat().st_uid == 1000
    engine.post(f"/containers/{one}/stop?t=0")
    assert os.path.ismount(data(engine, "ram"))
    engine.post(f"/containers/{two}/stop?t=0")
    assert not os.path.ismount(data(engine, "ram"))


def test_the_options_count(engine):
    engine.post("/volumes/create", {"Name": "ram", "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=64k"}})
    code, _ = engine.run_to_end("sh", "-c", "head -c 60000 /bin/busybox >/r/x", host={"Binds": ["ram:/r"]})
    assert code == 0
    code, _ = engine.run_to_end("sh", "-c", "head -c 70000 /bin/busybox >/r/x", host={"Binds": ["ram:/r"]})
    assert code != 0


def test_a_directory_of_the_host_can_be_one(engine):
    place = engine.dir / "place"
    place.mkdir(exist_ok=True)
    options = {"type": "none", "o": "bind", "device": str(place)}
    engine.post("/volumes/create", {"Name": "bound", "DriverOpts": options})
    code, out = engine.run_to_end("sh", "-c", "cat /etc/greeting; echo x >/etc/new", host={"Binds": ["bound:/etc"]})
    # filled from the image, as any empty one
    assert (code, out) == (0, b"hello\n")
    assert (place / "new").read_text() == "x\n" and (place / "greeting").exists()
    assert not os.path.ismount(data(engine, "bound")) and not list(data(engine, "bound").iterdir())
    engine.request("DELETE", f"/containers/{engine.get('/containers/json?all=1')[0]['Id']}")
    engine.request("DELETE", "/volumes/bound")
    assert (place / "new").exists()


def test_what_cannot_be_mounted_fails_the_start_and_says_why(engine):
    options = {"type": "none", "o": "bind", "device": "/nosuch/dir"}
    engine.post("/volumes/create", {"Name": "gone", "DriverOpts": options})
    container = engine.create("true", host={"Binds": ["gone:/d:nocopy"]})
    status, message = engine.refused("POST", f"/containers/{container}/start")
    assert status == 500 or status == 404
    assert message.startswith("failed to mount local volume: mount /nosuch/dir:") and "No such file" in message


def test_it_stays_mounted_while_the_engine_is_away(own_engine):
    engine = own_engine
    engine.post("/volumes/create", {"Name": "ram", "DriverOpts": {"type": "tmpfs", "device": "tmpfs"}})
    one = sleep(engine, "ram:/a")
    for _ in range(2):
        engine.kill()
        engine.wait_ready()
        assert os.path.ismount(data(engine, "ram"))
    # the new engine counts as the old one did
    two = sleep(engine, "ram:/a")
    engine.post(f"/containers/{one}/stop?t=0")
    assert os.path.ismount(data(engine, "ram"))
    engine.post(f"/containers/{two}/stop?t=0")
    assert not os.path.ismount(data(engine, "ram"))
