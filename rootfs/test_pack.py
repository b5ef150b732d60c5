"""The packer: what stands in the list is in the archive, and the same content is the same bytes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOL = Path(__file__).with_name("pack.py")
LIST = """\
dir /tmp 1777   # a comment
node /dev/console 600 c 5 1
tree $TOP/tree
file /init 755 $TOP/program
"""


class Source:
    """A tree to pack, in a folder of its own."""

    def __init__(self, top, mtime=1, umask=0o022, reverse=False):
        self.top = top
        old = os.umask(umask)
        names = ["etc/a", "etc/b", "usr/bin/run", "x.d/y/z"]
        for name in reversed(names) if reverse else names:
            path = top / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        (top / "tree/usr/bin/run").chmod(0o700)
        (top / "tree/link").symlink_to("etc/a")
        (top / "program").write_text("the init")
        (top / "list").write_text(LIST)
        for path in [top, *top.rglob("*")]:
            os.utime(path, (mtime, mtime), follow_symlinks=False)
        os.umask(old)

    def pack(self, name="out.cpio", cwd="/", umask=0o022):
        done = subprocess.run(
            ["sh", "-c", 'umask "$1"; shift; exec "$@"', "sh", f"{umask:o}", TOOL]
            + [self.top / "list", self.top / name, f"TOP={self.top}"],
            cwd=cwd,
            env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        return (self.top / name).read_bytes() if done.returncode == 0 else done.stderr


def listing(data):
    out = subprocess.run(["cpio", "-itv", "--quiet"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return {line.split()[-1].split(" -> ")[0]: line for line in out.decode().splitlines()}


@pytest.mark.parametrize("name", ["out.cpio", "out.cpio.zst"])
def test_two_builds_give_the_same_bytes(tmp_path, name):
    first = Source(tmp_path / "one", mtime=1000).pack(name)
    (tmp_path / "elsewhere").mkdir()
    second = Source(tmp_path / "two", mtime=2000, umask=0o077, reverse=True).pack(
        name, cwd=tmp_path / "elsewhere", umask=0o077
    )
    assert isinstance(first, bytes) and first == second


def test_entries_are_sorted_whatever_the_file_system_says(tmp_path):
    names = list(listing(Source(tmp_path / "one").pack()))
    assert names == sorted(names)


def test_one_changed_byte_changes_the_archive(tmp_path):
    source = Source(tmp_path / "one")
    first = source.pack()
    (source.top / "tree/etc/a").write_text("etc/A")
    assert source.pack() != first


def test_modes_owner_links_and_the_console_are_as_listed(tmp_path):
    found = subprocess.run(
        ["cpio", "-itv", "--quiet", "--numeric-uid-gid"],
        input=Source(tmp_path / "one", umask=0o077).pack(),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()
    lines = {words[-1]: words for words in map(str.split, found.splitlines())}
    assert lines["tmp"][0] == "drwxrwxrwt"
    assert lines["dev/console"][0] == "crw-------" and lines["dev/console"][4:6] == ["5,", "1"]
    assert lines["init"][0] == "-rwxr-xr-x"
    assert lines["etc/b"][0] == "-rw-r--r--"
    assert lines["usr/bin/run"][0] == "-rwxr-xr-x"
    assert "link -> etc/a" in found
    assert all(words[2:4] == ["0", "0"] for words in lines.values())


def test_the_archive_unpacks_to_what_was_packed(tmp_path):
    source = Source(tmp_path / "one")
    (tmp_path / "unpacked").mkdir()
    subprocess.run(
        ["cpio", "-id", "--quiet", "--no-absolute-filenames", "etc/*", "x.d/*"],
        input=source.pack(),
        cwd=tmp_path / "unpacked",
        check=True,
    )
    assert (tmp_path / "unpacked/x.d/y/z").read_text() == "x.d/y/z"


def test_a_later_line_replaces_an_earlier_one(tmp_path):
    source = Source(tmp_path / "one")
    with open(source.top / "list", "a", encoding="utf-8") as file:
        file.write("dir /etc 700\n")
    assert listing(source.pack())["etc"].startswith("drwx------")


@pytest.mark.parametrize(
    "line", ["file /x 755 /nonexistent", "tree /nonexistent", "dir /x rwx", "what is this"]
)
def test_a_line_that_cannot_be_followed_is_named(tmp_path, line):
    source = Source(tmp_path / "one")
    with open(source.top / "list", "a", encoding="utf-8") as file:
        file.write(line + "\n")
    assert f"{source.top}/list:5: " in source.pack()
    assert not (source.top / "out.cpio").exists()


def test_zstd_packs_the_same_archive(tmp_path):
    if not shutil.which("zstd"):
        pytest.fail("zstd is missing")
    source = Source(tmp_path / "one")
    packed = source.pack("out.cpio.zst")
    plain = subprocess.run(["zstd", "-dc"], input=packed, stdout=subprocess.PIPE, check=True).stdout
    assert plain == source.pack("out.cpio")
