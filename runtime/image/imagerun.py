"""Runs sampan-image for tests and looks at what it made."""

import hashlib
import os
import stat
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest
from imagefiles import Image, entry, folder, hardlink, symlink, tar, write_folder

TOP = Path(__file__).resolve().parents[2]
TOOL = os.environ.get("SAMPAN_IMAGE", TOP / "out/host/sampan-image")
FAKED = "FAKEROOTKEY" in os.environ
real_root = pytest.mark.skipif(FAKED or os.geteuid() != 0, reason="umoci needs root")

# A file capability: cap_net_raw+ep, as the kernel stores it (VFS_CAP_REVISION_2).
CAP_NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


def run(image, bundle, *options):
    options = options if "--platform" in options else (*options, "--platform", "linux/amd64")
    return subprocess.run(
        [TOOL, "unpack", *options, image, bundle], capture_output=True, text=True, check=False
    )


def unpack(image, bundle, *options):
    done = run(image, bundle, *options)
    assert (done.returncode, done.stderr) == (0, "")
    return bundle / "rootfs"


def refused(image, place, *options):
    """Unpack what must be refused: one line, and nothing is left behind. Returns the line."""
    done = run(image, place / "b", *options)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("sampan-image: ")
    assert os.listdir(place) == []
    return done.stderr.strip()


def layout(tmp_path, *layers, **more):
    return write_folder(tmp_path / "layout", Image(*layers, **more).layout())


def content(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def snapshot(root, times=True):
    """Everything that a file tree is, by path."""
    found, inodes = {}, {}
    for path in [Path(root), *sorted(Path(root).rglob("*"))]:
        name = str(path.relative_to(root))
        st = os.lstat(path)
        what = {"mode": oct(st.st_mode), "uid": st.st_uid, "gid": st.st_gid}
        if times:
            what["mtime"] = st.st_mtime_ns
        if stat.S_ISREG(st.st_mode):
            what["content"] = content(path)
        if stat.S_ISLNK(st.st_mode):
            what["target"] = os.readlink(path)
        if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
            what["device"] = st.st_rdev
        if not stat.S_ISDIR(st.st_mode):
            what["same as"] = inodes.setdefault(st.st_ino, name)
        what["xattrs"] = {
            n: os.getxattr(path, n, follow_symlinks=False)
            for n in os.listxattr(path, follow_symlinks=False)
        }
        found[name] = what
    return found


def names(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


VARIETY = (
    folder("./", mode=0o755, mtime=1100000000),
    folder("etc", mtime=1200000000),
    entry("etc/passwd", data=b"root:x:0:0::/root:/bin/sh\nweb:x:33:44::/www:/bin/sh\n"),
    entry("etc/group", data=b"root:x:0:\nweb:x:44:\nextra:x:77:root,web\n"),
    entry("bin/su", data=b"#!" * 5000, mode=0o4755),
    folder("tmp", mode=0o1777, uid=5, gid=6),
    symlink("bin/sh", "su", uid=7, gid=8),
    hardlink("bin/su2", "bin/su"),
    entry("run/fifo", tarfile.FIFOTYPE, mode=0o620),
    entry("ünïcode/名前", data=b"x", uid=1000, gid=1000, mtime=1234567890.5),
    symlink("größe", "ünïcode/名前"),
    hardlink("ünïcode/zwei", "ünïcode/名前"),
    entry("a" * 120 + "/" + "b" * 120, data=b"long"),
)

LOWER = tar(
    folder("d"), entry("d/one", data=b"1"), entry("d/two", data=b"2"), folder("d/sub"),
    entry("d/sub/three", data=b"3"), entry("f", data=b"f"), symlink("l", "d"),
)


def tool(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout
