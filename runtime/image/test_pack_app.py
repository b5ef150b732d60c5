"""An image packed for the boot."""

import json
import os
import re
import shutil
import struct
import subprocess

import pytest
from imagefiles import Image, entry, tar, write_tar
from imagerun import TOOL, TOP, VARIETY, content, names, tool, unpack

# --- packed for the boot ----------------------------------------------------------------------------


def pack(image, out, *options):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("FAKEROOT", "LD_PRELOAD"))}
    command = [TOP / "runtime/image/pack-app", image, out, "--tool", TOOL, "--arch", "x86_64", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return out


def test_packing_the_same_image_twice_gives_the_same_bytes(tmp_path):
    image = write_tar(tmp_path / "app.tar", Image(tar(*VARIETY)).layout())
    (tmp_path / "elsewhere").mkdir()
    first = pack(image, tmp_path / "1.cpio")
    again = pack(shutil.copy(image, tmp_path / "elsewhere/app.tar"), tmp_path / "elsewhere/2.cpio")
    assert content(first) == content(again)
    assert sorted(os.listdir(tmp_path)) == ["1.cpio", "app.tar", "elsewhere"]


def cpio_files(path, into):
    into.mkdir()
    tool("cpio", "-idm", "--quiet", "-F", path, cwd=into)
    return into


def test_a_packed_application_has_what_init_expects(tmp_path):
    config = {"Cmd": ["/x"], "StopSignal": "SIGINT"}
    image = write_tar(tmp_path / "app.tar", Image(tar(*VARIETY), config=config).layout())
    files = cpio_files(pack(image, tmp_path / "a.cpio"), tmp_path / "x")
    assert names(files) == [
        "containers", "containers/app", "containers/app/config.json", "containers/app/rootfs",
        "containers/app/rootfs.erofs", "etc", "etc/services", "etc/services/app"]
    service = (files / "etc/services/app").read_text()
    assert "container=/containers/app\n" in service and "stop-signal=INT\n" in service
    assert json.loads((files / "containers/app/config.json").read_text())["hostname"] == "app"


@pytest.mark.parametrize("signal, written", [("SIGRTMIN+3", "37"), ("9", "9"), ("QUIT", "QUIT")])
def test_the_stop_signal_may_be_written_in_any_way(tmp_path, signal, written):
    config = {"Cmd": ["/x"], "StopSignal": signal}
    image = write_tar(tmp_path / "app.tar", Image(tar(*VARIETY), config=config).layout())
    files = cpio_files(pack(image, tmp_path / "a.cpio"), tmp_path / "x")
    assert f"\nstop-signal={written}\n" in (files / "etc/services/app").read_text()


def erofs_mode(path, nid):
    """i_mode of an inode; dump.erofs leaves setuid and sticky bits out. Source: kernel erofs_fs.h."""
    data = path.read_bytes()
    (meta_block,) = struct.unpack_from("<I", data, 1024 + 40)
    return struct.unpack_from("<H", data, (meta_block << 12) + 32 * nid + 4)[0]


def test_the_packed_filesystem_has_the_owners_modes_and_times(tmp_path):
    image = write_tar(tmp_path / "app.tar", Image(tar(*VARIETY)).layout())
    files = cpio_files(pack(image, tmp_path / "a.cpio"), tmp_path / "x")
    erofs = files / "containers/app/rootfs.erofs"
    for path, owner, mode in (("/tmp", "Uid: 5   Gid: 6", 0o41777),
                              ("/bin/su", "Uid: 0   Gid: 0", 0o104755),
                              ("/bin/sh", "Uid: 7   Gid: 8", 0o120777)):
        shown = tool("dump.erofs", f"--path={path}", erofs)
        assert owner in shown, shown
        assert erofs_mode(erofs, int(re.search("NID: ([0-9]+)", shown)[1])) == mode, path
    # the newest time in the image is kept, not the time of the build
    shown = tool("dump.erofs", "--path=/ünïcode/名前", erofs)
    assert "2009-02-1" in shown, shown
    tool("fsck.erofs", erofs)


def test_an_image_that_cannot_be_packed_leaves_nothing(tmp_path):
    image = write_tar(tmp_path / "app.tar", Image(tar(entry("../x"))).layout())
    with pytest.raises(AssertionError, match="leaves the root"):
        pack(image, tmp_path / "a.cpio")
    assert os.listdir(tmp_path) == ["app.tar"]


def test_the_example_image_is_one_that_skopeo_takes(tmp_path, place):
    (tmp_path / "busybox").write_bytes(b"not run here")
    for arch in ("amd64", "arm64"):
        out = tmp_path / f"{arch}.tar"
        build = [TOP / "examples/web/build.py", out, "--busybox", tmp_path / "busybox", "--arch", arch]
        tool(*build)
        before = content(out)
        tool(*build)
        assert content(out) == before
        assert json.loads(tool("skopeo", "inspect", f"oci-archive:{out}"))["Architecture"] == arch
        root = unpack(out, place / arch, "--platform", f"linux/{arch}")
        assert "<title>Sampan</title>" in (root / "www/index.html").read_text()
