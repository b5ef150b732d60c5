"""A whole Debian userland, as people bring it, runs in the machine."""

import subprocess

import pytest

from guest import MACHINES, TOP

MIB = 1024 * 1024


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0 and "needs root" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    """(image as a tar file, the application archive packed from it)"""
    directory = tmp_path_factory.mktemp("debian")
    image, app = directory / "debian.tar", directory / "debian.cpio"
    run(TOP / "examples" / "debian" / "build.sh", image)
    run(TOP / "runtime" / "image" / "pack-app", "--arch", "x86_64", image, app)
    return image, app


@pytest.fixture(scope="module")
def unpacked_size(debian, tmp_path_factory):
    bundle = tmp_path_factory.mktemp("unpacked") / "bundle"
    tool = TOP / "out" / "host" / "sampan-image"
    run("fakeroot", "--", tool, "unpack", "--platform", "linux/amd64", debian[0], bundle)
    shown = subprocess.run(
        ["du", "-s", "--block-size=1", bundle / "rootfs"], capture_output=True, text=True, check=True
    )
    return int(shown.stdout.split()[0])


def test_the_userland_is_at_least_a_hundred_mebibytes(unpacked_size):
    assert unpacked_size >= 100 * MIB


def test_it_boots_and_serves_its_page(boot, debian):
    guest = boot(
        "q35", memory=512, initrds=[MACHINES["q35"].initramfs, debian[1]], forward=(22, 8000)
    )
    guest.boot()
    assert guest.http(8000) == "Served by python3 on Debian.\n"
    pid = guest.ssh("cat /run/containers/debian/pid").ok()
    assert "Debian GNU/Linux" in guest.ssh(f"cat /proc/{pid}/root/etc/os-release").ok()
    assert guest.ssh(f"cat /proc/{pid}/comm").ok() == "python3"
