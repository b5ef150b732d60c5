"""Files between a container and its client: cp both ways, export."""

import base64
import gzip
import io
import json
import stat
import tarfile
import threading

import pytest

from imagefiles import entry, folder, hardlink, symlink, tar


def put(engine, container, path, archive, options=""):
    return engine.request("PUT", f"/containers/{container}/archive?path={path}{options}", archive)


def get(engine, container, path):
    status, body, headers = engine.request("GET", f"/containers/{container}/archive?path={path}")
    assert status == 200, body
    return tarfile.open(fileobj=io.BytesIO(body)), json.loads(base64.b64decode(headers["X-Docker-Container-Path-Stat"]))


@pytest.fixture(params=["running", "stopped"])
def box(engine, request):
    """A container with something to copy, in both states."""
    script = ("mkdir /d; echo one >/d/f; ln -s f /d/rel; ln -s /etc/passwd /d/abs; ln -s /gone /d/dangling;"
              "touch /tmp/ready; read x")
    container = engine.create("sh", "-c", script, OpenStdin=True)
    engine.post(f"/containers/{container}/start")
    while engine.request("HEAD", f"/containers/{container}/archive?path=/tmp/ready")[0] != 200:
        pass
    if request.param == "stopped":
        engine.post(f"/containers/{container}/kill")
    return container


def test_stat_says_what_a_path_is(engine, box):
    for path, name, mode, target in [
        ("/d", "d", 1 << 31 | 0o755, ""),
        ("/d/", "d", 1 << 31 | 0o755, ""),
        ("/d/.", ".", 1 << 31 | 0o755, ""),
        ("/", "/", 1 << 31 | 0o755, ""),
        ("d/../d/f", "f", 0o644, ""),
        ("/tmp", "tmp", 1 << 31 | 1 << 20 | 0o777, ""),
        ("/d/rel", "rel", 1 << 27 | 0o777, "/d/f"),
        ("/d/abs", "abs", 1 << 27 | 0o777, "/etc/passwd"),
        ("/d/dangling", "dangling", 1 << 27 | 0o777, "/gone"),
    ]:
        status, body, headers = engine.request("HEAD", f"/containers/{box}/archive?path={path}")
        assert (status, body) == (200, b""), path
        found = json.loads(base64.b64decode(headers["X-Docker-Container-Path-Stat"]))
        assert (found["name"], found["mode"], found["linkTarget"]) == (name, mode, target), path
        assert found["mtime"].endswith("Z") and set(found) == {"name", "size", "mode", "mtime", "linkTarget"}


def test_what_is_not_there_is_a_404_that_names_it(engine, box):
    for method in "HEAD", "GET":
        assert engine.request(method, f"/containers/{box}/archive?path=/nowhere")[0] == 404
    status, body, _ = engine.request("GET", f"/containers/{box}/archive?path=/nowhere")
    assert json.loads(body)["message"] == f"Could not find the file /nowhere in container {box}"
    assert put(engine, box, "/nowhere", tar(entry("x")))[0] == 404
    status, body, _ = put(engine, box, "/etc/passwd", tar(entry("x")))
    assert (status, json.loads(body)["message"]) == (400, "extraction point is not a directory")
    assert engine.request("GET", f"/containers/{box}/archive")[0] == 400


def test_names_in_the_archive_are_dockers(engine, box):
    for path, names in [
        ("/d", ["d", "d/abs", "d/dangling", "d/f", "d/rel"]),
        ("/d/.", [".", "./abs", "./dangling", "./f", "./rel"]),
        ("/d/f", ["f"]),
        ("/d/rel", ["rel"]),
    ]:
        archive, _ = get(engine, box, path)
        assert archive.getnames() == names, path
    archive, _ = get(engine, box, "/")
    assert {"/", "/d", "/d/f"} <= {name or "/" for name in archive.getnames()}


def test_owner_mode_attributes_and_hard_links_come_through_both_ways(engine, box):
    sent = tar(
        entry("t/a", data=b"text", mode=0o4751, uid=1000, gid=77, mtime=1234567890,
              xattrs={"user.note": "kept"}),
        hardlink("t/b", "t/a"),
        symlink("t/s", "/etc/passwd", uid=5, gid=6),
        entry("t/fifo", kind=tarfile.FIFOTYPE, mode=0o620),
        entry("t/null", kind=tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3),
        entry("t/" + "long" * 60, data=b"x" * 1000),
    )
    assert put(engine, box, "/tmp", sent)[0] == 200
    archive, _ = get(engine, box, "/tmp/t")
    a = archive.getmember("t/a")
    assert (a.mode, a.uid, a.gid, a.mtime, a.size) == (0o4751, 1000, 77, 1234567890, 4)
    assert archive.extractfile(a).read() == b"text"
    assert a.pax_headers["SCHILY.xattr.user.note"] == "kept"
    b = archive.getmember("t/b")
    assert b.islnk() and b.linkname == "t/a"
    s = archive.getmember("t/s")
    assert s.issym() and (s.linkname, s.uid, s.gid) == ("/etc/passwd", 5, 6)
    assert archive.getmember("t/fifo").isfifo() and archive.getmember("t/fifo").mode == 0o620
    null = archive.getmember("t/null")
    assert null.ischr() and (null.devmajor, null.devminor, null.mode) == (1, 3, 0o666)
    assert archive.extractfile("t/" + "long" * 60).read() == b"x" * 1000


def test_a_packed_archive_is_unpacked_and_an_empty_one_is_nothing(engine, box):
    assert put(engine, box, "/tmp", gzip.compress(tar(entry("z", data=b"zip"))))[0] == 200
    archive, _ = get(engine, box, "/tmp/z")
    assert archive.extractfile("z").read() == b"zip"
    assert put(engine, box, "/tmp", b"")[0] == 200
    assert put(engine, box, "/tmp", b"no tar at all" * 100)[0] == 400


def test_a_directory_and_a_file_take_each_others_place_only_when_they_may(engine, box):
    status, body, _ = put(engine, box, "/", tar(entry("d", data=b"file")), "&noOverwriteDirNonDir=true")
    assert status == 400 and b'cannot overwrite directory \\"/d\\" with non-directory' in body, body
    status, body, _ = put(engine, box, "/d", tar(folder("f")), "&noOverwriteDirNonDir=true")
    assert status == 400 and b'cannot overwrite non-directory \\"/d/f\\" with directory' in body, body
    assert put(engine, box, "/", tar(entry("d", data=b"file")))[0] == 200
    archive, _ = get(engine, box, "/d")
    assert archive.extractfile("d").read() == b"file"


def test_whiteout_names_are_files_like_others(engine, box):
    assert put(engine, box, "/d", tar(entry(".wh.f", data=b"plain")))[0] == 200
    archive, _ = get(engine, box, "/d")
    assert {"d/.wh.f", "d/f"} <= set(archive.getnames())


def test_everything_belongs_to_the_containers_user_when_asked(engine):
    box = engine.create("true", User="user")
    sent = tar(entry("mine", uid=3, gid=4))
    assert put(engine, box, "/tmp", sent, "&copyUIDGID=true")[0] == 200
    archive, _ = get(engine, box, "/tmp/mine")
    assert (archive.getmember("mine").uid, archive.getmember("mine").gid) == (1000, 1000)
    assert put(engine, box, "/tmp", sent)[0] == 200
    archive, _ = get(engine, box, "/tmp/mine")
    assert (archive.getmember("mine").uid, archive.getmember("mine").gid) == (3, 4)


@pytest.mark.parametrize("archive", [
    tar(entry("../../escaped")), tar(folder("x"), entry("x/../../../escaped")),
    tar(hardlink("h", "../../../etc/hostname")),
], ids=["dotdot", "inner-dotdot", "hard-link"])
def test_a_name_that_leaves_is_refused(engine, box, archive, tmp_path):
    status, body, _ = put(engine, box, "/tmp", archive)
    assert status in (400, 403), body
    assert engine.request("HEAD", f"/containers/{box}/archive?path=/escaped")[0] == 404


def test_symlinks_of_the_archive_lead_to_the_containers_files(engine, box, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    sent = tar(symlink("out", str(outside)), entry("out/x", data=b"caught"))
    status, body, _ = put(engine, box, "/tmp", sent)
    assert list(outside.iterdir()) == []
    sent = tar(entry("/absolute", data=b"inside"))
    assert put(engine, box, "/tmp", sent)[0] == 200
    archive, _ = get(engine, box, "/tmp/absolute")
    assert archive.extractfile("absolute").read() == b"inside"


def test_mounts_of_a_running_container_are_seen_and_read_only_ones_kept(engine, tmp_path):
    (tmp_path / "in").write_text("from the host")
    host = {"Binds": [f"{tmp_path}:/rw", f"{tmp_path}:/ro:ro"], "ReadonlyRootfs": True}
    box = engine.start("sleep", "1000", host=host)
    archive, _ = get(engine, box, "/rw/in")
    assert archive.extractfile("in").read() == b"from the host"
    assert put(engine, box, "/rw", tar(entry("out", data=b"to the host")))[0] == 200
    assert (tmp_path / "out").read_bytes() == b"to the host"
    for path, why in ("/ro", "mounted volume is marked read-only"), ("/etc", "container rootfs is marked read-only"):
        status, body, _ = put(engine, box, path, tar(entry("no")))
        assert (status, json.loads(body)["message"]) == (400, why)
    assert not (tmp_path / "no").exists()
    engine.post(f"/containers/{box}/kill")
    status, body, _ = put(engine, box, "/etc", tar(entry("no")))
    assert (status, json.loads(body)["message"]) == (400, "container rootfs is marked read-only")
    status, body, _ = engine.request("GET", f"/containers/{box}/archive?path=/rw/in")
    assert status == 501 and b"/rw/in is in a mount of the container" in body


def test_links_swapped_while_copying_lead_nowhere(engine, tmp_path):
    """A container that turns a directory into a symlink to the host's and back, as fast as it can."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "secret").write_text("the host's own")
    script = (f"mkdir -p /w/real; ln -s {victim} /w/link; echo mine >/w/real/secret; mv /w/real /w/dir;"
              "touch /w/ready; while :; do mv /w/dir /w/real; mv /w/link /w/dir; mv /w/dir /w/link; mv /w/real /w/dir; done")
    box = engine.start("sh", "-c", script)
    while engine.request("HEAD", f"/containers/{box}/archive?path=/w/ready")[0] != 200:
        pass
    sent = tar(entry("dir/planted", data=b"x"), entry("dir/pipe", kind=tarfile.FIFOTYPE, mode=0o666))
    leaks = []

    def read():
        for _ in range(60):
            for path in "/w/dir/secret", "/w/dir/.", "/w":
                status, body, _ = engine.request("GET", f"/containers/{box}/archive?path={path}")
                if status == 200 and b"the host's own" in body:
                    leaks.append(path)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(60):
        put(engine, box, "/w", sent)
        put(engine, box, "/w/dir", tar(entry("planted", data=b"x")))
    for thread in threads:
        thread.join()
    assert leaks == []
    assert [p.name for p in victim.iterdir()] == ["secret"]


def test_the_docker_cli_copies_both_ways(engine, box, tmp_path):
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "src/file").write_text("from here")
    (tmp_path / "src/sub/deep").write_text("deep")
    done = engine.docker("cp", f"{tmp_path}/src", f"{box}:/tmp")
    assert done.returncode == 0, done.stderr
    done = engine.docker("cp", f"{box}:/tmp/src/.", f"{tmp_path}/back")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back/file").read_text() == "from here"
    assert (tmp_path / "back/sub/deep").read_text() == "deep"
    done = engine.docker("cp", "-L", f"{box}:/d/abs", f"{tmp_path}/passwd")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "passwd").read_text().startswith("root:")
    done = engine.docker("cp", f"{box}:/nowhere", str(tmp_path))
    assert done.returncode == 1 and b"Could not find the file /nowhere in container" in done.stderr
    done = engine.docker("cp", "-", f"{box}:/tmp", input=tar(entry("piped", data=b"p")))
    assert done.returncode == 0, done.stderr
    done = engine.docker("cp", f"{box}:/tmp/piped", "-")
    assert tarfile.open(fileobj=io.BytesIO(done.stdout)).extractfile("piped").read() == b"p"


def test_export_is_the_root_without_mounts(engine, box):
    done = engine.docker("export", box)
    assert done.returncode == 0, done.stderr
    archive = tarfile.open(fileobj=io.BytesIO(done.stdout))
    names = archive.getnames()
    assert names == sorted(names, key=lambda n: n.split("/"))
    assert {"bin/busybox", "d/f", "etc/greeting"} <= set(names) and "bin/false" not in names
    assert not [n for n in names if n.startswith(("proc/", "sys/"))]
    assert archive.extractfile("d/f").read() == b"one\n"
    assert stat.S_IMODE(archive.getmember("tmp").mode) == 0o1777


def test_events_tell_of_copies_and_exports(engine):
    box = engine.create("true")
    get(engine, box, "/etc/passwd")
    put(engine, box, "/tmp", tar(entry("x")))
    engine.request("GET", f"/containers/{box}/export")
    assert [one["Action"] for one in engine.events(box)][-3:] == ["archive-path", "extract-to-dir", "export"]
