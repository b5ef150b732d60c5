"""The files that images/ makes, from a stub and a kernel small enough to be written here."""

import re
import shutil
import struct
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import bios  # noqa: E402
import build  # noqa: E402
import gpt  # noqa: E402
import layout  # noqa: E402
import uki  # noqa: E402

SFDISK = shutil.which("sfdisk", path="/usr/sbin:/sbin:/usr/bin:/bin")
FSCK = shutil.which("fsck.fat", path="/usr/sbin:/sbin:/usr/bin:/bin")
KERNEL_SIZE = 70000


def pe_image(machine, body, headers_size=1024):
    """A PE32+ file with one section that holds body."""
    head = bytearray(headers_size)
    head[:2] = b"MZ"
    struct.pack_into("<I", head, 0x3C, 64)
    head[64:68] = b"PE\0\0"
    struct.pack_into("<HH", head, 68, machine, 1)
    struct.pack_into("<H", head, 84, 240)
    optional = 88
    struct.pack_into("<H", head, optional, uki.OPTIONAL_MAGIC)
    struct.pack_into("<II", head, optional + uki.SECTION_ALIGNMENT, 4096, 512)
    struct.pack_into("<II", head, optional + uki.IMAGE_SIZE, 8192, headers_size)
    row = uki.SECTION_ROW.pack(
        b".text", len(body), 4096, uki.align(len(body), 512), headers_size, 0, 0, 0, 0, 0x60000020
    )
    head[optional + 240 : optional + 240 + len(row)] = row
    return bytes(head) + body.ljust(uki.align(len(body), 512), b"\0")


def noise(size, seed):
    return b"".join(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed}{n}").bytes for n in range(size // 16 + 1))[
        :size
    ]


@pytest.fixture
def inputs(tmp_path):
    """Directory with kernel, initramfs and boot loaders for both architectures."""
    for arch, name in build.EFI_NAMES.items():
        machine = uki.MACHINES[arch]
        out = tmp_path / arch
        out.mkdir()
        (out / "kernel.efi").write_bytes(pe_image(machine, noise(KERNEL_SIZE, arch)))
        (out / "initramfs.cpio.zst").write_bytes(noise(12345, "initramfs"))
        (out / "app.cpio").write_bytes(noise(4321, "app"))
        (tmp_path / f"linux{name}.efi.stub").write_bytes(pe_image(machine, b"stub"))
        (tmp_path / f"systemd-boot{name}.efi").write_bytes(pe_image(machine, b"manager"))
    return tmp_path


def make(inputs, arch, *options, check=True):
    return subprocess.run(
        [sys.executable, HERE / "build.py", arch, inputs / arch, "--systemd-boot", inputs, *options],
        check=check, capture_output=True, text=True,
    )  # fmt: skip


def esp_file(disk, path):
    return subprocess.run(
        ["mtype", "-i", f"{disk}@@{layout.ESP_START}", f"::{path}"], check=True, capture_output=True
    ).stdout


def content(image, name):
    section = uki.section(image, name)
    return image[section.offset : section.offset + section.size]


def test_uki_holds_kernel_and_archives_bit_for_bit(inputs):
    make(inputs, "arm64", "--uki-only")
    image = (inputs / "arm64/sampan.efi").read_bytes()
    assert content(image, ".linux") == (inputs / "arm64/kernel.efi").read_bytes()
    initrd = content(image, ".initrd")
    first = (inputs / "arm64/initramfs.cpio.zst").read_bytes()
    assert initrd[: len(first)] == first
    # the kernel wants the second archive at a multiple of four bytes
    second_at = uki.align(len(first), 4)
    assert initrd[len(first) : second_at] == bytes(second_at - len(first))
    assert initrd[second_at:] == (inputs / "arm64/app.cpio").read_bytes()
    assert b"console=ttyAMA0" in content(image, ".cmdline")
    assert b"ID=sampan\n" in content(image, ".osrel")


def test_sections_of_a_uki_do_not_overlap_and_fit_the_image(inputs):
    make(inputs, "x86_64", "--uki-only")
    image = (inputs / "x86_64/sampan.efi").read_bytes()
    head = uki.parse(image)
    assert [s.name for s in head.sections] == [".text", ".osrel", ".cmdline", ".linux", ".initrd"]
    for before, after in zip(head.sections, head.sections[1:]):
        assert before.offset + before.file_size == after.offset
        assert before.address + before.size <= after.address
        assert after.address % head.section_alignment == 0
        assert after.offset % 512 == 0
    last = head.sections[-1]
    (image_size,) = struct.unpack_from("<I", image, head.optional_at + uki.IMAGE_SIZE)
    assert image_size == uki.align(last.address + last.size, head.section_alignment)
    assert last.offset + last.file_size == len(image)


def test_stub_without_room_for_sections_is_refused():
    stub = pe_image(uki.MACHINES["arm64"], b"stub", headers_size=512)
    uki.build(stub, [(".a", b"1"), (".b", b"2")])
    with pytest.raises(uki.Error, match="no room"):
        uki.build(stub, [(f".{n}", b"1") for n in range(5)])


@pytest.mark.parametrize("size", [0, 1, 63, 80, 200, 360])
def test_truncated_pe_is_refused(size):
    with pytest.raises(uki.Error):
        uki.parse(pe_image(0x8664, b"x" * 100)[:size])


def test_kernel_of_another_architecture_is_refused(inputs):
    kernel = inputs / "x86_64/kernel.efi"
    result = make(inputs, "arm64", "--kernel", kernel, check=False)
    assert result.returncode == 1
    assert f"{kernel} is not for arm64" in result.stderr
    assert not (inputs / "arm64/disk.raw").exists()


def test_disk_is_a_sound_gpt_with_names_that_storage_knows(inputs):
    make(inputs, "arm64")
    disk = inputs / "arm64/disk.raw"
    verify = subprocess.run([SFDISK, "--verify", disk], capture_output=True, text=True, check=True)
    assert "No errors detected." in verify.stdout
    dump = subprocess.run([SFDISK, "--dump", disk], capture_output=True, text=True, check=True).stdout
    assert re.search(rf"type={layout.ESP_TYPE}, .*name=\"{layout.ESP_NAME}\"", dump, re.I)
    plan_h = (HERE.parent / "init/storage/plan.h").read_text()
    assert f'#define ESP_NAME "{layout.ESP_NAME}"' in plan_h
    free = disk.stat().st_size - layout.ESP_START - layout.esp_size(0)
    assert free == layout.DATA_ROOM


def test_esp_is_a_sound_fat_with_the_files_that_firmware_looks_for(inputs):
    make(inputs, "arm64", "--version", "7")
    disk = inputs / "arm64/disk.raw"
    image = (inputs / "arm64/sampan.efi").read_bytes()
    assert esp_file(disk, "EFI/Linux/sampan_7.efi") == image
    assert esp_file(disk, "EFI/BOOT/BOOTAA64.EFI") == (inputs / "systemd-bootaa64.efi").read_bytes()
    assert b"timeout 0\n" in esp_file(disk, "loader/loader.conf")
    size = layout.esp_size(len(image))
    with open(disk, "rb") as file:
        file.seek(layout.ESP_START)
        (inputs / "esp").write_bytes(file.read(size))
    check = subprocess.run([FSCK, "-nv", inputs / "esp"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout
    assert "32 bit entries" in check.stdout
    clusters = int(re.search(r"(\d+) data clusters", check.stdout)[1])
    assert clusters >= 65525


def test_esp_holds_at_least_four_ukis():
    for size in (1, 8 << 20, 31 << 20, 32 << 20, 200 << 20):
        assert layout.esp_size(size) > 4 * size
        assert layout.esp_size(size) % layout.MIB == 0


def test_same_input_makes_the_same_bytes_wherever_and_whenever(inputs, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    disk = inputs / "arm64/disk.raw"
    make(inputs, "arm64")
    first = disk.read_bytes()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    make(inputs, "arm64")
    assert disk.read_bytes() == first
    listing = subprocess.run(
        ["mdir", "-/", "-a", "-i", f"{disk}@@{layout.ESP_START}", "::"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert set(re.findall(r"\b\d{4}-\d\d-\d\d\b", listing)) == {"1980-01-01"}


def test_grub_reads_exactly_the_sections_of_the_uki(inputs):
    make(inputs, "x86_64", "--uki-only")
    image = (inputs / "x86_64/sampan.efi").read_bytes()
    text = bios.config("/EFI/Linux/sampan_0.efi", image, "quiet panic=1")
    assert "loopback uki /EFI/Linux/sampan_0.efi\n" in text
    for command, name in ("linux", ".linux"), ("initrd", ".initrd"):
        first, count = re.search(rf"^{command} \(uki\)(\d+)\+(\d+)", text, re.M).groups()
        read = image[int(first) * 512 : (int(first) + int(count)) * 512]
        wanted = content(image, name)
        assert read[: len(wanted)] == wanted
        assert read[len(wanted) :].strip(b"\0") == b""
        assert len(read) - len(wanted) < 512
    assert re.search(r"^linux \S+ quiet panic=1$", text, re.M)


def test_table_for_4096_byte_sectors_puts_the_copy_at_the_end():
    size = 1 << 26
    part = gpt.Partition(1, layout.ESP_TYPE, uuid.UUID(int=1), "sampan-esp", 1 << 20, 1 << 20)
    pieces = gpt.build(uuid.UUID(int=2), [part], size, sector=4096)
    assert sorted(pieces) == [4096, 8192, size - 5 * 4096, size - 4096]
    for offset in (4096, size - 4096):
        assert pieces[offset][:8] == b"EFI PART"
        assert len(pieces[offset]) == 4096
    assert pieces[8192][32:48] == struct.pack("<QQ", 256, 511)
    # each header says where its own entries lie
    assert struct.unpack_from("<Q", pieces[4096], 72)[0] == 2
    assert struct.unpack_from("<Q", pieces[size - 4096], 72)[0] == size // 4096 - 5


def test_failed_build_leaves_no_half_made_file(inputs):
    (inputs / "systemd-bootaa64.efi").unlink()
    result = make(inputs, "arm64", check=False)
    assert result.returncode == 1
    assert "systemd-bootaa64.efi" in result.stderr
    assert sorted(p.name for p in (inputs / "arm64").iterdir()) == [
        "app.cpio", "initramfs.cpio.zst", "kernel.efi", "sampan.efi",
    ]  # fmt: skip
