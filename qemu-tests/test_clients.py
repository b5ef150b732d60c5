"""podman, as Debian has it, does with sampan-oci what it does with crun: the cases marked "quick"."""

import clients
from peers import boot_peers
from test_in_guest import check_tap

# about five minutes without KVM; a busy host is slower
TIMEOUT = 1500


def test_podman_does_with_sampan_oci_what_it_does_with_crun(boot):
    peers = boot_peers(boot, files=clients.guest_files())
    peers.run("podman load -q -i /test/clients/image.tar", timeout=TIMEOUT).ok()
    command = clients.run_command("podman", "sampan-oci", quick=True, expected=True)
    done = peers.run(command, timeout=TIMEOUT)
    print(done.output)
    check_tap(done.status, done.output)
