#!/usr/bin/python3
"""Turns a kernel and an initramfs into sampan.efi (UKI) and disk.raw (bootable GPT disk).

Neither root nor loop devices are needed, and the same input makes the same bytes.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import bios
import gpt
import layout
import uki
from layout import MIB, SECTOR

# name of the removable-media boot file, of systemd's stub and boot loader
EFI_NAMES = {"x86_64": "x64", "arm64": "aa64"}
CONSOLES = {"x86_64": "console=ttyS0,115200", "arm64": "console=ttyAMA0,115200"}
CMDLINE_FILE = Path(__file__).resolve().parent.parent / "kernel-config" / "cmdline"
LOADER_CONF = "timeout 0\neditor no\n"
# seconds; FAT knows nothing before 1980
EPOCH_MIN = 315532800


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arch", choices=sorted(EFI_NAMES))
    parser.add_argument("out", type=Path, help="directory for sampan.efi and disk.raw")
    parser.add_argument("--kernel", type=Path, help="default: OUT/kernel.efi")
    parser.add_argument(
        "--initrd", type=Path, action="append",
        help="archive for the initramfs, may be repeated; default: OUT/initramfs.cpio.zst and, "
        "when it is there, OUT/app.cpio",
    )  # fmt: skip
    parser.add_argument("--systemd-boot", type=Path, required=True, help="systemd-boot-efi's *.efi*")
    parser.add_argument("--grub", type=Path, help="GRUB's i386-pc modules; needed for x86_64")
    parser.add_argument("--cmdline", default="", help="added to the kernel's command line")
    parser.add_argument("--version", default="0", help="in the UKI's name and os-release")
    parser.add_argument("--uki-only", action="store_true", help="make no disk")
    return parser.parse_args()


def join_archives(paths):
    """The archives behind one another, each at a multiple of four bytes, as the kernel wants it."""
    joined = bytearray()
    for path in paths:
        joined += bytes(-len(joined) % 4)
        joined += path.read_bytes()
    return bytes(joined)


def os_release(version):
    return (
        f'ID=sampan\nNAME="Sampan"\nVERSION_ID={version}\nIMAGE_ID=sampan\n'
        f'IMAGE_VERSION={version}\nPRETTY_NAME="Sampan {version}"\n'
    )


def make_uki(args, cmdline):
    stub = (args.systemd_boot / f"linux{EFI_NAMES[args.arch]}.efi.stub").read_bytes()
    kernel = args.kernel.read_bytes()
    for name, image in ("stub", stub), (args.kernel, kernel):
        if uki.parse(image).machine != uki.MACHINES[args.arch]:
            raise uki.Error(f"{name} is not for {args.arch}")
    return uki.build(
        stub,
        [
            (".osrel", os_release(args.version).encode()),
            (".cmdline", cmdline.encode()),
            (".linux", kernel),
            (".initrd", join_archives(args.initrd)),
        ],
    )


def mtools(*command):
    environment = dict(os.environ, TZ="UTC", LC_ALL="C", MTOOLS_SKIP_CHECK="1")
    environment.setdefault("SOURCE_DATE_EPOCH", str(EPOCH_MIN))
    subprocess.run([str(word) for word in command], check=True, env=environment)


def fill_esp(image, size, files, serial):
    """A FAT32 file system in the disk image, with files = {path: bytes}."""
    drive = f"{image}@@{layout.ESP_START}"
    # the smallest clusters that keep the FAT small: still FAT32 at the smallest size
    cluster = 2 if size < 512 * MIB else 8
    mtools(
        "mformat", "-i", drive, "-F", "-T", size // SECTOR, "-h", 255, "-s", 63, "-c", cluster,
        "-H", layout.ESP_START // SECTOR, "-N", serial, "-v", "SAMPAN", "::",
    )  # fmt: skip
    made = set()
    with tempfile.TemporaryDirectory() as directory:
        for path, data in files.items():
            for parent in reversed(Path(path).parents[:-1]):
                if parent not in made:
                    made.add(parent)
                    mtools("mmd", "-i", drive, f"::{parent}")
            source = Path(directory) / "file"
            source.write_bytes(data)
            mtools("mcopy", "-i", drive, source, f"::{path}")


def make_disk(args, image, cmdline, path):
    """The whole disk at path. GUIDs and the FAT's serial number follow from the OS file."""
    name = EFI_NAMES[args.arch]
    digest = hashlib.sha256(image).hexdigest()
    esp_size = layout.esp_size(len(image))
    size = layout.ESP_START + esp_size + layout.DATA_ROOM
    esp = gpt.Partition(
        layout.ESP_NUMBER, layout.ESP_TYPE, uuid.uuid5(layout.ESP_TYPE, digest),
        layout.ESP_NAME, layout.ESP_START, esp_size,
    )  # fmt: skip
    partitions = [esp]
    uki_path = f"EFI/Linux/sampan_{args.version}.efi"
    files = {
        f"EFI/BOOT/BOOT{name.upper()}.EFI":
            (args.systemd_boot / f"systemd-boot{name}.efi").read_bytes(),
        uki_path: image,
        "loader/loader.conf": LOADER_CONF.encode(),
    }  # fmt: skip
    boot_code = core = b""
    if args.grub:
        partitions.append(gpt.Partition(
            layout.BIOS_NUMBER, layout.BIOS_TYPE, uuid.uuid5(layout.BIOS_TYPE, digest),
            layout.BIOS_NAME, layout.BIOS_START, layout.BIOS_SIZE,
        ))  # fmt: skip
        boot_code = bios.boot_code(args.grub, layout.BIOS_START)
        core = bios.core_image(args.grub, layout.BIOS_START)
        if len(core) > layout.BIOS_SIZE:
            raise uki.Error(f"GRUB's core image has {len(core)} bytes")
        # what systemd-boot tells through an EFI variable
        words = f"{cmdline} sampan.boot={esp.guid}"
        files["grub/grub.cfg"] = bios.config("/" + uki_path, image, words).encode()

    pieces = gpt.build(uuid.uuid5(uuid.NAMESPACE_OID, digest), partitions, size)
    pieces[0] = gpt.protective_mbr(size // SECTOR, boot_code)
    pieces[layout.BIOS_START] = core
    with open(path, "wb") as file:
        file.truncate(size)
        for offset, data in pieces.items():
            file.seek(offset)
            file.write(data)
    fill_esp(path, esp_size, files, digest[:8])


def write_whole(path, make):
    """Let make(temporary path) write the file; it appears under its name complete or not at all."""
    temporary = path.with_name(path.name + ".new")
    try:
        make(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def main():
    args = parse_arguments()
    args.kernel = args.kernel or args.out / "kernel.efi"
    app = args.out / "app.cpio"
    args.initrd = args.initrd or [args.out / "initramfs.cpio.zst"] + [app] * app.exists()
    if args.arch == "x86_64" and not args.grub and not args.uki_only:
        raise uki.Error("an x86_64 disk needs --grub")
    cmdline = " ".join(f"{CONSOLES[args.arch]} {CMDLINE_FILE.read_text()} {args.cmdline}".split())
    image = make_uki(args, cmdline)
    args.out.mkdir(parents=True, exist_ok=True)
    write_whole(args.out / "sampan.efi", lambda path: path.write_bytes(image))
    if not args.uki_only:
        write_whole(args.out / "disk.raw", lambda path: make_disk(args, image, cmdline, path))


if __name__ == "__main__":
    try:
        main()
    except (uki.Error, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"images/build.py: {error}")
