"""A machine of ours that also holds a Debian userland with podman, docker, containerd, crun and runc.

Kernel, init and cgroups are Sampan's, with every controller; the userland (userland.py) is a mount
namespace beside init's own, on a disk whose changes are thrown away. The machine's sampan-oci is
/usr/bin/sampan-oci there.

    peers = boot_peers(boot)                     # the fixture of conftest.py
    peers.run("podman --version").ok()
"""

import shlex

import userland
from guest import COMMAND_TIMEOUT, MACHINES, TOP

MEMORY = 2048
SERVICE = """# The Debian userland: a mount namespace for enter.
exec=/usr/bin/unshare -m /bin/sh /test/userland/service
ready=fd
"""


def guest_files():
    """What the initramfs needs besides its own."""
    folder = TOP / "qemu-tests" / "userland-guest"
    files = {"etc/services/userland": SERVICE}
    for path in sorted(folder.iterdir()):
        files[f"test/userland/{path.name}"] = (path.read_bytes(), 0o755)
    return files


def qemu_arguments(disk):
    """snapshot: what the guest writes goes into a file without a name, and is not synced."""
    return (
        "-drive",
        f"if=none,id=userland,format=raw,snapshot=on,file={disk}",
        "-device",
        "virtio-blk-pci,drive=userland",
    )


class Peers:
    """The booted machine (guest), and commands in its Debian userland."""

    def __init__(self, guest):
        self.guest = guest

    def run(self, script, timeout=COMMAND_TIMEOUT):
        """Run a shell script in the userland; returns guest.Result."""
        return self.guest.ssh(f"/test/userland/enter sh -c {shlex.quote(script)}", timeout=timeout)


def boot_peers(boot, files=None, memory=MEMORY, **options):
    """Boot the machine with the fixture boot; files: more of them for its root."""
    guest = boot(
        "q35",
        memory=memory,
        initrds=[MACHINES["q35"].initramfs],
        forward=(22,),
        files={**guest_files(), **(files or {})},
        extra=qemu_arguments(userland.build() / "disk"),
        **options,
    )
    return Peers(guest.boot())
