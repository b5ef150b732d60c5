"""The machine comes up, on each kind of machine, and the container in it serves."""

import re

import pytest

from guest import MACHINES

every_machine = pytest.mark.parametrize("machine", MACHINES)


@every_machine
def test_it_boots_until_all_services_are_up(pool, machine):
    guest = pool.get(machine)
    up = guest.wait_for(r"init: up")
    ready = guest.wait_for(r"init: ready")
    assert up.end() < ready.start()


@every_machine
def test_the_containers_page_is_served_through_a_forwarded_port(pool, machine):
    assert "Sampan" in pool.get(machine).http(80)


@every_machine
def test_status_shows_the_container_up(pool, machine):
    status = pool.get(machine).shell("sampan status").ok()
    line = next(line for line in status.splitlines() if "web" in line.split())
    assert "up" in line.split()


@every_machine
def test_ssh_lets_in_who_holds_the_key_given_by_fw_cfg(pool, machine):
    assert pool.get(machine).ssh("cat /proc/1/comm").ok() == "init"


@every_machine
def test_the_kernel_finds_no_fault_in_itself(pool, machine):
    faults = re.findall(r"^.*(?:WARNING: CPU|BUG:|Call [Tt]race).*$", pool.get(machine).console.text(), re.M)
    assert faults == []


def test_ssh_lets_in_who_holds_the_key_on_the_kernels_command_line(boot, ssh_key):
    public = ssh_key.with_suffix(".pub").read_text().strip()
    guest = boot("q35", ssh_key=None, append=f'sampan.authorized_key="{public}"').boot()
    guest.ssh_key = ssh_key
    assert guest.ssh("cat /proc/1/comm").ok() == "init"


def test_without_a_key_nobody_listens_for_ssh(boot):
    guest = boot("q35", ssh_key=None).boot()
    guest.http()
    assert ":22 " not in guest.shell("netstat -ltn").ok()


def test_it_boots_with_sixty_four_mebibytes(boot):
    guest = boot("q35", memory=64).boot()
    assert "Sampan" in guest.http(80)
