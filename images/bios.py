"""Boot through a PC BIOS: GRUB's boot sector, core image and configuration.

The core image lies in the BIOS boot partition, as grub-install would put it, but without a mounted
or loop device. Its configuration stands on the ESP and makes GRUB read the kernel and the
initramfs out of the UKI itself: GRUB mounts nothing inside it, it reads ranges of sectors. So the
disk holds the operating system once, and BIOS and UEFI cannot start different ones.
"""

import struct
import subprocess
import tempfile
from pathlib import Path

import uki
from layout import ESP_NUMBER, SECTOR

MODULES = "biosdisk part_gpt fat loopback linux serial terminal normal configfile echo".split()

# offsets in boot.img and in the first sector of the core image (GRUB's boot.S, diskboot.S)
BOOT_CODE_SIZE = 440
BOOT_KERNEL_SECTOR = 0x5C
BOOT_DRIVE_CHECK = 0x66
CORE_BLOCKLIST = SECTOR - 12

CONFIG = """\
# Kernel and initramfs are read out of the UKI, as ranges of its 512-byte sectors.
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
loopback uki {path}
linux (uki){linux} {cmdline}
initrd (uki){initrd}
boot
"""


def sectors(section):
    """A section of a UKI as a block list of GRUB: FIRST+COUNT."""
    assert section.offset % SECTOR == 0 and section.file_size % SECTOR == 0
    return f"{section.offset // SECTOR}+{section.file_size // SECTOR}"


def config(path, image, cmdline):
    """Text of grub.cfg for the UKI `image` that lies at `path` on the ESP."""
    return CONFIG.format(
        path=path,
        linux=sectors(uki.section(image, ".linux")),
        initrd=sectors(uki.section(image, ".initrd")),
        cmdline=cmdline,
    )


def boot_code(modules, core_at):
    """The MBR's boot code, told that the core image starts at byte core_at of the disk."""
    code = bytearray((modules / "boot.img").read_bytes()[:BOOT_CODE_SIZE])
    struct.pack_into("<Q", code, BOOT_KERNEL_SECTOR, core_at // SECTOR)
    # Two NOPs let the check for a wrong drive number run: some BIOSes pass one.
    code[BOOT_DRIVE_CHECK : BOOT_DRIVE_CHECK + 2] = b"\x90\x90"
    return bytes(code)


def core_image(modules, core_at):
    """GRUB's core image for byte core_at of the disk.

    modules: directory of GRUB's i386-pc modules
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "core.img"
        subprocess.run(
            ["grub-mkimage", "-O", "i386-pc", "-d", modules, "-o", path]
            + ["-p", f"(,gpt{ESP_NUMBER})/grub", *MODULES],
            check=True,
        )
        core = bytearray(path.read_bytes())
    core += bytes(-len(core) % SECTOR)
    # The first sector loads the others: from the one behind it, all of them.
    struct.pack_into("<QH", core, CORE_BLOCKLIST, core_at // SECTOR + 1, len(core) // SECTOR - 1)
    return bytes(core)
