"""Devices: what is made of linux.devices."""

import os

from oci_host import NEEDS

pytestmark = NEEDS
PTMX = {"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2, "fileMode": 0o666}


def test_the_hosts_ptmx_in_a_list_of_all_devices_is_the_containers_own(oci):
    oci.linux["devices"] = [PTMX]
    out = oci.sh("readlink /dev/ptmx; [ -c /dev/ptmx ] && : <>/dev/ptmx && ls /dev/pts")
    assert out.split() == ["pts/ptmx", "ptmx"]


def test_a_standard_descriptor_on_null_is_the_container_s(oci):
    oci.create("sleep", "1000")
    proc = f"/proc/{oci.state()['pid']}"
    inside, outside = os.stat(f"{proc}/root/dev/null").st_dev, os.stat("/dev/null").st_dev
    # standard error is a file of the test's
    assert [os.stat(f"{proc}/fd/{fd}").st_dev for fd in (0, 1)] == [inside, inside] and inside != outside
    assert os.path.samefile(f"{proc}/fd/2", oci.path / "err")
