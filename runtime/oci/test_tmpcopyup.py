"""tmpcopyup: a tmpfs that starts with what the image has."""

import os
import socket
import stat
import struct
import subprocess

import pytest

from oci_host import NEEDS, user_namespace

pytestmark = NEEDS

# cap_net_bind_service=ep, revision 2 of the attribute
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")

USER, GROUP = 2, 8


def acl(tag, id):
    """An access list with an entry for one user or group more. Source: linux/posix_acl_xattr.h"""
    entries = [(1, 7, -1), (tag, 4, id), (4, 5, -1), (0x10, 5, -1), (0x20, 5, -1)]
    entries.sort(key=lambda e: e[0])
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *e) for e in entries)


def add(oci, destination="/d", *options):
    oci.config["mounts"].append({"destination": destination, "type": "tmpfs", "source": "tmpfs",
                                 "options": ["tmpcopyup", *options]})


def snapshot(top):
    """Everything about everything in @top, by path."""
    seen = {}
    for folder, dirs, files in os.walk(top):
        for name in [".", *dirs, *files]:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            what = [stat.filemode(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns, st.st_rdev]
            if not stat.S_ISDIR(st.st_mode):
                what += [st.st_nlink, st.st_size]
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    what.append(hash(f.read()))
            if stat.S_ISLNK(st.st_mode):
                what.append(os.readlink(path))
            what.append({a: os.getxattr(path, a, follow_symlinks=False)
                         for a in os.listxattr(path, follow_symlinks=False)})
            seen[os.path.relpath(path, top)] = what
    return seen


@pytest.fixture
def image(oci):
    """A directory of the image with one of everything."""
    d = oci.rootfs / "d"
    (d / "sub" / "deep").mkdir(parents=True)
    (d / "empty").mkdir(mode=0o711)
    (d / "file").write_text("content\n")
    os.chown(d / "file", 5, 6)
    (d / "file").chmod(0o6754)
    os.setxattr(d / "file", "security.capability", CAPABILITY)
    os.setxattr(d / "file", "user.note", b"x" * 3000)
    os.setxattr(d / "sub", "trusted.note", b"for root")
    os.link(d / "file", d / "sub" / "same")
    (d / "sub" / "deep" / "link").symlink_to("../../file")
    (d / "outside").symlink_to(oci.path / "secret")
    os.lchown(d / "outside", 7, 8)
    os.setxattr(d / "outside", "trusted.link", b"l", follow_symlinks=False)
    os.link(d / "outside", d / "sub" / "outside", follow_symlinks=False)
    os.mkfifo(d / "pipe")
    os.mknod(d / "node", stat.S_IFCHR | 0o640, os.makedev(1, 3))
    os.setxattr(d / "node", "trusted.node", b"n")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(d / "socket"))
    with open(d / "holes", "wb") as f:
        f.seek(300 << 20)
        f.write(b"x" * 100)
        f.truncate(600 << 20)
    (d / "sticky").mkdir()
    (d / "sticky").chmod(0o3777)
    for name, tag in (("access", USER), ("default", GROUP)):
        os.setxattr(d / "sub", f"system.posix_acl_{name}", acl(tag, 9))
    for path in (d / "sub" / "deep" / "link", d / "node", d / "file", d / "sub", d):
        os.utime(path, ns=(1_000_000_000_000_000_001, 1_100_000_000_000_000_002),
                 follow_symlinks=False)
    os.chown(d, 3, 4)
    d.chmod(0o2751)
    return d


def copied(oci):
    """What a running container has at /d, seen from here."""
    oci.create("sleep", "1000")
    return f"/proc/{oci.state()['pid']}/root/d"


def test_everything_is_copied_with_all_that_belongs_to_it(oci, image):
    os.remove(image / "holes")
    before = snapshot(image)
    add(oci)
    assert snapshot(copied(oci)) == before
    assert len(before) == 13


def test_the_copy_is_the_containers_own(oci, image):
    add(oci)
    for kind in ("bounding", "permitted", "effective"):
        oci.process["capabilities"][kind].append("CAP_DAC_OVERRIDE")
    out = oci.sh("echo changed >/d/file; rm -r /d/sub; cat /d/file; ls -d /d/sub 2>&1; "
                 "grep ' /d ' /proc/mounts")
    assert out.startswith("changed\n") and "No such file" in out and "tmpfs" in out
    assert (image / "file").read_text() == "content\n" and (image / "sub" / "same").exists()


def test_the_image_is_not_touched(oci, image):
    old = 1_000_000_000_000_000_001
    os.utime(image / "file", ns=(old, old))
    add(oci)
    oci.sh("true")
    assert (image / "file").stat().st_atime_ns == old


def test_hard_links_and_holes_stay_what_they_are(oci, image):
    add(oci, "/d", "size=1m")
    out = oci.sh("cd /d; [ file -ef sub/same ] && echo same; stat -c '%s' holes; "
                 "tail -c 1 holes | od -c | head -n 1; dd if=holes bs=1M skip=300 count=1 2>/dev/null | head -c 1; "
                 "[ $(du -k holes | cut -f 1) -lt 64 ] && echo small")
    assert out.split()[0] == "same" and str(600 << 20) in out and "x" in out and "small" in out


def test_symlinks_are_copied_and_never_followed(oci, image):
    (oci.path / "secret").mkdir()
    (oci.path / "secret" / "key").write_text("host's")
    add(oci)
    where = copied(oci)
    assert os.readlink(where + "/outside") == str(oci.path / "secret")
    assert os.readlink(where + "/sub/outside") == str(oci.path / "secret")


@pytest.mark.parametrize("target", ["/etc", "../../../../../../../etc"])
def test_a_place_that_is_a_symlink_is_the_roots(oci, target):
    (oci.rootfs / "etc").mkdir()
    (oci.rootfs / "etc" / "mine").write_text("image's")
    (oci.rootfs / "d").symlink_to(target)
    add(oci)
    assert oci.sh("ls /etc; readlink /d; grep -c ' /etc tmpfs' /proc/mounts").split() == [
        "mine", target, "1"]


def test_a_place_that_is_missing_is_empty(oci):
    add(oci)
    assert oci.sh("ls -A /d; grep -c ' /d ' /proc/mounts") == "1\n"


def test_options_win_over_the_image(oci, image):
    add(oci, "/d", "mode=700", "uid=11", "gid=12")
    assert oci.sh("stat -c '%a %u:%g' /d").strip() == "700 11:12"


@pytest.mark.parametrize("word", ["ro", "rro"])
def test_it_can_be_read_only(oci, image, word):
    add(oci, "/d", word, "nosuid")
    out = oci.sh("cat /d/file; touch /d/x 2>&1; grep ' /d ' /proc/mounts")
    assert out.startswith("content") and "Read-only" in out and "ro,nosuid" in out


def test_what_is_mounted_in_the_image_is_not_copied(oci, image):
    subprocess.run(["mount", "-t", "tmpfs", "t", image / "empty"], check=True)
    try:
        (image / "empty" / "mounted").touch()
        add(oci)
        assert oci.sh("ls /d/empty; stat -c %a /d/empty").split() == ["711"]
    finally:
        subprocess.run(["umount", image / "empty"], check=True)


def test_what_a_volume_has_is_not_copied(oci, image):
    (oci.rootfs / "v").symlink_to("d/sub/deep")
    volume = oci.path / "volume"
    (volume / "deep").mkdir(parents=True)
    (volume / "deep" / "theirs").touch()
    oci.config["mounts"].append({"destination": "/d/sub", "source": str(volume), "options": ["bind"]})
    add(oci, "/v")
    assert oci.sh("ls -A /v/; grep -c ' /d/sub/deep tmpfs' /proc/mounts").split() == ["1"]


def test_in_a_user_namespace(oci, image):
    for path in (image / "node", image / "holes"):
        os.remove(path)
    for folder, dirs, files in os.walk(image):
        for name in [*dirs, *files]:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            if st.st_uid < 100000:  # else it has another name
                os.lchown(path, st.st_uid + 100000, st.st_gid + 100000)
    os.chown(image, 100003, 100004)
    for name, tag in (("access", USER), ("default", GROUP)):
        os.setxattr(image / "sub", f"system.posix_acl_{name}", acl(tag, 100009))
    user_namespace(oci)
    add(oci)
    out = oci.sh("cd /d; stat -c '%u:%g %a' . file; cat file; [ file -ef sub/same ] && echo same")
    assert out.split() == ["3:4", "2751", "5:6", "754", "content", "same"]  # as chown left it


def test_a_tree_that_does_not_fit_is_named(oci, image):
    (image / "large").write_bytes(b"x" * (2 << 20))
    add(oci, "/d", "size=1m")
    oci.process["args"] = ["true"]
    assert oci.refused() == (
        'sampan-oci: mounts[7].options: "tmpcopyup": /d/large: No space left on device')


def test_a_tree_that_is_too_deep_is_named(oci):
    deep = oci.rootfs / "d"
    deep.mkdir()
    top = os.open(deep, os.O_RDONLY)
    fd = top
    for _ in range(200):
        os.mkdir("x", dir_fd=fd)
        fd = os.open("x", os.O_RDONLY, dir_fd=fd)
    add(oci)
    oci.process["args"] = ["true"]
    line = oci.refused()
    assert line.startswith('sampan-oci: mounts[7].options: "tmpcopyup": /d/x/x/x')
    assert not (oci.root / "c").exists()
