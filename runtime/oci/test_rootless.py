"""sampan-oci as an ordinary user, and as root in a user namespace. Needs root, to become that user."""

import json
import os
import pathlib
import shutil
import stat
import subprocess
import time

import pytest
from oci_host import NEEDS, SECONDS, hook
from oci_user import FIRST_SUBID, ID, mount_of, user_oci

pytestmark = NEEDS

@pytest.fixture
def oci():
    with user_oci() as o:
        yield o


# ---- one id


def test_a_user_runs_a_container(oci):
    out = oci.sh("exec 2>&1; id -u; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; hostname; "
                 "ip link | grep -c LOOPBACK; touch /new; echo x >/dev/null && head -c1 /dev/zero | wc -c; "
                 "wc -c </proc/timer_list; (: >/proc/sys/kernel/hostname) || echo read-only; "
                 "mknod /node c 1 3 || echo no nodes")
    words = out.split()
    assert words[:8] == ["0", "0", str(ID), "1", "0", str(ID), "1", "deny"]
    assert words[8:12] == [oci.config["hostname"], "1", "1", "0"]
    assert "read-only" in out and "no nodes" in out
    made = (oci.rootfs / "new").stat()
    assert (made.st_uid, made.st_gid) == (ID, ID)


def test_every_command_works_for_that_user(oci):
    oci.create("sh", "-c", "sleep 1000 & sleep 1001 & wait")
    assert oci.state()["status"] == "created"
    oci.ok("start", "c")
    assert oci.state()["status"] == "running"
    assert [c["id"] for c in json.loads(oci.ok("list", "--format", "json"))] == ["c"]
    assert oci.ok("exec", "c", "sh", "-c", "id -u; cat /proc/1/comm; readlink /proc/self/ns/user").split() == [
        "0", "sh", os.readlink(f"/proc/{oci.state()['pid']}/ns/user")]
    wait_for_processes(oci, 3)
    assert oci.state()["pid"] in json.loads(oci.ok("ps", "--format", "json", "c"))
    assert "sleep 1001" in oci.ok("ps", "c")
    r = oci.call("pause", "c")
    assert r.returncode == 1 and "has no cgroup" in r.stderr
    oci.ok("kill", "c", "KILL")
    oci.wait_status("stopped")
    assert json.loads(oci.ok("ps", "--format", "json", "c")) == []
    oci.ok("delete", "c")
    assert oci.call("state", "c").returncode == 1


def wait_for_processes(oci, n):
    end = time.monotonic() + SECONDS
    while len(json.loads(oci.ok("ps", "--format", "json", "c"))) != n:
        assert time.monotonic() < end, oci.ok("ps", "c")


def test_kill_all_needs_no_cgroup(oci):
    oci.create("sh", "-c", "trap : USR1; sleep 1000 & sleep 1001 & wait; wait; wait")
    oci.ok("start", "c")
    wait_for_processes(oci, 3)
    oci.ok("kill", "--all", "c", "USR1")  # the sleeping ones die of it
    oci.wait_status("stopped")


def test_without_a_pid_namespace_processes_are_not_guessed(oci):
    oci.without("pid")
    mount_of(oci, "/proc").update(type="bind", source="/proc", options=["rbind"])
    oci.linux["maskedPaths"] = oci.linux["readonlyPaths"] = []
    oci.create("sleep", "1000")
    for command in (["ps", "c"], ["kill", "--all", "c"]):
        r = oci.call(*command)
        assert r.returncode == 1 and "neither a cgroup nor a pid namespace" in r.stderr


def test_the_state_is_in_the_users_runtime_directory(oci):
    oci.write("sleep", "1000")
    run = oci.as_user(oci.program, "run", "--detach", "--bundle", oci.bundle, "c")
    subprocess.run(run, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=SECONDS)
    root = oci.path / "run" / "sampan-oci"
    assert stat.S_IMODE(root.stat().st_mode) == 0o1700
    assert (root / "c" / "state.json").exists()
    subprocess.run(oci.as_user(oci.program, "delete", "--force", "c"), check=True, timeout=SECONDS)
    assert not (root / "c").exists()
    del oci.env["XDG_RUNTIME_DIR"]
    run = oci.as_user(oci.program, "run", "--bundle", oci.bundle, "c")
    r = subprocess.run(run, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    assert r.returncode == 1 and "the state directory" in r.stderr


def test_without_a_user_namespace_it_says_so(oci):
    oci.without("user")
    del oci.linux["uidMappings"], oci.linux["gidMappings"], oci.process["capabilities"]
    assert "linux.namespaces: make the process: Operation not permitted: without CAP_SYS_ADMIN" in oci.refused()


def test_groups_cannot_be_set_by_a_user(oci):
    oci.process["user"]["additionalGids"] = [0]
    assert "process.user.additionalGids: " in oci.refused()


def test_others_ids_are_refused_by_the_maps_name(oci):
    oci.linux["uidMappings"][0]["hostID"] = 0
    assert oci.refused().startswith("sampan-oci: linux.uidMappings: newuidmap: ")
    oci.env["PATH"] = "/nowhere"
    assert "linux.uidMappings: run newuidmap: No such file" in oci.refused()


def test_another_containers_namespaces_can_be_joined(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    pid = oci.state()["pid"]
    for n in oci.linux["namespaces"]:
        name = {"network": "net"}.get(n["type"], n["type"])
        if name in ("user", "net", "pid", "ipc"):
            n["path"] = f"/proc/{pid}/ns/{name}"
    del oci.linux["uidMappings"], oci.linux["gidMappings"]
    out = oci.sh("readlink /proc/self/ns/user; readlink /proc/self/ns/net; cat /proc/1/comm", id="d")
    assert out.split() == [os.readlink(f"/proc/{pid}/ns/user"), os.readlink(f"/proc/{pid}/ns/net"), "sleep"]


def test_clocks_are_offset(oci):
    oci.linux["namespaces"].append({"type": "time"})
    oci.linux["timeOffsets"] = {"boottime": {"secs": 1000000}}
    assert float(oci.run("cat", "/proc/uptime").split()[0]) > 1000000


def test_hooks_run_as_that_user(oci):
    out = oci.path / "out"
    oci.config["hooks"] = {
        kind: hook(oci, kind, f"id -u >>{out}\n")
        for kind in ("createRuntime", "createContainer", "startContainer", "poststart", "poststop")}
    os.chown(oci.path, ID, ID)
    (oci.rootfs / oci.path.relative_to("/")).mkdir(parents=True)
    oci.config["hooks"]["startContainer"][0].update(path="/bin/true", args=["true"])
    oci.run("true")
    assert out.read_text().split() == [str(ID), "0", str(ID), str(ID)]


# ---- root in a user namespace around the runtime, as rootless podman has it


@pytest.fixture
def inside(oci):
    """The runtime runs as root in a user and mount namespace of the user's, that stays for all calls."""
    holder = subprocess.Popen(oci.as_user("unshare", "--map-root-user", "--mount", "sh", "-c", "echo; read x"),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    oci.between = ["nsenter", f"--target={holder.pid}", "--user", "--mount", "--preserve-credentials"]
    oci.without("user")
    del oci.linux["uidMappings"], oci.linux["gidMappings"]
    yield oci
    oci.destroy()
    holder.communicate()


def test_root_in_a_user_namespace_runs_a_container(inside):
    out = inside.sh("id -u; cat /proc/self/uid_map; readlink /proc/self/ns/user; echo x >/dev/null; ls /sys/class/net")
    words = out.split()
    assert words[:4] == ["0", "0", str(ID), "1"] and words[5] == "lo"
    assert words[4] != os.readlink("/proc/self/ns/user")
    inside.without("network")
    assert set(os.listdir("/sys/class/net")) <= set(inside.run("ls", "/sys/class/net").split())


def test_its_containers_live_as_others_do(inside):
    inside.create("sleep", "1000")
    inside.ok("start", "c")
    assert inside.ok("exec", "c", "cat", "/proc/1/comm") == "sleep\n"
    pid = inside.state()["pid"]
    next(n for n in inside.linux["namespaces"] if n["type"] == "pid")["path"] = f"/proc/{pid}/ns/pid"
    out = inside.path / "out"
    inside.config["hooks"] = {"createRuntime": hook(inside, "pid", f"readlink /proc/self/ns/pid >{out}\n")}
    os.chown(inside.path, ID, ID)
    assert inside.run("cat", "/proc/1/comm", id="d") == "sleep\n"
    assert out.read_text().strip() == os.readlink("/proc/self/ns/pid")
    assert pid in json.loads(inside.ok("ps", "--format", "json", "c"))
    inside.ok("kill", "--all", "c", "KILL")
    inside.wait_status("stopped")


def test_its_state_is_in_the_users_runtime_directory(inside):
    inside.write("true")
    run = inside.as_user(inside.program, "run", "--keep", "--bundle", inside.bundle, "c")
    subprocess.run(run, check=True, stdin=subprocess.DEVNULL, timeout=SECONDS)
    assert (inside.path / "run" / "sampan-oci" / "c" / "state.json").exists()


# ---- several ids


@pytest.fixture
def subids(oci):
    """Runs the user where /etc has an entry for him, in a mount namespace of its own."""
    if not shutil.which("newuidmap"):
        pytest.skip("the package uidmap is not installed")
    etc = oci.path / "etc"
    etc.mkdir()
    (etc / "passwd").write_text(f"root:x:0:0::/:/bin/sh\nsailor:x:{ID}:{ID}::/:/bin/sh\n")
    (etc / "group").write_text(f"root:x:0:\nsailor:x:{ID}:\n")
    for name in ("subuid", "subgid"):
        (etc / name).write_text(f"sailor:{FIRST_SUBID}:65536\n")
        open(f"/etc/{name}", "a").close()
    binds = "".join(f"mount --bind {etc}/{n} /etc/{n} && " for n in ("passwd", "group", "subuid", "subgid"))
    oci.before = ["unshare", "--mount", "--propagation", "private", "sh", "-c", binds + 'exec "$@"', "sh"]
    for kind in ("uidMappings", "gidMappings"):
        oci.linux[kind].append({"containerID": 1, "hostID": FIRST_SUBID, "size": 65535})
    return oci


def test_several_ids_come_from_the_helpers(subids):
    subids.process["user"] = {"uid": 33, "gid": 34, "additionalGids": [35]}
    (subids.rootfs / "shared").mkdir(mode=0o777)
    (subids.rootfs / "shared").chmod(0o777)
    out = subids.sh("cat /proc/self/uid_map; id -u; id -g; touch /shared/new; grep Groups /proc/self/status")
    assert out.split() == ["0", str(ID), "1", "1", str(FIRST_SUBID), "65535", "33", "34", "Groups:", "35"]
    made = (subids.rootfs / "shared" / "new").stat()
    assert (made.st_uid, made.st_gid) == (FIRST_SUBID + 32, FIRST_SUBID + 33)


def test_processes_of_other_ids_are_the_users_all_the_same(subids):
    subids.process["user"] = {"uid": 33, "gid": 33}
    subids.create("sleep", "1000")
    subids.ok("start", "c")
    assert os.stat(f"/proc/{subids.state()['pid']}").st_uid == FIRST_SUBID + 32
    assert subids.ok("exec", "--user", "7", "c", "id", "-u") == "7\n"
    assert json.loads(subids.ok("ps", "--format", "json", "c")) == [subids.state()["pid"]]
    subids.ok("delete", "--force", "c")


def test_the_containers_root_may_be_another_id(subids):
    for kind in ("uidMappings", "gidMappings"):
        subids.linux[kind] = [{"containerID": 0, "hostID": FIRST_SUBID, "size": 100}]
    (subids.path / "private").mkdir(mode=0o700)
    (subids.path / "private" / "file").write_text("the user's")
    subprocess.run(["chown", "-R", f"{ID}:{ID}", subids.path / "private"], check=True)
    (subids.path / "private" / "file").chmod(0o644)
    subids.config["mounts"].append({"destination": "/file", "source": str(subids.path / "private" / "file"),
                                    "options": ["bind"]})
    (subids.rootfs / "file").touch()
    (subids.rootfs).chmod(0o755)
    for name in ("proc", "dev", "sys"):
        (subids.rootfs / name).mkdir()
    # The source is opened with the user's rights, the program runs with the container's.
    assert subids.sh("cat /file; cat /proc/self/uid_map").split() == ["the", "user's", "0", str(FIRST_SUBID), "100"]


def test_ids_that_are_not_the_users_are_refused(subids):
    subids.linux["gidMappings"][1].update(hostID=1, size=9)
    assert "linux.gidMappings: newgidmap: gid range" in subids.refused()


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
