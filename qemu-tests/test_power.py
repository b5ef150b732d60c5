"""Every way to end or restart the machine goes in order; a stuck PID 1 does not keep it."""

import pytest

from guest import MACHINES, GuestError


def assert_in_order(guest, since, what):
    """init said why it ends the machine, and that everything was down, and nothing was late."""
    console = guest.console.text(since)
    told, down = console.find(f"init: {what}"), console.find("init: down")
    assert 0 <= told < down, console
    assert "deadline" not in console
    assert "too long" not in console
    assert "do not die" not in console


def test_poweroff_ends_the_machine(boot):
    guest = boot("q35").boot()
    since = guest.mark()
    guest.console.send(b"sampan poweroff\n")
    assert guest.wait_exit() == 0
    assert_in_order(guest, since, "power off")


@pytest.mark.parametrize("machine", ["q35", "arm64"])
def test_the_power_button_ends_the_machine_in_order(boot, machine):
    guest = boot(machine).boot()
    guest.http()
    since = guest.mark()
    guest.powerdown()
    assert guest.wait_exit() == 0
    assert_in_order(guest, since, "power off: power button")


@pytest.mark.parametrize("machine", ["q35", "arm64"])
def test_ctrl_alt_del_reboots_in_order(boot, machine):
    guest = boot(machine).boot()
    guest.http()
    since = guest.mark()
    guest.sendkey("ctrl", "alt", "delete")
    assert guest.wait_event("RESET")["guest"]
    assert_in_order(guest, since, "reboot: Ctrl-Alt-Del")
    guest.boot(since=since)
    assert "Sampan" in guest.http()


@pytest.mark.parametrize("machine", MACHINES)
def test_reboot_starts_the_machine_again(boot, machine):
    guest = boot(machine).boot()
    since = guest.mark()
    guest.console.send(b"sampan reboot\n")
    guest.boot(since=since)
    assert "Sampan" in guest.http()


@pytest.mark.parametrize("machine", ["q35", "arm64"])
def test_the_watchdog_resets_a_machine_whose_pid_1_is_stuck(boot, machine):
    guest = boot(machine, append="sampan.watchdog=5s").boot()
    since = guest.mark()
    # PID 1 cannot be stopped by a signal, but the kernel's freezer holds it anywhere it is
    guest.ssh("echo 1 >/sys/fs/cgroup/init/cgroup.freeze").ok()
    assert guest.wait_event("WATCHDOG", timeout=120)["action"] == "reset"
    guest.boot(since=since)
    assert "Sampan" in guest.http()


def test_a_pid_1_that_works_keeps_the_watchdog_quiet(boot):
    guest = boot("q35", append="sampan.watchdog=3s").boot()
    events = guest.qmp.events()
    # three times the watchdog's time, counted by the guest's own clock
    guest.ssh("sleep 9").ok()
    with pytest.raises(GuestError, match="no QMP event WATCHDOG"):
        guest.wait_event("WATCHDOG", timeout=0, since=events)
    assert "Sampan" in guest.http()
