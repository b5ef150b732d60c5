"""/proc and /sys: what is written there by the runtime, and what of them a container gets.

CVE-2019-19921, CVE-2023-27561, CVE-2025-52881: label and sysctl writes redirected. CVE-2022-0492: release_agent.
"""

import os
import pathlib

import pytest

from attack import attempt, must_not, usual_capabilities
from oci_host import NEEDS, hook

pytestmark = NEEDS

CORE = "/proc/sys/kernel/core_pattern"


@pytest.mark.weakened_by("sysctl-through-the-containers-proc")
def test_a_sysctl_is_not_redirected_inside_proc(oci):
    """A volume lands in the container's /proc by a link of the image's, and leads from one sysctl to another."""
    volume = oci.path / "volume"
    volume.mkdir()
    (volume / "ip_forward").symlink_to("../../kernel/hostname")
    (oci.rootfs / "data").symlink_to("/proc/sys/net/ipv4")
    oci.config["mounts"].append({"destination": "/data", "source": str(volume), "options": ["bind"]})
    oci.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    seen = attempt(oci, "hostname")
    must_not(seen.strip() == "1", "the value was written to another sysctl")


@pytest.mark.weakened_by("label-through-the-containers-proc")
@pytest.mark.skipif(os.path.exists("/proc/self/attr/apparmor"), reason="this kernel takes the label")
def test_a_label_is_not_written_to_a_file_of_the_images(oci):
    """A /proc that is a volume has everything that a label is written to, and forgets it."""
    volume = oci.path / "volume"
    fake = volume / "self" / "attr" / "apparmor"
    fake.mkdir(parents=True)
    (fake / "exec").write_text("")
    oci.config["mounts"].append({"destination": "/proc", "source": str(volume), "options": ["bind"]})
    oci.linux["maskedPaths"] = oci.linux["readonlyPaths"] = []
    oci.process["apparmorProfile"] = "confined"
    attempt(oci, "true")
    must_not((fake / "exec").read_text() != "", "the label went into a file of the image's")


@pytest.mark.weakened_by("sysctl-of-any-namespace")
@pytest.mark.parametrize("kind,file,key", [("network", "net", "net.ipv4.ip_forward"),
                                           ("ipc", "ipc", "kernel.shm_rmid_forced")])
def test_a_sysctl_of_the_hosts_is_not_set_through_its_namespace(oci, kind, file, key):
    for n in oci.linux["namespaces"]:
        if n["type"] == kind:
            n["path"] = f"/proc/self/ns/{file}"
    path = pathlib.Path("/proc/sys", *key.split("."))
    before = path.read_text()
    oci.linux["sysctl"] = {key: "1" if before.strip() == "0" else "0"}
    attempt(oci, "true")
    after = path.read_text()
    path.write_text(before)
    must_not(after != before, f"the host's {key} was changed")


@pytest.mark.weakened_by("masks-by-path")
def test_proc_moved_away_is_masked_all_the_same(oci):
    """Who shares the root file system moves the mounted /proc aside and puts a directory of his own in its place. It is
    that one's files that would be masked."""
    swap = (f"cd {oci.rootfs}; mv proc elsewhere && mkdir -p proc/sys/kernel && touch proc/kcore proc/sysrq-trigger "
            f"proc/keys && cp -r proc/sys proc/bus; cp -r proc/sys proc/fs; cp -r proc/sys proc/irq; "
            f"touch {oci.path}/swapped\n")
    oci.config["hooks"] = {"createRuntime": hook(oci, "swap", swap)}
    usual_capabilities(oci)
    seen = attempt(oci, "sh", "-c", f"wc -c </elsewhere/keys; (exec 9>>/elsewhere{CORE.removeprefix('/proc')}) && echo open")
    assert (oci.path / "swapped").exists()
    must_not("open" in seen, "core_pattern can be written")
    assert seen.splitlines()[:1] == ["0"], seen


@pytest.mark.weakened_by("proc-through-a-link")
@pytest.mark.parametrize("where", ["/proc", "/proc/", "/sys/", "//proc/.", "/proc/x/.."])
def test_proc_is_mounted_where_it_says(oci, where):
    """Behind a link it would be in a place of the image's choice, where it can be swapped."""
    (oci.rootfs / "elsewhere").mkdir()
    name = "sys" if "sys" in where else "proc"
    (oci.rootfs / name).symlink_to("/elsewhere")
    for m in oci.config["mounts"]:
        if m["destination"] == f"/{name}":
            m["destination"] = where
    seen = attempt(oci, "grep", " /elsewhere ", "/proc/mounts" if name == "sys" else "/elsewhere/mounts")
    must_not(f"{name} /elsewhere " in seen or f"{name}fs /elsewhere " in seen, "it is mounted behind the link")


@pytest.mark.weakened_by("copyup-across-mounts")
def test_a_tmpfs_copies_nothing_of_proc_through_a_link(oci):
    """Masks come after all mounts: what is copied before them would be a copy that nothing hides."""
    (oci.rootfs / "data").symlink_to("/proc/sys/kernel/random")
    oci.config["mounts"].append({"destination": "/data", "type": "tmpfs", "options": ["tmpcopyup"]})
    seen = attempt(oci, "sh", "-c", "ls -A /data/; echo copied")
    assert "copied" in seen
    must_not("boot_id" in seen, f"the tmpfs has {seen.split()}")


# Opening for writing is the attack; nothing is written.
OPEN = "for f in {files}; do (exec 9>>$f) 2>/dev/null && echo open $f; done"
HOSTS_OWN = [CORE, "/proc/sys/kernel/modprobe", "/proc/sys/vm/panic_on_oom", "/proc/sys/fs/binfmt_misc/register",
             "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/bus/pci/devices"]


@pytest.mark.parametrize("files", [
    pytest.param(HOSTS_OWN, marks=pytest.mark.weakened_by("no-read-only-paths"), id="proc"),
    pytest.param(["/sys/kernel/uevent_helper", "/sys/kernel/profiling", "/sys/kernel/fscaps", "/sys/power/state",
                  "/sys/module/*/parameters/*", "/sys/kernel/mm/ksm/run"],
                 marks=pytest.mark.weakened_by("sysfs-writable"), id="sys"),
    pytest.param(["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/cgroup.subtree_control"],
                 marks=pytest.mark.weakened_by("sysfs-writable"), id="cgroup"),
])
def test_a_usual_container_cannot_write_the_hosts_settings(oci, files):
    usual_capabilities(oci)
    seen = attempt(oci, "sh", "-c", OPEN.format(files=" ".join(files)) + "; true")
    must_not("open /" in seen, seen)


@pytest.mark.weakened_by("no-masks")
def test_a_usual_container_does_not_see_what_is_masked(oci):
    usual_capabilities(oci)
    seen = attempt(oci, "sh", "-c", "wc -c </proc/keys; wc -c </proc/interrupts; ls /sys/firmware | wc -l")
    must_not(seen.split() != ["0", "0", "0"], f"masked files have {seen.split()} bytes and entries")


# Of a hierarchy that the host has, so that it can be mounted; what is written is what is there already.
RELEASE_AGENT = """
mkdir -p /tmp/v1
for c in memory cpu cpuset devices freezer pids rdma misc; do
    if mount -t cgroup -o $c cgroup /tmp/v1; then
        cat /tmp/v1/release_agent >/tmp/agent && echo "$(cat /tmp/agent)" >/tmp/v1/release_agent && echo written
        umount /tmp/v1
        break
    fi
done 2>/dev/null
"""


@pytest.mark.weakened_by("capabilities-kept")
@pytest.mark.skipif(" cgroup " not in pathlib.Path("/proc/mounts").read_text(),
                    reason="only cgroup v1 has a release_agent")
def test_release_agent_cannot_be_set(oci):
    usual_capabilities(oci)
    # In a cgroup namespace the hierarchy's root, which alone has the file, is not in reach.
    oci.linux["namespaces"] = [n for n in oci.linux["namespaces"] if n["type"] != "cgroup"]
    oci.config["mounts"] = [m for m in oci.config["mounts"] if m["type"] != "cgroup"]
    seen = attempt(oci, "sh", "-c", RELEASE_AGENT)
    must_not("written" in seen, "release_agent was written")
