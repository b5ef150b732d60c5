"""What sampan-image refuses: ways out of the root, damage, and too much of anything."""

import hashlib
import os
import random
import shutil
import stat
import subprocess
import tarfile

import pytest
from imagefiles import (
    KIND,
    Image,
    compress,
    digest_of,
    encode,
    entry,
    folder,
    hardlink,
    symlink,
    tar,
    write_folder,
    write_tar,
)
from imagerun import VARIETY, layout, names, refused, unpack

# --- ways out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [
    entry("../escaped"), entry("a/../../escaped"), folder("../escaped"), symlink("../x", "y"),
    hardlink("h", "../../../etc/passwd"), entry("../.wh.victim"), entry("a/../.wh.victim"),
], ids=lambda bad: bad[0].name.replace("/", "_"))
def test_a_path_that_leaves_the_root_is_refused(tmp_path, place, bad):
    line = refused(layout(tmp_path, tar(entry("a", data=b"fine"), bad)), place)
    assert "leaves the root" in line and "layer 1 of 1" in line


def test_a_hostile_name_cannot_forge_a_line_or_drive_a_terminal(tmp_path, place):
    line = refused(layout(tmp_path, tar(device("a\nsampan-image: all fine\x1b[2J", 8, 0))), place)
    assert "entry a?sampan-image: all fine?[2J: is the" in line


def test_an_absolute_path_starts_at_the_root_of_the_image(tmp_path, place):
    root = unpack(layout(tmp_path, tar(entry("/etc/absolute", data=b"x"))), place / "b")
    assert (root / "etc/absolute").read_bytes() == b"x"


@pytest.mark.parametrize("steps", [1, 2])
def test_a_symlink_on_the_way_is_followed_inside_the_root(tmp_path, place, steps):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("whole")
    entries = [folder(str(outside).lstrip("/")), symlink("up", "../../../../../../.." + str(outside)),
               symlink("abs", str(outside)), entry("up/one", data=b"1"), entry("abs/two", data=b"2"),
               entry("abs/.wh.victim"), entry("abs/victim", data=b"changed")]
    layers = [tar(*entries)] if steps == 1 else [tar(*entries[:3]), tar(*entries[3:])]
    root = unpack(layout(tmp_path, *layers), place / "b")
    inside = root / str(outside).lstrip("/")
    assert sorted(os.listdir(inside)) == ["one", "two", "victim"]
    assert os.listdir(outside) == ["victim"] and (outside / "victim").read_text() == "whole"


def test_a_symlink_to_outside_is_replaced_and_not_written_through(tmp_path, place):
    victim = tmp_path / "victim"
    victim.write_text("whole")
    for upper in (tar(entry("l", data=b"new", mode=0o777)), tar(folder("l", mode=0o777))):
        shutil.rmtree(place / "b", ignore_errors=True)
        shutil.rmtree(tmp_path / "layout", ignore_errors=True)
        unpack(layout(tmp_path, tar(symlink("l", str(victim))), upper), place / "b")
        assert victim.read_text() == "whole"
        assert victim.stat().st_mode & 0o777 != 0o777


def test_a_hard_link_through_a_symlink_stays_inside(tmp_path, place):
    victim = tmp_path / "victim"
    victim.write_text("whole")
    layer = tar(symlink("s", str(tmp_path)), hardlink("h", "s/victim"))
    assert "hard link to s/victim" in refused(layout(tmp_path, layer), place)
    assert victim.stat().st_nlink == 1


def test_a_hard_link_to_nothing_or_to_itself_is_refused(tmp_path, place):
    assert "No such file" in refused(layout(tmp_path, tar(hardlink("h", "no"))), place)
    assert "itself" in refused(layout(tmp_path / "2", tar(entry("h"), hardlink("h", "h"))), place)


def test_a_symlink_loop_on_the_way_is_refused(tmp_path, place):
    layer = tar(symlink("a", "b"), symlink("b", "a"), entry("a/x"))
    assert "entry a/x" in refused(layout(tmp_path, layer), place)


def test_a_root_that_is_no_directory_is_refused(tmp_path, place):
    assert "root and no directory" in refused(layout(tmp_path, tar(symlink("./", "/etc"))), place)


def test_attributes_that_would_steer_an_overlay_are_refused(tmp_path, place):
    for name in ("trusted.overlay.redirect", "user.overlay.opaque"):
        layer = tar(folder("d", xattrs={name: "/etc"}))
        assert name in refused(layout(tmp_path / name, layer), place)


def device(name, major, minor, kind=tarfile.CHRTYPE):
    return entry(name, kind, devmajor=major, devminor=minor)


def test_device_nodes_that_any_container_may_use_are_unpacked(tmp_path, place):
    root = unpack(layout(tmp_path, tar(device("dev/null", 1, 3), device("dev/tty", 5, 0))), place / "b")
    st = os.lstat(root / "dev/null")
    assert stat.S_ISCHR(st.st_mode) and st.st_rdev == os.makedev(1, 3)


def test_other_device_nodes_are_refused_by_name_unless_allowed(tmp_path, place):
    disk = layout(tmp_path, tar(entry("ok")), tar(device("dev/sda", 8, 0, tarfile.BLKTYPE)))
    line = refused(disk, place)
    assert "layer 2 of 2" in line and "entry dev/sda: is the block device 8:0" in line
    memory = layout(tmp_path / "m", tar(device("mem", 1, 1)))
    assert "character device 1:1" in refused(memory, place)
    assert stat.S_ISBLK(os.lstat(unpack(disk, place / "b", "--allow-devices") / "dev/sda").st_mode)


def test_a_whiteout_device_of_overlayfs_is_always_refused(tmp_path, place):
    image = layout(tmp_path, tar(device("passwd", 0, 0)))
    assert "0:0" in refused(image, place, "--allow-devices")


# --- damage -----------------------------------------------------------------------------------------


def damaged(tmp_path, which):
    image = Image(tar(*VARIETY), tar(entry("x", data=random.Random(1).randbytes(200000))))
    files = image.layout()
    digest = {
        "config": image.manifest_json["config"],
        "lower layer": image.manifest_json["layers"][0],
        "upper layer": image.manifest_json["layers"][1],
    }[which]["digest"]
    name = f"blobs/{digest.replace(':', '/')}"
    return files, name


@pytest.mark.parametrize("which", ["config", "lower layer", "upper layer"])
@pytest.mark.parametrize("at", [0.1, 0.5, 0.99])
def test_a_changed_byte_in_any_blob_is_refused(tmp_path, place, which, at):
    files, name = damaged(tmp_path, which)
    data = bytearray(files[name])
    data[int(len(data) * at)] ^= 1
    files[name] = bytes(data)
    refused(write_folder(tmp_path / "layout", files), place)


@pytest.mark.parametrize("which", ["config", "manifest", "nested index"])
def test_a_document_that_means_something_else_is_refused(tmp_path, place, which):
    image = Image(tar(*VARIETY))
    nested = image.blob(f"{KIND}.index.v1+json", encode({"manifests": [image.manifest()]}))
    files = image.layout([nested])
    # all of them are still understood
    old, new = {
        "config": (b"/bin/true", b"/bin/evil"),
        "manifest": (b'{"schemaVersion": 2, "config', b'{"schemaVersion":\t2, "config'),
        "nested index": (b'{"manifests": ', b'{"manifests":\t'),
    }[which]
    changed = {n: d.replace(old, new) if n != "index.json" else d for n, d in files.items()}
    assert changed != files
    line = refused(write_folder(tmp_path / "layout", changed), place)
    assert "content does not match its digest" in line


@pytest.mark.parametrize("which", ["config", "lower layer", "upper layer"])
@pytest.mark.parametrize("change", ["shorter", "longer", "missing", "a directory"])
def test_a_blob_of_another_size_is_refused(tmp_path, place, which, change):
    files, name = damaged(tmp_path, which)
    data = files.pop(name)
    image = write_folder(tmp_path / "layout", files)
    if change == "a directory":
        (image / name).mkdir()
    elif change != "missing":
        (image / name).write_bytes(data[:-1] if change == "shorter" else data + b"\0")
    line = refused(image, place)
    assert {"missing": "not in the image", "a directory": "no regular"}.get(change, "bytes") in line


def test_a_layer_whose_plain_content_is_not_its_diffid_is_refused(tmp_path, place):
    for packing in (None, "gzip", "zstd"):
        image = Image(tar(entry("x", data=b"right")), packing=packing)
        image.config["rootfs"]["diff_ids"] = [digest_of(b"other")]
        line = refused(write_folder(tmp_path / f"l{packing}", image.layout()), place)
        assert "diffID" in line and "layer 1 of 1" in line


def test_a_saved_archive_with_a_changed_layer_or_config_is_refused(tmp_path, place):
    image = Image(tar(entry("x", data=b"right")))
    files = image.saved("x:1")
    layer = {**files, "0/layer.tar": tar(entry("x", data=b"wrong"))}
    assert "diffID" in refused(write_tar(tmp_path / "a.tar", layer), place)
    config = {n: d.replace(b"true", b"evil") if len(n) == 69 else d for n, d in files.items()}
    assert "digest" in refused(write_tar(tmp_path / "b.tar", config), place)


def test_a_saved_archive_may_share_a_layer_by_a_link(tmp_path, place):
    image = Image(tar(entry("x", data=b"1")), tar(entry("y", data=b"2")))
    files = image.saved("x:1")
    second = files.pop("1/layer.tar")
    members = [entry(n, data=d) for n, d in files.items()]
    members += [symlink("1/layer.tar", "../shared/layer.tar"), entry("shared/layer.tar", data=second)]
    (tmp_path / "a.tar").write_bytes(tar(*members))
    assert names(unpack(tmp_path / "a.tar", place / "b")) == ["x", "y"]


@pytest.mark.parametrize("packing", [None, "gzip", "zstd"])
def test_a_truncated_archive_is_refused_wherever_it_ends(tmp_path, place, packing):
    whole = write_tar(tmp_path / "w", Image(tar(*VARIETY)).layout(), packing).read_bytes()
    end = len(whole.rstrip(b"\0")) if packing is None else len(whole)
    cuts = [0, 1, 511, 512, 700, *range(1024, end, max(1, end // 15)), end - 1]
    for cut in cuts:
        (tmp_path / "cut.tar").write_bytes(whole[:cut])
        refused(tmp_path / "cut.tar", place)


@pytest.mark.parametrize("packing", [None, "gzip", "zstd"])
def test_a_truncated_layer_with_a_right_digest_is_refused(tmp_path, place, packing):
    plain = tar(*VARIETY)
    for cut in (100, 512 * 5 + 100, len(plain) // 2):
        image = Image(plain[:cut], packing=packing)
        refused(write_folder(tmp_path / f"{cut}", image.layout()), place)
        if packing:  # the stream itself ends early
            image = Image(plain, packing=packing)
            image.packed = [image.packed[0][: len(image.packed[0]) * 2 // 3]]
            refused(write_folder(tmp_path / f"{cut}s", image.layout()), place)


def test_garbage_is_refused(tmp_path, place):
    rng = random.Random(7)
    for i in range(20):
        path = tmp_path / f"g{i}"
        path.write_bytes([b"", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"][i % 3] + rng.randbytes(2000))
        refused(path, place)
    refused(tmp_path / "missing", place)
    assert "neither index.json" in refused(write_tar(tmp_path / "x.tar", {"a": b""}), place)


@pytest.mark.parametrize("name, value", [
    ("index.json", b"[]"), ("index.json", b"{"), ("index.json", b""), ("index.json", b'{"manifests":1}'),
    ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}'), ("oci-layout", b"{}"),
    ("index.json", b'{"manifests":[]}'), ("index.json", b'{"manifests":[{"mediaType":"x"}]}'),
])
def test_a_malformed_layout_is_refused(tmp_path, place, name, value):
    files = Image(tar(*VARIETY)).layout()
    files[name] = value
    refused(write_folder(tmp_path / "layout", files), place)


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 63, "sha256:" + "A" * 64, "md5:" + "0" * 32, "x",
                                    "sha256:../../../../etc/passwd", "sha256:" + "0" * 65])
def test_what_is_no_digest_is_refused(tmp_path, place, digest):
    image = Image(tar(*VARIETY))
    line = refused(
        write_folder(tmp_path / "l", image.layout([{**image.manifest(), "digest": digest}])), place
    )
    assert "manifests[0].digest" in line


def test_unknown_media_types_are_refused_by_name(tmp_path, place):
    for i, (attribute, value) in enumerate([
        ("media", [f"{KIND}.layer.v1.tar+gzip+encrypted"]), ("media", [f"{KIND}.layer.v1.squashfs"]),
        ("config_media", "application/vnd.cncf.helm.config.v1+json"),
    ]):
        image = Image(tar(*VARIETY))
        setattr(image, attribute, value)
        line = refused(write_folder(tmp_path / f"{i}", image.layout()), place)
        assert (value[0] if isinstance(value, list) else value) in line
    image = Image(tar(*VARIETY))
    image.manifest_media = "application/x-unknown"
    assert "no image" in refused(write_folder(tmp_path / "m", image.layout()), place)


def test_a_layer_packed_in_another_way_than_it_says_is_refused(tmp_path, place):
    image = Image(tar(*VARIETY), packing="zstd")
    image.media = [f"{KIND}.layer.v1.tar+gzip"]
    assert "media type" in refused(write_folder(tmp_path / "a", image.layout()), place)
    image = Image(tar(*VARIETY))
    image.packed = [compress(image.packed[0], "gzip")]
    assert "packed twice" in refused(write_folder(tmp_path / "b", image.layout()), place)


def test_a_config_with_another_number_of_layers_is_refused(tmp_path, place):
    image = Image(tar(*VARIETY))
    image.config["rootfs"]["diff_ids"] *= 2
    assert "diff_ids" in refused(write_folder(tmp_path / "a", image.layout()), place)


# --- too much ---------------------------------------------------------------------------------------


def zeros_tar(name, size):
    """The gzip of a tar with one file of zeros, without holding it."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT), size + -size % 512 + 1024


def bomb(tmp_path, head, zeros, packing):
    command = ["gzip", "-1", "-n"] if packing == "gzip" else ["zstd", "-q", "-1"]
    plain, packed = hashlib.sha256(), tmp_path / "packed"
    with open(packed, "wb") as out, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out) as p:
        for chunk in [head, *[bytes(1 << 20)] * (zeros >> 20), bytes(zeros % (1 << 20))]:
            plain.update(chunk)
            p.stdin.write(chunk)
        p.stdin.close()
    image = Image(b"", packing=packing)
    image.packed = [packed.read_bytes()]
    image.config["rootfs"]["diff_ids"] = ["sha256:" + plain.hexdigest()]
    return write_folder(tmp_path / "layout", image.layout())


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, place, packing):
    image = bomb(tmp_path, *zeros_tar("zeros", 200 << 20), packing)
    assert sum(f.stat().st_size for f in image.rglob("*") if f.is_file()) < 2 << 20
    assert "entry zeros: unpacks to more" in refused(image, place, "--max-size", "100M")
    assert (unpack(image, place / "b") / "zeros").stat().st_size == 200 << 20


def test_much_behind_the_end_of_a_layer_is_refused(tmp_path, place):
    image = bomb(tmp_path, tar(entry("x")), 200 << 20, "gzip")
    assert "bytes follow the archive's end" in refused(image, place)


def test_a_compressed_archive_of_zeros_is_refused(tmp_path, place):
    (tmp_path / "z").write_bytes(bytes(200 << 20))
    subprocess.run(["gzip", "-1", tmp_path / "z"], check=True)
    assert "unpacks to more" in refused(tmp_path / "z.gz", place, "--max-size", "100M")


def test_a_sparse_file_counts_with_its_apparent_size(tmp_path, place):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(10 << 30)
    subprocess.run(["tar", "-cSf", "l.tar", "sparse"], cwd=tmp_path, check=True)
    image = layout(tmp_path, (tmp_path / "l.tar").read_bytes())
    assert "unpacks to more" in refused(image, place, "--max-size", "1G")


def test_too_deep_a_path_too_long_a_name_and_too_many_layers_are_refused(tmp_path, place):
    refused(layout(tmp_path / "a", tar(entry("d/" * 300 + "x"))), place)
    refused(layout(tmp_path / "b", tar(entry("x" * 256))), place)
    image = Image(*[tar(entry(f"{i}")) for i in range(513)], packing=None)
    assert "512" in refused(write_folder(tmp_path / "c", image.layout()), place)


def test_a_manifest_of_too_many_bytes_is_refused(tmp_path, place):
    files = Image(tar(*VARIETY)).layout()
    files["index.json"] += b" " * (4 << 20)
    assert "at most" in refused(write_folder(tmp_path / "l", files), place)


def test_a_tree_deeper_than_any_path_is_cleaned_away(tmp_path, place):
    """Symlinks into what is there make it deeper layer by layer; the error must still remove it."""
    layers, reach = [], ""
    for i in range(12):
        deep = "/".join(["d"] * 200)
        layers.append(tar(folder(f"{reach}{deep}"), symlink(f"s{i}", f"{reach}{deep}")))
        reach = f"s{i}/"
    layers.append(tar(entry("../bad")))
    assert "leaves the root" in refused(layout(tmp_path, *layers), place)

