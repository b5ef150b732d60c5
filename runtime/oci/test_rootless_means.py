"""What an ordinary user gets of mounts, devices, limits and cgroups, and what he keeps others from. Needs root, to become
that user."""

import os
import pathlib
import subprocess

import pytest
from oci_host import NEEDS, SECONDS
from oci_user import ID, mount_of, user_oci, wait_for_processes

pytestmark = NEEDS


@pytest.fixture
def oci():
    with user_oci() as o:
        yield o


# ---- mounts


def test_sysfs_of_a_network_that_is_not_its_own_is_the_hosts(oci):
    oci.without("network")
    out = oci.sh("ls /sys/class/net; grep ' /sys' /proc/self/mountinfo")
    assert set(os.listdir("/sys/class/net")) <= set(out.split())
    mounts = [line.split() for line in out.splitlines() if " /sys" in line]
    assert len(mounts) > 1 and all("ro" in m[5].split(",") for m in mounts), out


def test_a_cgroup_mount_without_a_cgroup_is_the_hosts_and_read_only(oci):
    oci.without("cgroup")
    mount_of(oci, "/sys/fs/cgroup")["options"] = ["rw"]
    out = oci.sh("ls /sys/fs/cgroup; grep ' /sys/fs/cgroup' /proc/self/mountinfo")
    assert set(os.listdir("/sys/fs/cgroup")) <= set(out.split())
    mounts = [line.split() for line in out.splitlines() if " /sys/fs" in line]
    assert mounts and all("ro" in m[5].split(",") for m in mounts), out


@pytest.fixture
def host_mount(oci):
    """A host's directory mounted with flags that a user namespace finds locked, and one below it."""
    source = oci.path / "source"
    (source / "below").mkdir(parents=True)
    script = (f"mount -t tmpfs -o mode=755 tmpfs {source} && mkdir {source}/below && "
              f"mount -t tmpfs -o mode=777 tmpfs {source}/below && touch {source}/below/file && "
              f"mount -o remount,bind,ro,nosuid,nodev,noexec,noatime {source} && ")
    oci.before = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script + 'exec "$@"', "sh"]
    return source


@pytest.mark.parametrize("options", [["rbind"], ["rbind", "ro"], ["rbind", "nosuid", "rprivate"]])
def test_what_the_hosts_mount_forbids_stays_forbidden(oci, host_mount, options):
    oci.config["mounts"].append({"destination": "/mnt", "source": str(host_mount), "options": options})
    out = oci.sh("grep ' /mnt ' /proc/self/mountinfo; ls /mnt/below")
    assert {"ro", "nosuid", "nodev", "noexec", "noatime"} <= set(out.split()[5].split(","))
    assert out.split()[-1] == "file"


@pytest.mark.parametrize("word", ["rw", "suid", "dev", "exec", "strictatime"])
def test_an_option_that_allows_what_the_host_forbids_is_refused(oci, host_mount, word):
    oci.config["mounts"].append({"destination": "/mnt", "source": str(host_mount), "options": ["rbind", word]})
    i = len(oci.config["mounts"]) - 1
    assert f"mounts[{i}].options: of the mount of {host_mount}: Operation not permitted" in oci.refused()


def test_a_bind_that_would_uncover_something_is_refused(oci, host_mount):
    oci.config["mounts"].append({"destination": "/mnt", "source": str(host_mount), "options": ["bind"]})
    i = len(oci.config["mounts"]) - 1
    assert f"mounts[{i}].options: what is mounted below {host_mount} is locked to it" in oci.refused()


def test_a_relative_source_is_the_bundles(oci):
    (oci.bundle / "data").write_text("x")
    oci.config["mounts"].append({"destination": "/data", "source": "data", "options": ["bind"]})
    assert oci.run("cat", "/data") == "x"


# ---- devices


def test_devices_are_the_hosts(oci):
    oci.linux["devices"] = [
        {"path": "/dev/full", "type": "c", "major": 1, "minor": 7, "uid": 0, "gid": 5},
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o600},
    ]
    out = oci.sh("ls -ln /dev/full /dev/pipe; grep -c ' /dev/full ' /proc/self/mountinfo")
    assert out.startswith("crw") and "\nprw-------" in out and out.split()[-1] == "1"
    oci.linux["devices"] = [{"path": "/dev/nothing", "type": "c", "major": 1, "minor": 3}]
    assert "linux.devices[0].path: /dev/nothing: No such file" in oci.refused()
    oci.linux["devices"] = [{"path": "/dev/zero", "type": "c", "major": 1, "minor": 3}]
    assert "linux.devices[0].path: /dev/zero: the host has another device there" in oci.refused()


# ---- limits


def test_limits_that_cannot_be_applied_are_refused(oci):
    oci.linux["resources"] = {"memory": {"limit": 1 << 24}}
    assert "linux.resources.memory: there is no cgroup v2 that this user may write" in oci.refused()
    oci.linux["cgroupsPath"] = "/not/ours"
    assert "linux.resources.memory: make cgroup /not/ours: " in oci.refused()
    r = oci.call("--cgroup-manager=disabled", "run", "--bundle", oci.bundle, "c")
    assert r.returncode == 1 and "linux.resources.memory: --cgroup-manager disabled" in r.stderr
    assert "expected cgroupfs or disabled" in oci.call("--cgroup-manager", "systemd", "run", "c").stderr
    oci.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    oci.write("true")
    r = oci.call("run", "--bundle", oci.bundle, "c")
    assert r.returncode == 0 and "linux.resources.devices: cannot be applied in a user namespace" in r.stderr


def test_the_oom_score_is_raised_but_not_lowered(oci):
    oci.process["oomScoreAdj"] = 700
    show = ["cat", "/proc/self/oom_score_adj"]
    assert oci.run(*show) == "700\n"
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    assert oci.ok("exec", "c", *show) == "700\n"
    oci.process["oomScoreAdj"] = -900
    assert "process.oomScoreAdj: -900: below our own" in oci.refused(id="d")


def test_a_limit_above_the_users_is_refused(oci):
    oci.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 1 << 30}]
    assert "process.rlimits[0]: RLIMIT_NOFILE: Operation not permitted" in oci.refused()


# ---- a delegated cgroup


@pytest.fixture
def delegated(oci):
    """A cgroup that belongs to the user, his process in one below it. Without controllers, as far as here matters."""
    mount = next((m for m in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
                  if os.access(f"{m}/cgroup.procs", os.W_OK)), None)
    if not mount:
        pytest.skip("no cgroup v2 that can be written")
    top = pathlib.Path(mount, f"sampan-test-{os.getpid()}-user")
    for path in (top, top / "shell"):
        path.mkdir()
        for name in (".", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            os.chown(path / name, ID, ID)
    oci.before = ["sh", "-c", f'echo $$ >{top}/shell/cgroup.procs && exec "$@"', "sh"]
    yield top
    oci.destroy()
    for path in (top / "containers", top / "shell" / "containers", top / "shell", top):
        if path.is_dir():
            path.rmdir()


def test_a_delegated_cgroup_is_found_and_used(oci, delegated):
    oci.create("sh", "-c", "sleep 1000 & sleep 1001 & wait")
    oci.ok("start", "c")
    cgroup = delegated / "containers" / "c"
    assert str(oci.state()["pid"]) in (cgroup / "cgroup.procs").read_text().split()
    wait_for_processes(oci, 3)
    oci.ok("pause", "c")
    assert oci.state()["status"] == "paused"
    oci.ok("resume", "c")
    assert oci.ok("exec", "c", "grep", "0::", "/proc/self/cgroup") == "0::/\n"
    oci.ok("kill", "--all", "c", "KILL")
    oci.wait_status("stopped")
    oci.ok("delete", "c")
    assert not cgroup.exists()


def test_a_relative_path_starts_in_the_delegated_cgroup(oci, delegated):
    oci.linux["cgroupsPath"] = "pod/x"
    oci.create("sleep", "1000")
    assert (delegated / "containers" / "pod" / "x" / "cgroup.procs").read_text() != ""
    oci.ok("delete", "--force", "c")
    (delegated / "containers" / "pod").rmdir()


def test_ones_own_cgroup_will_do(oci, delegated):
    for name in (".", "cgroup.procs"):
        os.chown(delegated / name, 0, 0)
    oci.create("sleep", "1000")
    assert (delegated / "shell" / "containers" / "c" / "cgroup.procs").read_text() != ""


# ---- escapes


def test_the_users_own_runtime_file_cannot_be_written(oci):
    # CVE-2019-5736: the file belongs to the very user that the container's root is. Somebody inside waits
    # for it, which is executed as a script's interpreter, opens it and writes when it runs no more.
    before = oci.program.read_bytes()
    (oci.rootfs / "script").write_text("#!/proc/self/exe --log=/fifo\n")
    (oci.rootfs / "script").chmod(0o755)
    os.mkfifo(oci.rootfs / "fifo")
    os.chown(oci.rootfs / "fifo", ID, ID)
    oci.process["noNewPrivileges"] = False
    with open(oci.path / "seen", "w") as out:
        oci.create("sh", "-c", """
            while :; do for p in /proc/[0-9]*; do
                case $(readlink $p/exe) in /bin/busybox|"") continue ;; esac
                exec 9<$p/exe || continue
                cat /fifo >/dev/null
                while [ -e $p ]; do :; done
                i=0; while [ $i -lt 2000 ]; do echo evil >/proc/self/fd/9; i=$((i + 1)); done
                echo tried; exit
            done; done 2>/dev/null""", stdout=out)
    oci.ok("start", "c")
    oci.call("exec", "c", "/script")
    oci.wait_status("stopped")
    assert (oci.path / "seen").read_text() == "tried\n"
    assert oci.program.read_bytes() == before


def test_a_container_cannot_look_at_the_runtime(oci):
    # Of what enters it, only the program that was asked for is ever readable to it.
    oci.process["capabilities"] = {k: ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]
                                   for k in ("bounding", "effective", "permitted")}
    with open(oci.path / "seen", "w") as out:
        oci.create("sh", "-c", """
            while :; do for p in /proc/[0-9]*; do
                case $(readlink $p/exe) in /bin/busybox|"") ;; *) echo seen ;; esac
            done; done 2>/dev/null""", stdout=out)
    oci.ok("start", "c")
    for _ in range(30):
        oci.ok("exec", "c", "true")
    assert (oci.path / "seen").read_text() == ""


def test_the_waiting_process_cannot_be_looked_at(oci):
    # It was readable to its user while the maps were written.
    oci.create("sleep", "1000")
    look = oci.as_user("readlink", f"/proc/{oci.state()['pid']}/exe")
    assert subprocess.run(look, stdout=subprocess.DEVNULL, timeout=SECONDS).returncode == 1
    oci.ok("start", "c")
    assert subprocess.run(look, stdout=subprocess.DEVNULL, timeout=SECONDS).returncode == 0
