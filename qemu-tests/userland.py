#!/usr/bin/python3
"""A Debian userland with the programs that Sampan's are compared with, as a disk for the guest.

build() returns a folder of the cache, made of Debian trixie's binary packages without root and without
running any of their scripts, under a key of this file:

    disk        an ext4 file system; boot a guest with it through peers.py
    busybox     Debian's static BusyBox, for container images
    versions    "NAME VERSION" of the packages that were asked for

    userland.py        builds it if needed and prints the folder
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "build"))

import apt  # noqa: E402
from sources import CACHE  # noqa: E402

# nothing is essential but what is named here
PACKAGES = """
    base-files base-passwd bash coreutils dash findutils grep gzip libc-bin mawk mount passwd sed tar
    util-linux procps python3 busybox-static
    podman crun conmon netavark catatonit uidmap
    containerd runc docker.io docker-cli tini
""".split()
ARCHITECTURE = "amd64"
# room for images and containers; the file is sparse
SIZE = "4G"
# what no test reads
LEFT_OUT = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/info", "./boot")
# What maintainer scripts would have made. No docker group: its socket is root's.
FILES = {
    "etc/hostname": "debian\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/resolv.conf": "",
    "etc/machine-id": "5a4d50414e5a4d50414e5a4d50414e00\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    # podman --userns=auto takes its ranges from the user "containers"
    "etc/subuid": "containers:200000:1000000\n",
    "etc/subgid": "containers:200000:1000000\n",
    "var/lib/misc/.keep": "",
}
LINKS = {"usr/bin/awk": "mawk", "usr/bin/docker-init": "tini-static", "etc/mtab": "/proc/self/mounts"}


def run(*command, **options):
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
    if done.returncode != 0:
        raise apt.Error(f"{command[0]} failed:\n{apt.last_lines(done.stdout)}")


def unpack(debs, root):
    """The files of the packages, and what their scripts would have done."""
    root.mkdir()
    leave_out = " ".join(f"--exclude={name}" for name in LEFT_OUT)
    for deb in debs:
        run("bash", "-c", f'set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar -xp {leave_out} -C "$2"', "-", deb, root)
    shared = root / "usr/share/base-passwd"
    shutil.copy(shared / "passwd.master", root / "etc/passwd")
    shutil.copy(shared / "group.master", root / "etc/group")
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name, target in LINKS.items():
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(target)
    (root / "root").chmod(0o700)
    versions = [Path(deb).name.removesuffix(".deb").split("_") for deb in debs]
    lines = [f"{name} {version.replace('%3a', ':')}\n" for name, version, *_ in versions if name in PACKAGES]
    run("/sbin/ldconfig", "-r", root)
    return "".join(sorted(lines))


def make_disk(root, disk):
    """No journal: the file system is thrown away with the guest, whose emulated processor it would cost."""
    run("truncate", "-s", SIZE, disk)
    features = "^has_journal,^metadata_csum,^resize_inode"
    options = "lazy_itable_init=1,nodiscard"
    run("mke2fs", "-q", "-t", "ext4", "-O", features, "-E", options, "-m", "0", "-d", root, disk)


def make(folder, debs):
    """All that build() returns; below fakeroot, so that the files belong to root."""
    root = folder / "root"
    (folder / "versions").write_text(unpack(debs, root), encoding="utf-8")
    shutil.copy(root / "usr/bin/busybox", folder / "busybox")
    make_disk(root, folder / "disk")
    shutil.rmtree(root)


def build():
    """Returns the folder, after building it if the cache has none. Its files are not to be written to."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    parent = Path(CACHE) / "userland"
    parent.mkdir(parents=True, exist_ok=True)
    folder, work = parent / f"debian-{key}", parent / "work"
    with open(parent / "lock", "w", encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not folder.exists():
            print("userland: fetching and unpacking Debian packages, once", file=sys.stderr, flush=True)
            # apt's state in the cache is that of the build, which takes turns at it
            with open(CACHE + "/fetch.lock", "w", encoding="utf-8") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)
                debs = apt.Apt(CACHE + "/apt").download_closure(PACKAGES, ARCHITECTURE)
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            fakeroot = [] if os.getuid() == 0 else ["fakeroot", "--"]
            run(*fakeroot, sys.executable, __file__, "--make", work, *debs)
            os.rename(work, folder)
    return folder


def main(arguments):
    if arguments[:1] == ["--make"]:
        make(Path(arguments[1]), arguments[2:])
    else:
        print(build())


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except apt.Error as error:
        sys.exit(f"userland: {error}")
