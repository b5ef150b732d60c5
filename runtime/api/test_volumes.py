"""Volumes: made, listed, filled, used and removed."""

import json
import os
import time

import pytest


@pytest.fixture(autouse=True)
def _no_volumes_left(engine):
    yield
    for one in engine.get("/containers/json?all=1"):
        engine.request("DELETE", f"/containers/{one['Id']}?force=1&v=1")
    for volume in engine.get("/volumes")["Volumes"]:
        engine.request("DELETE", f"/volumes/{volume['Name']}")


def names(engine, version="", **filters):
    query = json.dumps(filters).replace(" ", "")
    return [v["Name"] for v in engine.get(f"{version}/volumes?filters={query}")["Volumes"]]


def data(engine, name):
    return engine.dir / "root/volumes" / name / "_data"


def mounts(engine, container):
    return engine.get(f"/containers/{container}/json")["Mounts"]


def test_a_volume_is_made_shown_and_removed(engine):
    made = engine.post("/volumes/create", {"Name": "v1", "Labels": {"a": "b"}})
    assert made == {
        "CreatedAt": made["CreatedAt"], "Driver": "local", "Labels": {"a": "b"},
        "Mountpoint": str(data(engine, "v1")), "Name": "v1", "Options": None, "Scope": "local",
    }
    assert abs(time.time() - time.mktime(time.strptime(made["CreatedAt"], "%Y-%m-%dT%H:%M:%SZ"))
               + time.timezone) < 100
    assert engine.get("/volumes/v1") == made
    assert engine.get("/volumes") == {"Volumes": [made], "Warnings": None}
    assert data(engine, "v1").is_dir()
    # once more is the same one, whatever else it asks for
    assert engine.post("/volumes/create", {"Name": "v1", "Labels": {"c": "d"}}) == made
    assert engine.request("DELETE", "/volumes/v1")[0] == 204
    assert not (engine.dir / "root/volumes/v1").exists()
    assert engine.refused("GET", "/volumes/v1") == (404, "get v1: no such volume")
    assert engine.refused("DELETE", "/volumes/v1") == (404, "get v1: no such volume")
    assert engine.request("DELETE", "/volumes/v1?force=1")[0] == 204


def test_a_volume_without_a_name_gets_one_and_a_label(engine):
    made = engine.post("/volumes/create", {})
    assert len(made["Name"]) == 64 and made["Labels"] == {"com.docker.volume.anonymous": ""}


@pytest.mark.parametrize("body, status, message", [
    ({"Name": "x"}, 400, "create x: volume name is too short, names should be at least two alphanumeric characters"),
    ({"Name": "../x"}, 400, 'includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]"'),
    ({"Name": ".new"}, 400, "includes invalid characters"),
    ({"Name": "v" * 256}, 400, "a volume's name has at most 255 bytes"),
    ({"Name": "vv", "Driver": "nosuch"}, 404,
     'create vv: error looking up volume plugin nosuch: plugin "nosuch" not found'),
    ({"Name": "vv", "DriverOpts": {"foo": "x"}}, 400, 'create vv: invalid option: "foo"'),
    ({"Name": "vv", "DriverOpts": {"type": "tmpfs"}}, 400, 'create vv: missing required option: "device"'),
    ({"Name": "vv", "DriverOpts": {"type": "nosuchfs", "device": "x"}}, 400, "nosuchfs"),
    ({"Name": "vv", "DriverOpts": {"size": "1g"}}, 400, "create vv: quota size requested but no quota support"),
    ({"Name": 5}, 400, "Name: expected a string"),
])
def test_what_is_no_volume_is_refused(engine, body, status, message):
    got, why = engine.refused("POST", "/volumes/create", body)
    assert got == status and message in why
    assert names(engine) == []


def test_a_volume_in_use_stays(engine):
    container = engine.create("true", host={"Binds": ["mine:/data"]})
    assert engine.refused("DELETE", "/volumes/mine") == (409, f"remove mine: volume is in use - [{container}]")
    assert engine.refused("DELETE", "/volumes/mine?force=1")[0] == 409
    engine.request("DELETE", f"/containers/{container}?v=1")
    # with -v too: it has a name
    assert names(engine) == ["mine"]
    assert engine.request("DELETE", "/volumes/mine")[0] == 204


def test_a_volume_is_shown_as_dockers(engine):
    container = engine.create("true", host={"Binds": ["mine:/data/", "mine:/two:ro,nocopy"]}, Volumes={"/anon": {}})
    mine, two, anonymous = mounts(engine, container)
    assert mine == {
        "Type": "volume", "Name": "mine", "Source": str(data(engine, "mine")), "Destination": "/data",
        "Driver": "local", "Mode": "z", "RW": True, "Propagation": "",
    }
    assert two == dict(mine, Destination="/two", Mode="ro,nocopy", RW=False)
    name = anonymous["Name"]
    assert len(name) == 64 and anonymous["Mode"] == "" and anonymous["Destination"] == "/anon"
    assert engine.get(f"/volumes/{name}")["Labels"] == {"com.docker.volume.anonymous": ""}
    (listed,) = engine.get("/containers/json?all=1")
    assert listed["Mounts"] == [mine, two, anonymous]


def test_an_empty_volume_gets_what_the_image_has(engine):
    code, out = engine.run_to_end(
        "sh", "-c", "cat /etc/greeting; echo changed >/etc/greeting; echo more >/etc/more",
        host={"Binds": ["etc:/etc"]},
    )
    assert (code, out) == (0, b"hello\n")
    assert sorted(p.name for p in data(engine, "etc").iterdir()) == ["greeting", "group", "more", "passwd"]
    # a second container finds what the first one left
    code, out = engine.run_to_end("cat", "/here/greeting", "/here/more", host={"Binds": ["etc:/here"]})
    assert (code, out) == (0, b"changed\nmore\n")
    # the image itself is as it was
    assert engine.run_to_end("cat", "/etc/greeting") == (0, b"hello\n")


def test_a_filled_volume_has_the_owner_mode_and_links_of_the_image(engine):
    engine.create("true", host={"Binds": ["tmp:/tmp", "bin:/bin"]})
    assert data(engine, "tmp").stat().st_mode & 0o7777 == 0o1777
    assert os.readlink(data(engine, "bin") / "cat") == "busybox"
    assert not (data(engine, "bin") / "false").exists()
    assert (data(engine, "bin") / "busybox").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("host", [
    {"Binds": ["none:/etc:nocopy"]},
    {"Mounts": [{"Type": "volume", "Source": "none", "Target": "/etc", "VolumeOptions": {"NoCopy": True}}]},
], ids=["binds", "mounts"])
def test_nocopy_leaves_it_empty(engine, host):
    engine.create("true", host=host)
    assert list(data(engine, "none").iterdir()) == []


def test_a_volume_that_is_not_empty_stays_as_it_is(engine):
    engine.post("/volumes/create", {"Name": "full"})
    (data(engine, "full") / "own").write_text("x")
    engine.create("true", host={"Binds": ["full:/etc"]})
    assert [p.name for p in data(engine, "full").iterdir()] == ["own"]


def test_anonymous_volumes_go_with_rm_v_alone(engine):
    kept = engine.create("true", Volumes={"/data": {}})
    engine.request("DELETE", f"/containers/{kept}")
    assert len(names(engine)) == 1
    gone = engine.create("true", host={"Mounts": [{"Type": "volume", "Target": "/m"}]}, Volumes={"/data": {}})
    assert len(names(engine)) == 3
    engine.request("DELETE", f"/containers/{gone}?v=1")
    assert len(names(engine)) == 1


def test_a_container_that_removes_itself_takes_them_along(engine):
    container = engine.create("true", host={"AutoRemove": True, "Binds": ["named:/n"]}, Volumes={"/data": {}})
    engine.post(f"/containers/{container}/start")
    engine.wait(container, "removed")
    deadline = time.monotonic() + 60
    # they go when the container is gone
    while names(engine) != ["named"]:
        assert time.monotonic() < deadline, names(engine)


def test_volumes_from_takes_over_all_of_them(engine):
    host = {"Binds": ["named:/n", "/tmp:/host:ro"], "Tmpfs": {"/t": ""}}
    first = engine.create("true", name="first", host=host, Volumes={"/data": {}})
    second = engine.create("true", host={"VolumesFrom": ["first:ro"]})
    mine, theirs = mounts(engine, second), mounts(engine, first)
    assert [m["Destination"] for m in mine] == ["/n", "/host", "/data"]
    assert [m["Name"] for m in mine if m["Type"] == "volume"] == [m["Name"] for m in theirs if "Name" in m]
    assert not any(m["RW"] for m in mine) and all(m["Mode"] == "" for m in mine)
    # the first one leaves: what the second one has stays
    engine.request("DELETE", f"/containers/{first}?v=1")
    assert len(names(engine)) == 2
    engine.request("DELETE", f"/containers/{second}?v=1")
    assert names(engine) == ["named"]


def test_volumes_from_says_what_is_wrong(engine):
    body = {"Image": "bb:1", "HostConfig": {"NetworkMode": "none", "VolumesFrom": ["nosuch"]}}
    assert engine.refused("POST", "/containers/create", body) == (404, "No such container: nosuch")
    engine.create("true", name="other")
    body["HostConfig"]["VolumesFrom"] = ["other:rslave"]
    assert engine.refused("POST", "/containers/create", body) == (400, "invalid mode: rslave")


def test_a_container_that_is_not_made_leaves_no_volume(engine):
    body = {"Image": "bb:1", "Volumes": {"/one": {}, "/etc/passwd": {}},
            "HostConfig": {"NetworkMode": "none", "Binds": ["new:/two"]}}
    status, message = engine.refused("POST", "/containers/create", body)
    assert status == 400 and message == "cannot mount volume over existing file, file exists /etc/passwd"
    assert names(engine) == [] and engine.get("/containers/json?all=1") == []


def test_filters_of_the_list(engine):
    engine.post("/volumes/create", {"Name": "alpha", "Labels": {"a": "1"}})
    engine.post("/volumes/create", {"Name": "beta", "Labels": {"a": "2", "b": ""}})
    engine.create("true", host={"Binds": ["alpha:/x"]})
    assert names(engine) == ["alpha", "beta"]
    assert names(engine, name=["et"]) == ["beta"] and names(engine, name=["^a"]) == ["alpha"]
    assert names(engine, name=["^alph$"]) == []
    assert names(engine, label=["a"]) == ["alpha", "beta"] and names(engine, label=["a=2", "b"]) == ["beta"]
    assert names(engine, driver=["local"]) == ["alpha", "beta"] and names(engine, driver=["x"]) == []
    assert names(engine, dangling=["true"]) == ["beta"] and names(engine, dangling=["0"]) == ["alpha"]
    assert engine.refused("GET", '/volumes?filters={"dangling":["x"]}')[0] == 400
    assert engine.refused("GET", '/volumes?filters={"until":["x"]}')[0] == 400
    listed = engine.get('/containers/json?all=1&filters={"volume":["alpha"]}')
    assert len(listed) == 1 and engine.get('/containers/json?all=1&filters={"volume":["/y"]}') == []


def test_prune_takes_anonymous_ones_unless_it_is_told(engine):
    anonymous = engine.post("/volumes/create", {})["Name"]
    (data(engine, anonymous) / "file").write_bytes(b"x" * 1000)
    engine.post("/volumes/create", {"Name": "named"})
    engine.post("/volumes/create", {"Name": "keep", "Labels": {"keep": "yes"}})
    engine.post("/volumes/create", {"Name": "opts", "DriverOpts": {"type": "tmpfs", "device": "tmpfs"}})
    engine.create("true", Volumes={"/used": {}})
    assert engine.post("/volumes/prune") == {"VolumesDeleted": [anonymous], "SpaceReclaimed": 1000}
    assert engine.post("/volumes/prune") == {"VolumesDeleted": None, "SpaceReclaimed": 0}
    query = '{"all":["true"],"label!":["keep"]}'
    assert engine.post(f"/volumes/prune?filters={query}")["VolumesDeleted"] == ["named"]
    # before 1.42 all went
    assert engine.post("/v1.41/volumes/prune")["VolumesDeleted"] == ["keep"]
    assert len(names(engine)) == 2 and "opts" in names(engine)


def test_a_cluster_is_refused(engine):
    engine.post("/volumes/create", {"Name": "v1"})
    status, message = engine.refused("PUT", "/volumes/v1", {})
    assert status == 503 and message.startswith("This node is not a swarm manager.")


def test_events_of_a_volume(engine):
    since = int(time.time())
    container = engine.start("true", host={"Binds": ["seen:/data:ro"]})
    engine.wait(container)
    engine.request("DELETE", f"/containers/{container}")
    engine.request("DELETE", "/volumes/seen")
    told = engine.told(since, type=["volume"], volume=["seen"])
    assert [e["Action"] for e in told] == ["create", "mount", "unmount", "destroy"]
    assert all(e["Actor"]["ID"] == "seen" for e in told)
    assert told[0]["Actor"]["Attributes"] == {"driver": "local"}
    assert told[1]["Actor"]["Attributes"] == {
        "driver": "local", "container": container, "destination": "/data", "read/write": "false", "propagation": "",
    }
    assert told[2]["Actor"]["Attributes"] == {"driver": "local", "container": container}


def test_the_docker_cli_at_home_with_volumes(engine):
    assert engine.cli("volume", "create", "--label", "x=y", "mine") == "mine\n"
    assert engine.cli("run", "--rm", "--net", "none", "-v", "mine:/etc", "bb:1", "sh", "-c",
                         "echo kept >/etc/kept") == ""
    assert engine.cli("run", "--rm", "--net", "none", "-v", "mine:/m:ro", "-v", "/anon", "bb:1", "sh", "-c",
                         "cat /m/greeting /m/kept; touch /m/x || echo refused") .split("\n")[:2] == ["hello", "kept"]
    assert engine.cli("volume", "ls", "-q") == "mine\n"
    shown = json.loads(engine.cli("volume", "inspect", "mine"))
    assert shown[0]["Labels"] == {"x": "y"} and shown[0]["Mountpoint"] == str(data(engine, "mine"))
    assert "Total reclaimed space: 0B" in engine.cli("volume", "prune", "-f")
    assert engine.cli("volume", "rm", "mine") == "mine\n"
    assert "no such volume" in engine.cli("volume", "rm", "mine", want=1)
