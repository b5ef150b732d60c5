"""What runs in the booted machine, and what does not."""

import re
import subprocess

import pytest

from guest import make_ssh_key

NAMESPACES = ("mnt", "pid", "uts", "ipc", "cgroup")
PID = "$(cat /run/containers/web/pid)"


def status_of(guest, pid):
    return dict(re.findall(r"^(\w+):\s+(.*)$", guest.ssh(f"cat /proc/{pid}/status").ok(), re.M))


def listening(guest):
    lines = guest.ssh("netstat -ltun").ok().splitlines()
    return {line.split()[3].rsplit(":", 1)[1] for line in lines if re.match("tcp|udp", line)}


def test_the_containers_process_is_a_child_of_pid_1(q35):
    assert status_of(q35, PID)["PPid"] == "1"


def test_no_runtime_process_stays_beside_the_container(q35):
    names = set(q35.ssh("cat /proc/[0-9]*/comm").output.split("\n"))
    assert not {name for name in names if name.startswith(("sampan-oci", "conmon", "shim"))}


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_the_container_has_its_own_namespace(q35, namespace):
    mine = q35.ssh(f"readlink /proc/1/ns/{namespace}").ok()
    its = q35.ssh(f"readlink /proc/{PID}/ns/{namespace}").ok()
    assert re.fullmatch(rf"{namespace}:\[\d+\]", its)
    assert its != mine


def test_the_container_sees_itself_as_pid_1(q35):
    assert status_of(q35, PID)["NSpid"].split()[-1] == "1"


def test_the_container_runs_in_its_own_cgroup(q35):
    assert q35.ssh(f"cat /proc/{PID}/cgroup").ok() == "0::/containers/web"


def test_the_containers_root_is_not_the_machines(q35):
    assert q35.ssh(f"test -e /proc/{PID}/root/init").status == 1
    assert q35.ssh(f"test -e /proc/{PID}/root/containers").status == 1


def test_only_ssh_and_the_container_listen(q35):
    q35.http()
    assert listening(q35) == {"22", "80"}


def test_what_came_with_the_image_cannot_be_changed(q35):
    for path in "/init", "/usr/bin/sampan-oci", "/etc/services/web", "/new":
        assert "Read-only file system" in q35.ssh(f"echo x >{path}").output


def test_no_file_is_setuid_or_setgid(q35):
    q35.ssh("touch /run/setuid-probe && chmod 4755 /run/setuid-probe").ok()
    assert "/run/setuid-probe" in q35.ssh("find /run -type f -perm -4000").ok()
    q35.ssh("rm /run/setuid-probe").ok()
    # everywhere, the container's root included; what ends while it is looked at is of no interest
    found = q35.ssh("find / -type f \\( -perm -4000 -o -perm -2000 \\) 2>/dev/null")
    assert found.output == ""


def test_there_are_no_zombies(q35):
    states = q35.ssh("cat /proc/[0-9]*/stat").output
    assert not re.findall(r"^\d+ \(.*\) Z", states, re.MULTILINE)


def test_a_wrong_key_is_refused(q35, tmp_path):
    q35.wait_ssh()
    done = subprocess.run(
        q35.ssh_command(key=make_ssh_key(tmp_path)) + ["true"], capture_output=True, text=True
    )
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


def test_without_a_key_only_keys_are_offered_so_no_password_can_be_tried(q35):
    q35.wait_ssh()
    done = subprocess.run(
        q35.ssh_command("PreferredAuthentications=password,keyboard-interactive", key=False)
        + ["true"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


def test_pid_1_cannot_be_chosen_by_the_oom_killer(q35):
    assert q35.ssh("cat /proc/1/oom_score_adj").ok() == "-1000"


def test_every_controller_is_handed_down_to_services_and_containers(q35):
    given = set(q35.ssh("cat /sys/fs/cgroup/cgroup.controllers").ok().split())
    assert {"cpu", "memory", "pids", "io"} <= given
    for group in ("services", "containers"):
        down = q35.ssh(f"cat /sys/fs/cgroup/{group}/cgroup.subtree_control").ok()
        assert set(down.split()) == given
