"""What takes room on the disk."""

import json

import harness


def second_image():
    """The first image's two layers under another name, and one more."""
    return harness.image(name="bb:2", extra=[harness.tar(harness.entry("etc/more", data=b"m" * 5000))])


def test_everything_is_counted(own_engine):
    engine = own_engine
    engine.request("POST", "/images/load", second_image())
    container = engine.start("sh", "-c", "head -c 3000 /bin/busybox >/written", host={"Binds": ["vol:/v"]})
    engine.wait(container)
    (engine.dir / "root/volumes/vol/_data/file").write_bytes(b"x" * 1234)
    engine.post("/volumes/create", {"Name": "opts", "DriverOpts": {"type": "tmpfs", "device": "x"}})
    df = engine.get("/system/df")
    assert list(df) == ["LayersSize", "Images", "Containers", "Volumes", "BuildCache"]
    images = {i["RepoTags"][0]: i for i in df["Images"]}
    first, second = images["bb:1"], images["bb:2"]
    assert second["Size"] == first["Size"] + 5000 and df["LayersSize"] == second["Size"]
    assert first["SharedSize"] == second["SharedSize"] == first["Size"]
    assert (first["Containers"], second["Containers"]) == (1, 0)
    (one,) = df["Containers"]
    assert one["Id"] == container and one["SizeRw"] == 3000 and one["SizeRootFs"] == first["Size"] + 3000
    (volume,) = df["Volumes"]
    assert volume["Name"] == "vol" and volume["UsageData"] == {"RefCount": 1, "Size": 1234}
    assert df["BuildCache"] == []


def test_only_what_is_asked_for(engine):
    df = engine.get("/system/df?type=volume&type=image")
    assert df["Volumes"] == [] and len(df["Images"]) == 1
    assert df["Containers"] is None and df["BuildCache"] is None
    assert engine.get("/system/df?type=container")["Images"] is None
    assert engine.refused("GET", "/system/df?type=nosuch")[0] == 400
    assert engine.get("/v1.41/system/df")["BuilderSize"] == 0


def test_size_of_a_list_of_containers(engine):
    engine.create("true")
    assert "SizeRw" not in engine.get("/containers/json?all=1")[0]
    assert engine.get("/containers/json?all=1&size=1")[0]["SizeRw"] == 0


def test_the_docker_cli_prints_it(engine):
    engine.create("true", host={"Binds": ["mine:/v"]})
    table = [line.split() for line in engine.cli("system", "df").splitlines()]
    assert table[1][:3] == ["Images", "1", "1"] and table[2][:3] == ["Containers", "1", "0"]
    assert table[3][:4] == ["Local", "Volumes", "1", "1"] and table[4][:4] == ["Build", "Cache", "0", "0"]
    assert "mine" in engine.cli("system", "df", "-v")
    shown = json.loads(engine.cli("system", "df", "-v", "--format", "{{json .}}"))
    assert shown["Images"][0]["Containers"] == "1"
