"""sampan-oci inside one of its own containers. Needs root."""

import copy
import json
import os
import shutil
import subprocess

import pytest
from oci_host import NEEDS, OCI, Oci
from oci_user import ID, mount_of, user_oci

pytestmark = NEEDS

# What root needs to make containers.
RIGHTS = ["CAP_" + name for name in (
    "CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_ADMIN", "SYS_ADMIN", "SYS_CHROOT", "MKNOD",
    "AUDIT_WRITE", "NET_BIND_SERVICE", "SETFCAP")]


class Nest:
    """An outer container that may do what root may, with the runtime and the bundle of another one inside."""

    def __init__(self, outer):
        self.outer = outer
        self.bundle = outer.rootfs / "inner"
        self.rootfs = self.bundle / "rootfs"
        shutil.copytree(outer.rootfs / "bin", self.rootfs / "bin", symlinks=True)
        shutil.copy(OCI, outer.rootfs / "bin" / "sampan-oci")
        self.config = copy.deepcopy(outer.config)
        self.linux = self.config["linux"]
        self.linux.pop("cgroupsPath", None)
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] != "user"]
        for kind in ("uidMappings", "gidMappings"):
            self.linux.pop(kind, None)
        outer.process["capabilities"] = {kind: RIGHTS for kind in ("bounding", "effective", "permitted")}
        outer.process["noNewPrivileges"] = False
        outer.linux["maskedPaths"] = outer.linux["readonlyPaths"] = []
        mount_of(outer, "/sys/fs/cgroup")["options"] = ["rw"]
        (outer.rootfs / "run").mkdir()

    def user_namespace(self):
        self.linux["namespaces"].append({"type": "user"})
        for kind in ("uidMappings", "gidMappings"):
            self.linux[kind] = [{"containerID": 0, "hostID": 0, "size": 1}]
        devpts = mount_of(self, "/dev/pts")
        devpts["options"] = [o for o in devpts["options"] if o != "gid=5"]

    def sh(self, script, command="sampan-oci run --bundle /inner i"):
        """What SCRIPT prints in the inner container, and what the runtime says."""
        self.config["process"]["args"] = ["sh", "-c", script]
        (self.bundle / "config.json").write_text(json.dumps(self.config))
        if self.outer.config["linux"].get("uidMappings"):
            subprocess.run(["chown", "-hR", f"{ID}:{ID}", self.outer.path], check=True)
        return self.outer.sh(f"exec 2>&1; {command}")


@pytest.fixture
def nest(tmp_path):
    outer = Oci(tmp_path)
    yield Nest(outer)
    outer.destroy()


@pytest.fixture
def user_nest():
    with user_oci() as outer:
        yield Nest(outer)


SHOW = ("id -u; cat /proc/1/comm; echo x >/dev/null && echo written; : >/proc/sys/kernel/hostname; "
        "ls /proc/acpi; hostname; ls /sys/fs/cgroup/cgroup.procs")
SHOWN = ["0", "sh", "written", "container", "/sys/fs/cgroup/cgroup.procs"]


def check(out):
    lines = [line for line in out.splitlines() if "Read-only" not in line and "No such" not in line]
    assert lines == SHOWN, out
    assert "Read-only file system" in out


@pytest.mark.parametrize("own_user_namespace", [False, True])
def test_in_a_privileged_container(nest, own_user_namespace):
    if own_user_namespace:
        nest.user_namespace()
    check(nest.sh("(" + SHOW.replace("; ls", "); ls", 1)))


@pytest.mark.parametrize("own_user_namespace", [False, True])
def test_in_a_users_container(user_nest, own_user_namespace):
    if own_user_namespace:
        user_nest.user_namespace()
    check(user_nest.sh("(" + SHOW.replace("; ls", "); ls", 1)))


def test_every_command_works_inside(nest):
    out = nest.sh("sleep 1000", "sampan-oci create --bundle /inner i </dev/null >/dev/null && sampan-oci start i && "
                  "sampan-oci exec i cat /proc/1/comm && sampan-oci ps i | grep -c sleep && sampan-oci kill i KILL && "
                  "until sampan-oci delete i 2>/dev/null; do :; done; sampan-oci list -q; ls /sys/fs/cgroup/containers")
    assert out.split()[:2] == ["sleep", "1"], out
    assert "i" not in out.split()


@pytest.mark.parametrize("kind", ["nest", "user_nest"])
def test_a_covered_proc_stays_covered(request, kind):
    # Masks of the outer container are locked to a user namespace below it; a new /proc would be without.
    nest = request.getfixturevalue(kind)
    nest.outer.linux["maskedPaths"] = ["/proc/timer_list"]
    nest.user_namespace()
    nest.outer.write()
    out = nest.sh("true", "sampan-oci run --bundle /inner i || true")
    assert "mounts[0]: mount proc: Operation not permitted: a new one would show what is covered" in out
    # What the outer one has can be bound.
    mount_of(nest, "/proc").update(type="bind", source="/proc", options=["rbind"])
    nest.linux["namespaces"] = [n for n in nest.linux["namespaces"] if n["type"] != "pid"]
    nest.linux["maskedPaths"] = nest.linux["readonlyPaths"] = []
    assert nest.sh("wc -c </proc/timer_list") == "0\n"


def test_a_filter_that_forbids_keys_does_not_matter(nest):
    nest.outer.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["keyctl", "add_key", "request_key"], "action": "SCMP_ACT_ERRNO"}]}
    assert nest.sh("echo ran") == "ran\n"
