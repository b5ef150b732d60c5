"""Propagation: who sees what somebody else mounts. Every claim is a real mount, not a flag."""

import os
import subprocess
import sys

import pytest

from oci_host import NEEDS

pytestmark = NEEDS


def mount(*args):
    subprocess.run(["mount", *args], check=True)


def fields(mountinfo, place):
    """The propagation of the topmost mount at @place: its optional fields, without numbers."""
    found = [line.split() for line in mountinfo.splitlines() if line.split()[4] == place]
    return {f.split(":")[0] for f in found[-1][6:found[-1].index("-")]}


@pytest.fixture
def privileged(oci):
    for kind in ("bounding", "permitted", "effective"):
        oci.process["capabilities"][kind].append("CAP_SYS_ADMIN")
    for name in ("place", "other", "third"):
        (oci.rootfs / name).mkdir()
    return oci


@pytest.fixture
def shared_root(privileged):
    """The root file system is a mount whose events go out to its peers."""
    rootfs = privileged.rootfs
    mount("--bind", rootfs, rootfs)
    mount("--make-shared", rootfs)
    yield rootfs
    subprocess.run(["umount", "--recursive", rootfs], check=True)


# A copy of a process's mount namespace, and a mount in it: BusyBox's unshare cannot leave the
# propagation as it is.
MOUNT_INSIDE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def check(r):
    if r < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
NEWNS = 0x20000
check(libc.setns(os.open(f"/proc/{sys.argv[1]}/ns/mnt", os.O_RDONLY), NEWNS))
check(libc.unshare(NEWNS))
check(libc.mount(b"inner", b"/third", b"tmpfs", 0, None))
"""

ROOT = {
    None: ({"master"}, True), "": ({"master"}, True),
    "private": (set(), False), "rprivate": (set(), False),
    "slave": ({"master"}, True), "rslave": ({"master"}, True),
    "shared": ({"shared", "master"}, True), "rshared": ({"shared", "master"}, True),
    "unbindable": ({"unbindable"}, False), "runbindable": ({"unbindable"}, False),
}


@pytest.mark.parametrize("word", ROOT)
def test_the_roots_propagation(privileged, shared_root, word):
    oci = privileged
    want, receives = ROOT[word]
    if word is not None:
        oci.linux["rootfsPropagation"] = word
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    mountinfo = oci.ok("exec", "c", "cat", "/proc/self/mountinfo")
    assert fields(mountinfo, "/") == want
    # A mount of the runtime's own has no master; only a word for all reaches it.
    assert fields(mountinfo, "/proc") == (want - {"master"} if (word or "").startswith("r") else set())
    # From the host into the container.
    mount("-t", "tmpfs", "t", shared_root / "place")
    seen = " /place " in oci.ok("exec", "c", "cat", "/proc/self/mountinfo")
    assert seen == receives
    # Never from the container to the host.
    oci.ok("exec", "--cap", "CAP_SYS_ADMIN", "c", "mount", "-t", "tmpfs", "t", "/other")
    assert f"{shared_root}/other" not in open("/proc/self/mountinfo").read()
    # From a mount namespace inside to the container's own: only within a peer group.
    subprocess.run([sys.executable, "-c", MOUNT_INSIDE, str(oci.state()["pid"])], check=True)
    seen = " /third " in oci.ok("exec", "c", "cat", "/proc/self/mountinfo")
    assert seen == ("shared" in want)


@pytest.mark.parametrize("word,works", [("private", True), ("unbindable", False)])
def test_an_unbindable_root_cannot_be_bound(privileged, word, works):
    privileged.linux["rootfsPropagation"] = word
    out = privileged.sh("mount --bind / /place 2>&1 && echo bound; true")
    assert ("bound" in out) == works


BIND = {
    (): ({"master"}, True, False), ("private",): (set(), False, False),
    ("rprivate",): (set(), False, False), ("slave",): ({"master"}, True, False),
    ("rslave",): ({"master"}, True, False), ("shared",): ({"shared"}, True, True),
    ("rshared",): ({"shared"}, True, True), ("unbindable",): ({"unbindable"}, False, False),
    ("runbindable",): ({"unbindable"}, False, False),
    ("rshared", "rslave"): ({"master"}, True, False), ("private", "shared"): ({"shared"}, True, True),
}


@pytest.mark.parametrize("words", BIND)
def test_the_propagation_of_a_bind_mount(privileged, words):
    oci = privileged
    want, receives, sends = BIND[words]
    source = oci.path / "source"
    source.mkdir()
    mount("-t", "tmpfs", "t", source)
    mount("--make-shared", source)
    for name in ("in", "out"):
        (source / name).mkdir()
    oci.config["mounts"].append({"destination": "/place", "type": "bind", "source": str(source),
                                 "options": ["rbind", *words]})
    try:
        oci.create("sleep", "1000")
        oci.ok("start", "c")
        assert fields(oci.ok("exec", "c", "cat", "/proc/self/mountinfo"), "/place") == want
        mount("-t", "tmpfs", "t", source / "in")
        seen = " /place/in " in oci.ok("exec", "c", "cat", "/proc/self/mountinfo")
        assert seen == receives
        oci.ok("exec", "--cap", "CAP_SYS_ADMIN", "c", "mount", "-t", "tmpfs", "t", "/place/out")
        assert os.path.ismount(source / "out") == sends
    finally:
        subprocess.run(["umount", "--recursive", source], check=True)


@pytest.mark.parametrize("word,top,below", [
    ("private", set(), {"master"}), ("rprivate", set(), set()),
    ("slave", {"master"}, {"master"}), ("rshared", {"shared"}, {"shared"}),
    ("unbindable", {"unbindable"}, {"master"}), ("runbindable", {"unbindable"}, {"unbindable"}),
])
def test_a_recursive_word_reaches_the_mounts_below(privileged, word, top, below):
    source = privileged.path / "source"
    source.mkdir()
    mount("-t", "tmpfs", "t", source)
    mount("--make-shared", source)
    (source / "sub").mkdir()
    mount("-t", "tmpfs", "t", source / "sub")
    privileged.config["mounts"].append({"destination": "/place", "type": "bind",
                                        "source": str(source), "options": ["rbind", word]})
    try:
        out = privileged.sh("cat /proc/self/mountinfo")
    finally:
        subprocess.run(["umount", "--recursive", source], check=True)
    assert fields(out, "/place") == top and fields(out, "/place/sub") == below


def test_a_new_file_system_can_be_shared(privileged):
    for place, word in (("/place", "shared"), ("/other", "rprivate"), ("/third", "rshared")):
        privileged.config["mounts"].append({"destination": place, "type": "tmpfs", "source": "t",
                                            "options": [word]})
    out = privileged.sh("cat /proc/self/mountinfo")
    assert fields(out, "/place") == fields(out, "/third") == {"shared"}
    assert fields(out, "/other") == set()
