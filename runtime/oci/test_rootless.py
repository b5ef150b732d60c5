"""sampan-oci as an ordinary user, and as root in a user namespace. Needs root, to become that user."""

import json
import os
import re
import shutil
import stat
import subprocess

import pytest
from oci_host import NEEDS, SECONDS, hook
from oci_user import FIRST_SUBID, ID, mount_of, root_inside, user_oci, wait_for_processes

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


def test_kill_all_needs_no_cgroup(oci):
    oci.create("sh", "-c", "trap : USR1; sleep 1000 & sleep 1001 & wait; wait; wait")
    oci.ok("start", "c")
    # not before they are what dies of it: the shell's children hold its trap
    oci.wait_until(lambda: len(re.findall(r"(?m) sleep 100[01]$", oci.ok("ps", "c"))) == 2)
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
    with root_inside(oci):
        yield oci


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
