"""board/accel.sh: KVM is used only where a guest was seen to boot on it."""

import os
import subprocess

import pytest

from guest import TOP

ARCH = {"x86_64": "x86_64", "aarch64": "arm64"}[os.uname().machine]
QEMU = {"x86_64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}[ARCH]

VERSION = 'echo run >>"$0.runs"; [ "$1" != --version ] || { echo "QEMU emulator version 7.0"; exit; }\n'
SERIAL = 'for word; do case $word in file:*) log=${word#file:} ;; esac; done\n'
BOOTS = SERIAL + 'echo "panic - not syncing: VFS: Unable to mount root fs" >"$log"\n'
HANGS = SERIAL + 'echo "Linux version" >"$log"; exec sleep 1000\n'
ABORTS = "kill -ABRT $$\n"
ENDS_WITHOUT_BOOTING = SERIAL + 'echo "Linux version" >"$log"\n'


@pytest.fixture
def probe(tmp_path):
    """probe(behaviour) runs accel.sh with a QEMU that behaves so; .runs() counts its starts."""
    program = tmp_path / QEMU
    kernel = tmp_path / "kernel"
    device = tmp_path / "kvm"
    kernel.touch()
    device.touch()
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "SAMPAN_KVM": str(device),
        "SAMPAN_PROBE_TIMEOUT": "1",
    }
    environment.pop("SAMPAN_ACCEL", None)

    def run(behaviour, **more):
        program.write_text("#!/bin/bash\n" + VERSION + behaviour)
        program.chmod(0o755)
        return subprocess.run(
            [TOP / "board" / "accel.sh", ARCH, kernel],
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.strip()

    run.runs = lambda: len((tmp_path / f"{QEMU}.runs").read_text().splitlines())
    run.device = device
    return run


def test_kvm_is_used_when_a_guest_boots_on_it(probe):
    assert probe(BOOTS) == "kvm"


@pytest.mark.parametrize("behaviour", [HANGS, ABORTS, ENDS_WITHOUT_BOOTING])
def test_a_kvm_that_opens_but_does_not_boot_a_guest_is_not_used(probe, behaviour):
    assert probe(behaviour) == "tcg,thread=multi"


def test_the_answer_is_remembered(probe):
    assert probe(BOOTS) == "kvm"
    started = probe.runs()
    assert probe(HANGS) == "kvm"
    # only asked for its version
    assert probe.runs() == started + 1


def test_without_a_kvm_device_nothing_is_probed(probe):
    probe.device.unlink()
    assert probe(BOOTS) == "tcg,thread=multi"


def test_the_environment_overrides_the_probe(probe):
    assert probe(BOOTS, SAMPAN_ACCEL="tcg,thread=single") == "tcg,thread=single"
