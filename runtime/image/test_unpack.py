"""What sampan-image makes of images that are right."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile

import pytest
from imagefiles import (
    KIND,
    Image,
    encode,
    entry,
    folder,
    hardlink,
    symlink,
    tar,
    write_folder,
    write_tar,
)
from imagerun import (
    LOWER,
    CAP_NET_RAW,
    VARIETY,
    content,
    layout,
    names,
    real_root,
    refused,
    snapshot,
    tool,
    unpack,
)

# --- what an image may look like --------------------------------------------------------------------


def test_every_form_of_an_image_gives_the_same_tree(tmp_path, place):
    image = Image(tar(*VARIETY), tar(entry("etc/new", data=b"new")))
    files = image.layout()
    late_index = dict(sorted(files.items(), key=lambda item: "index" in item[0]))
    # `docker save` of today: a layout with a manifest.json beside it
    modern = {**files, "manifest.json": encode([])}
    forms = {
        "folder": write_folder(tmp_path / "folder", files),
        "tar": write_tar(tmp_path / "a.tar", files),
        "index-last": write_tar(tmp_path / "b.tar", late_index),
        "tar-gz": write_tar(tmp_path / "c.tar.gz", files, "gzip"),
        "tar-zst": write_tar(tmp_path / "d.tar.zst", files, "zstd"),
        "docker-old": write_tar(tmp_path / "e.tar", image.saved("x:1")),
        "docker-new": write_tar(tmp_path / "f.tar", modern),
    }
    trees = {name: snapshot(unpack(path, place / name)) for name, path in forms.items()}
    for name, tree in trees.items():
        assert tree == trees["folder"], name
    assert len(trees["folder"]) == 18


def test_names_that_are_no_utf8_are_kept(tmp_path, place):
    latin = entry("gr\udcfc\udcdfe")
    root = unpack(layout(tmp_path, tar(latin, form=tarfile.GNU_FORMAT)), place / "b")
    assert os.listdir(os.fsencode(root)) == [b"gr\xfc\xdfe"]


def test_a_digest_and_a_diffid_may_be_of_two_kinds(tmp_path, place):
    data = tar(*VARIETY)
    image = Image(data, packing=None)
    image.config["rootfs"]["diff_ids"] = ["sha512:" + hashlib.sha512(data).hexdigest()]
    root = unpack(write_folder(tmp_path / "layout", image.layout()), place / "b")
    assert (root / "etc/passwd").exists()


@pytest.mark.parametrize("packing", [None, "gzip", "zstd"])
def test_layers_may_be_plain_gzip_or_zstd(tmp_path, place, packing):
    root = unpack(layout(tmp_path, tar(*VARIETY), packing=packing), place / "b")
    assert (root / "ünïcode/名前").read_bytes() == b"x"


def test_owners_modes_links_and_times_are_as_in_the_layer(tmp_path, place):
    root = unpack(layout(tmp_path, tar(*VARIETY)), place / "b")
    tree = snapshot(root)
    assert tree["bin/su"]["mode"] == "0o104755"
    assert tree["bin/su2"]["same as"] == "bin/su"
    assert (tree["bin/sh"]["target"], tree["bin/sh"]["uid"], tree["bin/sh"]["gid"]) == ("su", 7, 8)
    assert (tree["tmp"]["mode"], tree["tmp"]["uid"], tree["tmp"]["gid"]) == ("0o41777", 5, 6)
    assert tree["run/fifo"]["mode"] == "0o10620"
    assert tree["ünïcode/名前"]["mtime"] == 1234567890500000000
    assert tree["größe"]["target"] == "ünïcode/名前"
    assert tree["ünïcode/名前"]["same as"] == tree["ünïcode/zwei"]["same as"]
    # directories get theirs although files were made in them afterwards
    assert (tree["."]["mtime"], tree["etc"]["mtime"]) == (1100000000 * 10**9, 1200000000 * 10**9)
    # and one that no entry describes has one that does not depend on the day
    assert (tree["bin"]["mtime"], tree["bin"]["mode"]) == (0, "0o40755")


def test_attributes_are_kept_with_binary_values(tmp_path, place):
    layer = tar(
        entry("ping", data=b"x", uid=9, mode=0o4755, xattrs={"user.note": "for the reader"}),
        folder("dir", xattrs={"user.kind": "folder"}),
    )
    # python writes text only into pax records; put the binary value in place of a text one
    marker = "B" * len(CAP_NET_RAW)
    capable = tar(entry("raw", data=b"x", mode=0o755, xattrs={"security.capability": marker}))
    capable = capable.replace(marker.encode(), CAP_NET_RAW)
    root = unpack(layout(tmp_path, layer, capable), place / "b")
    assert os.getxattr(root / "ping", "user.note") == b"for the reader"
    assert os.getxattr(root / "dir", "user.kind") == b"folder"
    assert os.getxattr(root / "raw", "security.capability") == CAP_NET_RAW


@pytest.mark.parametrize("form", [["--format=gnu"], ["--format=pax", "--sparse-version=1.0"],
                                  ["--format=pax", "--sparse-version=0.1"]])
def test_sparse_files_stay_sparse(tmp_path, place, form):
    with open(tmp_path / "sparse", "wb") as file:
        for at in (1 << 20, 50 << 20):
            file.seek(at)
            file.write(b"data" * 1024)
        file.truncate(80 << 20)
    subprocess.run(["tar", "-cSf", "l.tar", *form, "sparse"], cwd=tmp_path, check=True)
    layer = (tmp_path / "l.tar").read_bytes()
    assert len(layer) < 1 << 20
    root = unpack(layout(tmp_path, layer), place / "b")
    assert content(root / "sparse") == content(tmp_path / "sparse")
    assert os.stat(root / "sparse").st_blocks * 512 < 1 << 20


# --- layers over layers -----------------------------------------------------------------------------

def test_a_whiteout_removes_one_name_of_lower_layers(tmp_path, place):
    root = unpack(layout(tmp_path, LOWER, tar(entry("d/.wh.one"), entry(".wh.f"))), place / "b")
    assert names(root) == ["d", "d/sub", "d/sub/three", "d/two", "l"]


def test_a_whiteout_removes_a_whole_directory(tmp_path, place):
    assert names(unpack(layout(tmp_path, LOWER, tar(entry(".wh.d"))), place / "b")) == ["f", "l"]


@pytest.mark.parametrize("first", [True, False])
def test_an_opaque_whiteout_hides_lower_layers_only_wherever_it_stands(tmp_path, place, first):
    opaque = [entry("d/.wh..wh..opq")]
    mine = [folder("d"), entry("d/mine", data=b"m"), folder("d/sub"), entry("d/sub/own")]
    layer = tar(*(opaque + mine if first else mine + opaque))
    root = unpack(layout(tmp_path, LOWER, layer), place / "b")
    assert names(root) == ["d", "d/mine", "d/sub", "d/sub/own", "f", "l"]


@pytest.mark.parametrize("first", [True, False])
def test_a_whiteout_and_the_name_itself_in_one_layer_replace_it(tmp_path, place, first):
    hide, mine = [entry(".wh.d")], [folder("d"), entry("d/new", data=b"n")]
    layer = tar(*(hide + mine if first else mine + hide))
    root = unpack(layout(tmp_path, LOWER, layer), place / "b")
    assert names(root) == ["d", "d/new", "f", "l"]


def test_a_whiteout_of_nothing_and_the_bookkeeping_of_aufs_are_skipped(tmp_path, place):
    layer = tar(entry(".wh.missing"), entry("no/where/.wh.x"), folder(".wh..wh.plnk"),
                entry(".wh..wh.aufs"))
    assert "d" in names(unpack(layout(tmp_path, LOWER, layer), place / "b"))
    assert not list((place / "b").rglob(".wh*"))


def test_a_whiteout_without_a_name_is_refused(tmp_path, place):
    assert "whiteout of nothing" in refused(layout(tmp_path, tar(entry("d/.wh...") )), place)


def test_an_upper_layer_changes_the_type_of_what_is_below(tmp_path, place):
    upper = tar(entry("d", data=b"a file now"), folder("f"), entry("f/x"), folder("l"),
                entry("l/in"))
    root = unpack(layout(tmp_path, LOWER, upper), place / "b")
    assert (root / "d").read_bytes() == b"a file now"
    # a directory replaces a symlink to a directory, it is not put through it
    assert not (root / "l").is_symlink() and names(root) == ["d", "f", "f/x", "l", "l/in"]


def test_what_replaces_a_directory_in_use_is_what_later_entries_go_to(tmp_path, place):
    layer = tar(folder("d"), symlink("l", "d"), entry("l/old"), folder("l"), entry("l/new"))
    root = unpack(layout(tmp_path, layer), place / "b")
    assert names(root) == ["d", "d/old", "l", "l/new"]


def test_a_directory_over_a_directory_keeps_the_files_and_takes_the_metadata(tmp_path, place):
    root = unpack(layout(tmp_path, LOWER, tar(folder("d", mode=0o700, uid=4))), place / "b")
    assert (root / "d/one").read_bytes() == b"1"
    assert (oct(root.joinpath("d").stat().st_mode), (root / "d").stat().st_uid) == ("0o40700", 4)


def test_a_directory_over_a_directory_has_only_its_own_attributes(tmp_path, place):
    lower = tar(folder("./", xattrs={"user.a": "1"}),
                folder("d", xattrs={"user.a": "1", "user.b": "1"}))
    upper = tar(folder("./"), folder("d", xattrs={"user.b": "2"}))
    root = unpack(layout(tmp_path, lower, upper), place / "b")
    assert os.listxattr(root) == []
    assert os.listxattr(root / "d") == ["user.b"]
    assert os.getxattr(root / "d", "user.b") == b"2"


def test_a_hard_link_reaches_into_lower_layers(tmp_path, place):
    layer = tar(hardlink("again", "/d/one"), hardlink("through", "l/two"))
    root = unpack(layout(tmp_path, LOWER, layer), place / "b")
    assert (root / "again").stat().st_ino == (root / "d/one").stat().st_ino
    assert (root / "through").stat().st_ino == (root / "d/two").stat().st_ino


def test_a_hard_link_to_a_symlink_links_the_symlink(tmp_path, place):
    layer = tar(symlink("out", "/etc/passwd"), hardlink("copy", "out"))
    root = unpack(layout(tmp_path, layer), place / "b")
    assert os.readlink(root / "copy") == "/etc/passwd"


def test_replacing_one_link_of_a_lower_file_leaves_the_other(tmp_path, place):
    lower = tar(entry("a", data=b"old"), hardlink("b", "a"))
    root = unpack(layout(tmp_path, lower, tar(entry("a", data=b"new"))), place / "b")
    assert ((root / "a").read_bytes(), (root / "b").read_bytes()) == (b"new", b"old")


# --- other people's tools ---------------------------------------------------------------------------


def umoci_image(tmp_path):
    """A layout that umoci made in three layers, with what trees have in them."""
    store = tmp_path / "store"
    tool("umoci", "init", "--layout", store)
    tool("umoci", "new", "--image", f"{store}:x")
    for step in range(3):
        bundle = tmp_path / f"bundle{step}"
        tool("umoci", "unpack", "--image", f"{store}:x", bundle)
        root = bundle / "rootfs"
        if step == 0:
            shutil.copytree("/etc", root / "etc", symlinks=True,
                            ignore_dangling_symlinks=True, ignore=lambda d, n: {"mtab"} & set(n))
            (root / "bin").mkdir()
            shutil.copy("/bin/ls", root / "bin/ls")
            os.chmod(root / "bin/ls", 0o4755)
            os.link(root / "bin/ls", root / "bin/dir")
            os.setxattr(root / "bin/ls", "user.note", b"\0\1\2")
            os.setxattr(root / "bin/ls", "security.capability", CAP_NET_RAW)
            os.mkfifo(root / "fifo")
        if step == 1:
            shutil.rmtree(root / "etc/ssl", ignore_errors=True)
            os.unlink(root / "etc/passwd")
            shutil.rmtree(root / "etc/apt")
            (root / "etc/apt").write_text("a file now")
        if step == 2:
            os.chown(root / "bin", 12, 34)
            os.chmod(root / "bin", 0o2775)
            (root / "late").write_bytes(os.urandom(100000))
        tool("umoci", "repack", "--image", f"{store}:x", bundle)
    tool("umoci", "config", "--image", f"{store}:x", "--config.cmd", "/bin/ls")
    return store


@real_root
def test_the_tree_is_the_one_that_umoci_unpacks(tmp_path, place):
    store = umoci_image(tmp_path)
    tool("umoci", "unpack", "--image", f"{store}:x", tmp_path / "theirs")
    theirs = snapshot(tmp_path / "theirs/rootfs")
    assert snapshot(unpack(store, place / "b")) == theirs
    assert len(theirs) > 200


@real_root
def test_what_skopeo_copies_gives_the_same_tree(tmp_path, place):
    store = umoci_image(tmp_path)
    want = snapshot(unpack(store, place / "want"))
    copies = {
        "oci": (f"oci-archive:{tmp_path}/a.tar:x", []),
        "docker": (f"docker-archive:{tmp_path}/b.tar:x:1", []),
        "zstd": (f"oci:{tmp_path}/c", ["--dest-compress-format", "zstd", "--dest-compress"]),
    }
    for name, (where, options) in copies.items():
        tool("skopeo", "copy", *options, f"oci:{store}:x", where)
        assert snapshot(unpack(where.split(":")[1], place / name)) == want, name
    blobs = tmp_path / "c/blobs/sha256"
    index = json.loads((tmp_path / "c/index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    media = {layer["mediaType"] for layer in manifest["layers"]}
    assert media == {f"{KIND}.layer.v1.tar+zstd"}

