"""podman and docker, as Debian has them, do with sampan-oci what they do with crun.

For podman all cases marked "quick"; for docker, whose daemons take most of the time, the first of them.
"""

import pytest

import clients
from peers import boot_peers
from test_in_guest import check_tap

# about five minutes without KVM; a busy host is slower
TIMEOUT = 1500


@pytest.mark.parametrize("client, only", [("podman", ""), ("docker", "^run: output")], ids=["podman", "docker"])
def test_clients_do_with_sampan_oci_what_they_do_with_crun(boot, client, only):
    peers = boot_peers(boot, files=clients.guest_files())
    peers.run(clients.LOAD[client], timeout=TIMEOUT).ok()
    command = clients.run_command(client, "sampan-oci", quick=True, only=only, expected=True)
    done = peers.run(command, timeout=TIMEOUT)
    print(done.output)
    check_tap(done.status, done.output)
