"""The harness itself: a guest that hangs, panics or ends fails its test with the reason."""

import time

import pytest

from guest import GuestError

SHELL = "#!/bin/sh\n"


@pytest.fixture
def boot_script(boot):
    """boot_script(text) boots the OS with a shell script in /init's place."""

    def start(text):
        return boot("q35", files={"init": (SHELL + text, 0o755)}, extra=["-no-reboot"])

    return start


def test_a_hung_guest_fails_with_the_last_lines_of_its_console(boot_script):
    guest = boot_script("echo one last word\nwhile :; do sleep 1000; done\n")
    guest.wait_for("one last word")
    with pytest.raises(GuestError, match="no 'init: ready' within 1 s(.|\n)*one last word"):
        guest.wait_for("init: ready", timeout=1)


def test_a_guest_that_panics_fails_at_once(boot_script):
    guest = boot_script("echo about to die\nexit 3\n")
    begin = time.monotonic()
    with pytest.raises(GuestError, match="panicked(.|\n)*about to die(.|\n)*Attempted to kill init"):
        guest.wait_for("init: ready", timeout=60)
    assert time.monotonic() - begin < 55


def test_a_guest_that_ends_fails_at_once(boot_script):
    guest = boot_script("echo good bye\nwhile :; do sleep 1000; done\n")
    guest.wait_for("good bye")
    guest.qmp.command("quit")
    begin = time.monotonic()
    with pytest.raises(GuestError, match=r"ended \(QEMU exit 0\)(.|\n)*good bye"):
        guest.wait_for("init: ready", timeout=60)
    assert time.monotonic() - begin < 30


def test_a_qemu_that_does_not_start_fails_with_its_message(boot):
    with pytest.raises(GuestError, match="QEMU ended at once(.|\n)*no-such-device"):
        boot("q35", extra=["-device", "no-such-device"])
