"""The disk: it boots by every firmware, and its data partition is made, kept, checked and grown."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from guest import MACHINES, TOP

sys.path.insert(0, str(TOP / "images"))

import bios  # noqa: E402
import layout  # noqa: E402
import uki  # noqa: E402

MIB = layout.MIB
# by the board and its firmware
WAYS = {"bios": ("q35", "bios"), "uefi": ("q35", "uefi"), "arm64": ("arm64", "uefi")}
every_way = pytest.mark.parametrize(
    "machine, firmware", [pytest.param(*way, id=name) for name, way in WAYS.items()]
)
every_arch = pytest.mark.parametrize(
    "arch", [pytest.param(arch, marks=pytest.mark.arch(arch)) for arch in ("x86_64", "arm64")]
)
SFDISK = shutil.which("sfdisk", path="/usr/sbin:/sbin:/usr/bin:/bin")


def esp_file(disk, path):
    return subprocess.run(
        ["mtype", "-i", f"{disk}@@{layout.ESP_START}", f"::{path}"], check=True, capture_output=True
    ).stdout


def os_file(disk):
    """Name and content of the only UKI on the disk."""
    names = subprocess.run(
        ["mdir", "-b", "-i", f"{disk}@@{layout.ESP_START}", "::EFI/Linux"],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert len(names) == 1
    path = names[0].removeprefix("::/")
    return path, esp_file(disk, path)


def content(image, name):
    section = uki.section(image, name)
    return image[section.offset : section.offset + section.size]


def build_disk(arch, out, cmdline):
    files = TOP / "out" / arch
    command = [TOP / "images/build.py", arch, out, "--kernel", files / "kernel.efi"]
    command += ["--initrd", files / "initramfs.cpio.zst", "--cmdline", cmdline]
    command += ["--systemd-boot", files / "pkg/systemd-boot"]
    if arch == "x86_64":
        command += ["--grub", files / "pkg/grub"]
    subprocess.run([str(word) for word in command], check=True)
    return out / "disk.raw"


@pytest.fixture(scope="session")
def disks_with_shell(tmp_path_factory):
    """Disks like the real ones, but with a root shell on the console; one per architecture."""
    made = {}

    def get(arch):
        if arch not in made:
            made[arch] = build_disk(arch, tmp_path_factory.mktemp(arch), "sampan.console=shell")
        return made[arch]

    return get


@pytest.fixture
def new_disk(disks_with_shell, tmp_path):
    """new_disk(): a file to be written to, as shipped."""
    count = 0

    def copy(arch="x86_64"):
        nonlocal count
        count += 1
        return Path(shutil.copy(disks_with_shell(arch), tmp_path / f"{count}.raw"))

    yield copy
    for path in tmp_path.glob("*.raw"):
        path.unlink()


@pytest.fixture
def start(boot):
    """start(machine, …): the system without an application, so that the console is quiet."""

    def start_guest(machine="q35", ready="ready", **options):
        if "firmware" not in options:
            options["initrds"] = [MACHINES[machine].initramfs]
        guest = boot(machine, **options)
        # a prompt may stand before it
        guest.wait_for(rf"init: {ready}\b")
        return guest

    return start_guest


def storage_lines(guest):
    # a prompt may stand before it
    return re.findall(r"storage \| (.*)$", guest.console.text(), re.MULTILINE)


def write_note(guest):
    guest.shell("mkdir -p /var/lib && echo kept > /var/lib/note && sync").ok()


def assert_note(guest):
    assert "kept" in guest.shell("cat /var/lib/note").ok().splitlines()


def var_mount(guest):
    """The fields of /var's line in /proc/mounts."""
    return re.search(r"^\S+ /var \S+ \S+", guest.shell("cat /proc/mounts").ok(), re.M)[0].split()


def power_off(guest):
    guest.console.send(b"sampan poweroff\n")
    guest.wait_exit()


def grow(path, size):
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size + size)


def damage(path, offset, size=512):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * size)


def data_partition(path):
    """(name, first byte, bytes) of Sampan's data partition, or None."""
    dump = subprocess.run([SFDISK, "--dump", path], check=True, capture_output=True, text=True).stdout
    match = re.search(
        r"start= *(\d+), size= *(\d+), type=C6415B36-5ECB-4408-B82A-007492994AAA.*name=\"(.*)\"", dump
    )
    return match and (match[3], int(match[1]) * 512, int(match[2]) * 512)


def assert_sound(path):
    verify = subprocess.run([SFDISK, "--verify", path], capture_output=True, text=True, check=False)
    assert "No errors detected." in verify.stdout, verify.stdout + verify.stderr


@every_arch
def test_disk_and_uki_hold_the_same_kernel_and_initramfs_as_the_direct_boot(arch):
    out = TOP / "out" / arch
    path, image = os_file(out / "disk.raw")
    assert image == (out / "sampan.efi").read_bytes()
    assert content(image, ".linux") == (out / "kernel.efi").read_bytes()
    initrd = content(image, ".initrd")
    initramfs = (out / "initramfs.cpio.zst").read_bytes()
    assert initrd.startswith(initramfs)
    app = out / "app.cpio"
    if app.exists():
        assert initrd[uki.align(len(initramfs), 4) :] == app.read_bytes()
    if arch == "x86_64":
        # and GRUB reads these very sections
        cmdline = content(image, ".cmdline").decode()
        written = esp_file(out / "disk.raw", "grub/grub.cfg").decode()
        assert written.startswith(bios.config("/" + path, image, cmdline).split(cmdline, 1)[0])
        for line in bios.config("/" + path, image, "").splitlines():
            assert line.strip() in written


@every_arch
def test_esp_holds_at_least_four_os_files(arch):
    out = TOP / "out" / arch
    dump = subprocess.run(
        [SFDISK, "--dump", out / "disk.raw"], check=True, capture_output=True, text=True
    ).stdout
    size = int(re.search(rf"size= *(\d+), .*name=\"{layout.ESP_NAME}\"", dump)[1]) * 512
    assert size >= 4 * (out / "sampan.efi").stat().st_size


@every_way
def test_the_shipped_disk_boots_and_its_container_serves(boot, tmp_path, machine, firmware):
    disk = shutil.copy(MACHINES[machine].out / "disk.raw", tmp_path / "disk.raw")
    guest = boot(machine, firmware=firmware, disks=[disk], shell=False).boot()
    assert "Sampan" in guest.http(80)


@every_way
def test_data_survives_a_reboot_and_grows_with_the_disk(start, new_disk, machine, firmware):
    disk = new_disk(MACHINES[machine].arch)

    first = start(machine, firmware=firmware, disks=[disk])
    assert any("making the file system" in line for line in storage_lines(first))
    write_note(first)
    power_off(first)
    assert data_partition(disk)[0] == "sampan-data"
    assert_sound(disk)

    second = start(machine, firmware=firmware, disks=[disk])
    assert not any("making" in line or "growing" in line for line in storage_lines(second))
    assert_note(second)
    power_off(second)

    before = data_partition(disk)
    grow(disk, 1024 * MIB)
    third = start(machine, firmware=firmware, disks=[disk])
    assert_note(third)
    size = re.search(r"^/dev/vda\d +(\d+)", third.shell("df -k /var").ok(), re.M)
    assert int(size[1]) > 1000 * 1024
    power_off(third)
    assert data_partition(disk) == (before[0], before[1], before[2] + 1024 * MIB)
    assert_sound(disk)


def test_var_honours_no_setuid_programs_and_no_devices(start, new_disk):
    guest = start(disks=[new_disk()])
    assert {"rw", "nosuid", "nodev", "noatime"} <= set(var_mount(guest)[3].split(","))


def test_without_a_disk_var_is_in_memory_and_the_console_says_so(start):
    guest = start()
    lines = storage_lines(guest)
    assert "no disk for data" in lines
    assert any("IN MEMORY" in line and "LOST" in line for line in lines)
    assert var_mount(guest)[0] == "tmpfs"


@pytest.mark.parametrize("moment", ["making the data partition", "making the file system", "clean"])
def test_first_boot_that_lost_power_is_finished_by_the_next_one(boot, start, new_disk, moment):
    disk = new_disk()
    cut = boot("q35", disks=[disk])
    cut.wait_for(rf"storage \| .*{moment}")
    cut.process.kill()
    cut.process.wait()
    guest = start(disks=[disk])
    assert var_mount(guest)[0] == "/dev/vda3"
    power_off(guest)
    assert data_partition(disk)[0] == "sampan-data"
    assert_sound(disk)


def test_damaged_table_is_restored_from_its_copy(start, new_disk):
    disk = new_disk()
    first = start(disks=[disk])
    write_note(first)
    power_off(first)
    damage(disk, 512, 4096)
    second = start(disks=[disk])
    assert_note(second)
    power_off(second)
    assert_sound(disk)


def test_damaged_file_system_is_neither_mounted_nor_formatted(start, new_disk):
    disk = new_disk()
    power_off(start(disks=[disk]))
    _, begin, _ = data_partition(disk)
    damage(disk, begin, 65536)
    before = disk.read_bytes()
    # the service says that it failed, and the machine stays reachable
    guest = start(disks=[disk], ready="not ready: storage")
    lines = storage_lines(guest)
    assert any("e2fsck -p /dev/vda3: exit status" in line for line in lines)
    assert any("IN MEMORY" in line for line in lines)
    assert var_mount(guest)[0] == "tmpfs"
    power_off(guest)
    assert disk.read_bytes() == before


def blank(path, size=64 * MIB):
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def test_empty_disk_is_used_only_when_it_is_named(start, tmp_path):
    disk = blank(tmp_path / "blank")
    guest = start(disks=[disk])
    assert "no disk for data" in storage_lines(guest)
    power_off(guest)
    assert disk.read_bytes().count(0) == disk.stat().st_size

    first = start(disks=[disk], append="sampan.data=/dev/vda")
    write_note(first)
    power_off(first)
    assert_sound(disk)
    assert_note(start(disks=[disk]))


def test_named_disk_that_holds_something_else_is_left_as_it_is(start, tmp_path):
    disk = blank(tmp_path / "foreign")
    mke2fs = shutil.which("mke2fs", path="/usr/sbin:/sbin")
    subprocess.run([mke2fs, "-q", "-F", "-t", "ext4", disk], check=True)
    before = disk.read_bytes()
    guest = start(disks=[disk], append="sampan.data=/dev/vda", ready="not ready: storage")
    assert "vda: not empty, and not Sampan's: left as it is" in storage_lines(guest)
    power_off(guest)
    assert disk.read_bytes() == before


def test_two_disks_that_could_be_meant_are_both_left_alone(start, new_disk):
    disks = [new_disk(), new_disk()]
    guest = start(disks=disks, ready="not ready: storage")
    assert any("both vda and vdb could hold the data" in line for line in storage_lines(guest))
    power_off(guest)
    assert [data_partition(disk) for disk in disks] == [None, None]


@pytest.mark.parametrize(
    "device",
    [
        "nvme,serial=1,drive=data",
        "nvme,serial=1,drive=data,logical_block_size=4096,physical_block_size=4096",
        "virtio-blk-pci,drive=data,logical_block_size=4096,physical_block_size=4096",
        "ide-hd,drive=data,bus=ide.0",
    ],
    ids=["nvme", "nvme-4096", "virtio-4096", "sata"],
)
def test_data_lives_on_every_kind_of_disk_and_sector(start, tmp_path, device):
    disk = blank(tmp_path / "disk")
    name = {"nvme": "nvme0n1", "virt": "vda", "ide-": "sda"}[device[:4]]
    extra = ["-drive", f"if=none,id=data,format=raw,file={disk}", "-device", device]
    first = start(extra=extra, append=f"sampan.data=/dev/{name}")
    write_note(first)
    power_off(first)
    grow(disk, 64 * MIB)
    # found again without its name, also where disks come late
    second = start(extra=extra)
    assert_note(second)
    assert any("grown to 12" in line for line in storage_lines(second))
