"""Mounts of every type, as they are asked for, checked, made and shown."""

import json
import os
import subprocess

import pytest


def mounts(engine, container):
    return engine.get(f"/containers/{container}/json")["Mounts"]


def refused(engine, host=None, **config):
    return engine.refused(
        "POST", "/containers/create", {"Image": "bb:1", "HostConfig": {"NetworkMode": "none", **(host or {})}, **config}
    )


@pytest.fixture(autouse=True)
def _no_volumes_left(engine):
    yield
    for one in engine.get("/containers/json?all=1"):
        engine.request("DELETE", f"/containers/{one['Id']}?force=1&v=1")
    for volume in engine.get("/volumes")["Volumes"]:
        engine.request("DELETE", f"/volumes/{volume['Name']}")


@pytest.fixture
def place(engine, tmp_path_factory):
    """A directory of the host with a file in it."""
    place = tmp_path_factory.mktemp("place")
    place.chmod(0o755)
    (place / "file").write_text("of the host\n")
    return place


@pytest.mark.parametrize("bind, message", [
    ("", "invalid volume specification: ''"),
    ("/a:/b:/c:/d", "invalid volume specification: '/a:/b:/c:/d'"),
    (":/b", "invalid volume specification: ':/b'"),
    ("/foo:ro", "invalid volume specification: '/foo:ro'"),
    ("/a:/b:nosuch", "invalid mode: nosuch"),
    ("/a:/b:ro,rw", "invalid mode: ro,rw"),
    ("/a:/b:rshared,rslave", "invalid mode: rshared,rslave"),
    ("/a:b", 'invalid volume specification: \'/a:b\': invalid mount config for type "bind": '
             "invalid mount path: 'b' mount path must be absolute"),
    ("/a:/x/..", 'invalid volume specification: \'/a:/x/..\': invalid mount config for type "bind": '
                 "invalid specification: destination can't be '/'"),
    ("name:/b:rshared", 'invalid volume specification: \'name:/b:rshared\': invalid mount config for type "volume": '
                        "field BindOptions must not be specified"),
    ("a b:/b", "includes invalid characters for a local volume name"),
])
def test_a_bind_that_is_none_is_refused(engine, bind, message):
    status, got = refused(engine, {"Binds": [bind]})
    assert status == 400 and message in got


@pytest.mark.parametrize("mount, message", [
    ({"Type": "nosuch", "Target": "/x"}, 'invalid mount config for type "nosuch": mount type unknown'),
    ({"Type": "bind", "Source": "/nosuch/x", "Target": "/x"},
     'invalid mount config for type "bind": bind source path does not exist: /nosuch/x'),
    ({"Type": "bind", "Source": "/tmp", "Target": ""},
     'invalid mount config for type "bind": field Target must not be empty'),
    ({"Type": "bind", "Target": "/x"}, 'invalid mount config for type "bind": field Source must not be empty'),
    ({"Type": "bind", "Source": "tmp", "Target": "/x"},
     'invalid mount config for type "bind": invalid mount path: \'tmp\' mount path must be absolute'),
    ({"Type": "bind", "Source": "/tmp", "Target": "/x", "BindOptions": {"Propagation": "odd"}},
     'invalid mount config for type "bind": invalid propagation mode: odd'),
    ({"Type": "bind", "Source": "/tmp", "Target": "/x", "VolumeOptions": {"NoCopy": True}},
     'invalid mount config for type "bind": field VolumeOptions must not be specified'),
    ({"Type": "tmpfs", "Source": "/tmp", "Target": "/x"},
     'invalid mount config for type "tmpfs": field Source must not be specified'),
    ({"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"Options": [["suid"]]}},
     'invalid mount config for type "tmpfs": invalid option: suid'),
    ({"Type": "volume", "Target": "/x", "ReadOnly": True},
     'invalid mount config for type "volume": must not set ReadOnly mode when using anonymous volumes'),
    ({"Type": "volume", "Target": "/x", "VolumeOptions": {"Subpath": "a"}},
     'invalid mount config for type "volume": must not set Subpath when using anonymous volumes'),
    ({"Type": "volume", "Source": "vv", "Target": "/x", "VolumeOptions": {"Subpath": "a/../../b"}},
     'invalid mount config for type "volume": subpath must be a relative path within the volume'),
    ({"Type": "image", "Target": "/x"}, 'invalid mount config for type "image": field Source must not be empty'),
    ({"Type": "bind", "Source": "/tmp", "Target": "/"},
     "invalid mount config for type \"bind\": invalid specification: destination can't be '/'"),
])
def test_a_mount_that_is_none_is_refused(engine, mount, message):
    assert refused(engine, {"Mounts": [mount]}) == (400, message)


@pytest.mark.parametrize("host", [
    {"Binds": ["/tmp:/x", "vol:/x/"]},
    {"Binds": ["/tmp:/x"], "Mounts": [{"Type": "tmpfs", "Target": "/x"}]},
    {"Mounts": [{"Type": "tmpfs", "Target": "/x"}, {"Type": "tmpfs", "Target": "/y/../x"}]},
    {"Binds": ["/tmp:/x"], "Tmpfs": {"/x": ""}},
])
def test_one_place_is_given_once(engine, host):
    assert refused(engine, host) == (400, "Duplicate mount point: /x")
    assert engine.get("/volumes")["Volumes"] == []


def test_a_bind_shows_and_takes_files(engine, place):
    code, out = engine.run_to_end(
        "sh", "-c", "cat /m/file; echo new >/m/new; cat /one; touch /ro/x 2>/dev/null || echo read-only",
        host={"Binds": [f"{place}:/m", f"{place}/file:/one:ro,z", f"{place}:/ro:ro,cached"]},
    )
    assert (code, out) == (0, b"of the host\nof the host\nread-only\n")
    assert (place / "new").read_text() == "new\n"


def test_a_bind_is_shown_as_dockers(engine, place):
    container = engine.create("true", host={"Binds": [f"{place}/./:/m:ro,Z,rslave"]})
    assert mounts(engine, container) == [{
        "Type": "bind", "Source": str(place), "Destination": "/m", "Mode": "ro,Z,rslave", "RW": False,
        "Propagation": "rslave",
    }]
    host = {"Mounts": [{"Type": "bind", "Source": str(place), "Target": "/m"}, {"Type": "tmpfs", "Target": "/t"}]}
    container = engine.create("true", host=host)
    assert mounts(engine, container) == [
        {"Type": "bind", "Source": str(place), "Destination": "/m", "Mode": "", "RW": True,
         "Propagation": "rprivate"},
        {"Type": "tmpfs", "Source": "", "Destination": "/t", "Mode": "", "RW": True, "Propagation": ""},
    ]
    assert engine.get(f"/containers/{container}/json")["HostConfig"]["Mounts"] == host["Mounts"]


def test_a_source_that_is_not_there_is_made_for_binds_at_the_start(engine, place):
    container = engine.create("true", host={"Binds": [f"{place}/a/b:/m"]})
    assert not (place / "a").exists()
    engine.post(f"/containers/{container}/start")
    engine.wait(container)
    assert (place / "a/b").is_dir()
    host = {"Mounts": [{"Type": "bind", "Source": f"{place}/c/d", "Target": "/m",
                        "BindOptions": {"CreateMountpoint": True}}]}
    assert engine.run_to_end("true", host=host)[0] == 0
    assert (place / "c/d").is_dir()


def test_read_only_reaches_what_is_mounted_below(engine, place):
    (place / "sub").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place / "sub"], check=True)
    try:
        script = "touch /m/sub/x 2>/dev/null && echo written; touch /n/sub/x && echo written; ls /alone/sub"
        mounts_ = [
            {"Type": "bind", "Source": str(place), "Target": "/m", "ReadOnly": True},
            {"Type": "bind", "Source": str(place), "Target": "/n", "ReadOnly": True,
             "BindOptions": {"ReadOnlyNonRecursive": True}},
            {"Type": "bind", "Source": str(place), "Target": "/alone", "BindOptions": {"NonRecursive": True}},
        ]
        assert engine.run_to_end("sh", "-c", script, host={"Mounts": mounts_}) == (0, b"written\n")
        assert (place / "sub/x").exists()
    finally:
        subprocess.run(["umount", place / "sub"], check=True)


def test_propagation_needs_a_shared_mount(engine, place):
    subprocess.run(["mount", "--bind", place, place], check=True)
    try:
        subprocess.run(["mount", "--make-private", place], check=True)
        container = engine.create("true", host={"Binds": [f"{place}:/m:rshared"]})
        status, message = engine.refused("POST", f"/containers/{container}/start")
        assert message == f"path {place} is not on a shared mount"
        container = engine.create("true", host={"Binds": [f"{place}:/m:slave"]})
        assert "is not on a shared or slave mount" in engine.refused("POST", f"/containers/{container}/start")[1]
        subprocess.run(["mount", "--make-shared", place], check=True)
        (place / "later").mkdir()
        container = engine.start(
            "sh", "-c", "until [ -e /m/later/seen ]; do sleep 0.1; done", host={"Binds": [f"{place}:/m:rslave"]}
        )
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place / "later"], check=True)
        (place / "later/seen").touch()
        assert engine.wait(container) == 0
    finally:
        subprocess.run(["umount", "-R", place], check=True)


def test_a_part_of_a_volume_does_not_lead_out_of_it(engine):
    engine.post("/volumes/create", {"Name": "vol"})
    data = engine.dir / "root/volumes/vol/_data"
    (data / "in").mkdir()
    (data / "in/file").write_text("inside\n")
    os.symlink("/etc", data / "out")
    os.symlink("../../../../../../../etc", data / "up")
    os.symlink("/in", data / "to-in")

    def run(subpath, command):
        options = {"Subpath": subpath}
        mount = {"Type": "volume", "Source": "vol", "Target": "/m", "VolumeOptions": options}
        return engine.run_to_end("sh", "-c", command, host={"Mounts": [mount]})

    assert run("in", "cat /m/file; echo x >/m/new") == (0, b"inside\n")
    assert (data / "in/new").read_text() == "x\n"
    assert run("in/file", "cat /m") == (0, b"inside\n")
    # an absolute symlink starts at the volume's own root
    assert run("to-in", "cat /m/file") == (0, b"inside\n")
    for subpath in ("out", "up", "nosuch"):
        mount = {"Type": "volume", "Source": "vol", "Target": "/m", "VolumeOptions": {"Subpath": subpath}}
        container = engine.create("true", host={"Mounts": [mount]})
        status, message = engine.refused("POST", f"/containers/{container}/start")
        assert f"cannot access path {data}/{subpath}" in message
    left = open("/proc/self/mountinfo").read()
    assert f"{engine.dir}/root/" not in left


def test_labels_and_options_of_a_volume_that_is_made_on_the_way(engine):
    options = {"Labels": {"a": "b"}, "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs", "device": "x"}}}
    mount = {"Type": "volume", "Source": "made", "Target": "/m", "VolumeOptions": options}
    engine.create("true", host={"Mounts": [mount]})
    made = engine.get("/volumes/made")
    assert made["Labels"] == {"a": "b"} and made["Options"] == {"type": "tmpfs", "device": "x"}


def test_tmpfs_has_its_size_mode_and_options(engine):
    mount = {"Type": "tmpfs", "Target": "/t",
             "TmpfsOptions": {"SizeBytes": 1 << 16, "Mode": 0o700, "Options": [["exec"]]}}
    code, out = engine.run_to_end(
        "busybox", "grep", "-E", " /(t|u|v) ", "/proc/mounts",
        host={"Mounts": [mount, {"Type": "tmpfs", "Target": "/v", "ReadOnly": True}], "Tmpfs": {"/u": "size=1m,uid=5"}},
    )
    lines = {line.split()[1]: line.split()[3] for line in out.decode().splitlines()}
    assert code == 0 and set(lines) == {"/t", "/u", "/v"}
    assert "size=64k" in lines["/t"] and "mode=700" in lines["/t"] and "noexec" not in lines["/t"]
    assert "size=1024k" in lines["/u"] and "uid=5" in lines["/u"] and "noexec,relatime" in lines["/u"]
    assert lines["/v"].startswith("ro,")


def test_an_image_can_be_mounted_but_not_written(engine):
    mounts_ = [
        {"Type": "image", "Source": "bb:1", "Target": "/img"},
        {"Type": "image", "Source": "bb:1", "Target": "/etc2", "ImageOptions": {"Subpath": "etc"}},
    ]
    container = engine.create(
        "sh", "-c", "cat /img/etc/greeting /etc2/greeting; ls /img/bin/false; touch /img/x || touch /etc2/x || echo ro",
        host={"Mounts": mounts_},
    )
    engine.post(f"/containers/{container}/start")
    assert engine.wait(container) == 0
    out = b"".join(data for stream, data in engine.logs(container) if stream == 1)
    assert out == b"hello\nhello\nro\n"
    shown = mounts(engine, container)[0]
    assert (shown["Type"], shown["RW"], shown["Destination"]) == ("image", False, "/img")
    status, message = refused(engine, {"Mounts": [dict(mounts_[0], Source="nosuch")]})
    assert (status, message) == (404, "No such image: nosuch:latest")


def test_what_lies_below_is_mounted_after_what_it_lies_in(engine, place):
    (place / "sub").mkdir()
    engine.post("/volumes/create", {"Name": "inner"})
    (engine.dir / "root/volumes/inner/_data/of-the-volume").touch()
    code, out = engine.run_to_end(
        "sh", "-c", "ls /m /m/sub",
        host={"Binds": ["inner:/m/sub:nocopy", f"{place}:/m"], "Tmpfs": {"/m/sub/deep": ""}},
    )
    assert (code, out) == (0, b"/m:\nfile\nsub\n\n/m/sub:\ndeep\nof-the-volume\n")


def test_own_files_take_the_place_of_dockers(engine, place):
    (place / "hosts").write_text("own\n")
    code, out = engine.run_to_end(
        "sh", "-c", "cat /etc/hosts; busybox grep ' /dev/shm ' /proc/mounts",
        host={"Binds": [f"{place}/hosts:/etc/hosts:ro"], "ShmSize": 1 << 20},
    )
    assert code == 0 and out.startswith(b"own\n") and b"size=1024k" in out
    code, out = engine.run_to_end("sh", "-c", "ls /dev/shm", host={"Binds": [f"{place}:/dev/shm"]})
    assert (code, out) == (0, b"file\nhosts\n")


def test_the_docker_cli_at_home_with_mounts(engine, place):
    def run(*options, command):
        return engine.cli("run", "--rm", "--net", "none", *options, "bb:1", "sh", "-c", command)

    assert run("-v", f"{place}:/m:ro", command="cat /m/file") == "of the host\n"
    assert run("--mount", f"type=bind,src={place},dst=/m,readonly", command="cat /m/file") == "of the host\n"
    assert run("--mount", "type=tmpfs,dst=/t,tmpfs-size=64k", "--tmpfs", "/u", "--read-only",
               command="touch /t/x /u/x && echo yes") == "yes\n"
    assert run("--mount", "type=volume,src=cli,dst=/v,volume-label=a=b", command="touch /v/x; ls /v") == "x\n"
    assert json.loads(engine.cli("volume", "inspect", "cli"))[0]["Labels"] == {"a": "b"}
    said = engine.cli("run", "--mount", "type=bind,src=/nosuch/x,dst=/m", "--net", "none", "bb:1", "true", want=125)
    assert 'invalid mount config for type "bind": bind source path does not exist: /nosuch/x' in said
