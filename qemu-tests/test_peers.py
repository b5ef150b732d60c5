"""The Debian userland of peers.py is whole, and the machine around it is ours."""

import pytest

from peers import boot_peers


@pytest.fixture
def peers(boot):
    return boot_peers(boot)


def test_the_userland_runs_beside_init_on_a_cgroup_tree_with_controllers(peers):
    script = """
    for program in 'podman --version' 'crun --version' 'runc --version' 'dockerd --version' \
        'containerd --version' 'sampan-oci --version'; do
        $program >/tmp/out && head -n 1 /tmp/out
    done
    cat /proc/1/comm
    cat /sys/fs/cgroup/cgroup.controllers
    unshare --user id -u
    """
    lines = peers.run(script).ok().splitlines()
    names = [line.split()[0].lower() for line in lines[:6]]
    assert names == ["podman", "crun", "runc", "docker", "containerd", "sampan-oci"]
    assert lines[6] == "init"
    assert {"cpu", "io", "memory", "pids"} <= set(lines[7].split())
    assert lines[8] == "65534"
    assert "Debian" not in peers.guest.ssh("cat /etc/os-release; ls /").output
