"""Devices: what is made of linux.devices."""

from oci_host import NEEDS

pytestmark = NEEDS
PTMX = {"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2, "fileMode": 0o666}


def test_the_hosts_ptmx_in_a_list_of_all_devices_is_the_containers_own(oci):
    oci.linux["devices"] = [PTMX]
    out = oci.sh("readlink /dev/ptmx; [ -c /dev/ptmx ] && : <>/dev/ptmx && ls /dev/pts")
    assert out.split() == ["pts/ptmx", "ptmx"]
