"""sampan-oci's command line: what engines and people call it with, beside what the commands do."""

import json
import os
import pathlib
import re
import select
import socket
import subprocess
import sys

import pytest
from oci_host import NEEDS, OCI, SECONDS, receive_master

pytestmark = NEEDS

COMMANDS = [
    "checkpoint", "create", "delete", "events", "exec", "features", "kill", "list", "pause", "ps", "restore",
    "resume", "run", "spec", "start", "state", "update",
]


def cgroup_mount():
    """Where this machine has cgroup v2."""
    unified = pathlib.Path("/sys/fs/cgroup/unified")
    return unified if unified.is_dir() else pathlib.Path("/sys/fs/cgroup")


def cgroup_of(oci):
    return pathlib.Path(f"{cgroup_mount()}{oci.linux['cgroupsPath']}")


@pytest.fixture
def running(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    stat = pathlib.Path(f"/proc/{oci.state()['pid']}/stat")
    oci.wait_until(lambda: stat.read_text().split()[1:3] == ["(sleep)", "S"])
    return oci


# ---- help and version


def test_the_version_is_what_engines_take_apart():
    out = subprocess.check_output([OCI, "--version"], text=True)
    assert re.fullmatch(r"sampan-oci version \d+\.\d+\.\d+\nspec: 1\.2\.0\n", out)
    assert subprocess.check_output([OCI, "-v"], text=True) == out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    out = subprocess.check_output([OCI, command, "--help"], text=True)
    assert out.startswith(f"usage: sampan-oci {command}")
    assert subprocess.check_output([OCI, command, "-h"], text=True) == out


def test_the_list_of_commands_is_whole():
    out = subprocess.check_output([OCI, "--help"], text=True)
    listed = re.search(r"commands:\n(.*?)\n\n", out, re.DOTALL)[1]
    assert [line.split()[0] for line in listed.splitlines()] == COMMANDS


def test_help_behind_a_word_and_in_a_program(running):
    assert running.ok("update", "c", "--memory", "1", "--help").startswith("usage:")
    # What stands behind exec's ID is the program's.
    assert "BusyBox" in running.call("exec", "c", "ls", "--help").stderr


def test_options_may_stand_behind_the_id(oci):
    oci.write("sleep", "1000")
    with open("/dev/null", "w") as null:
        subprocess.run(oci.command("create", "c", "--bundle", oci.bundle), check=True, stdin=null,
                       stdout=null, stderr=null)
    oci.ok("kill", "c", "KILL", "--all")
    oci.ok("delete", "c", "--force")
    assert not (oci.root / "c").exists()


@pytest.mark.parametrize(
    "args, message",
    [
        (["--rootless", "maybe", "list"], '--rootless: expected true, false or auto, got "maybe"'),
        (["--systemd-cgroup", "list"], "--systemd-cgroup: is not supported: there is no systemd"),
        (["start"], "usage: sampan-oci start ID"),
        (["start", "--now", "c"], "unknown option --now"),
        (["restore", "--no-pivot", "c"], "--no-pivot: is not supported: every container gets its own root"),
        (["frobnicate"], 'unknown command "frobnicate" (see --help)'),
    ],
)
def test_what_is_not_understood_is_named(args, message):
    r = subprocess.run([OCI, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert (r.returncode, r.stderr) == (1, f"sampan-oci: {message}\n")


@pytest.mark.parametrize("value", ["true", "false", "auto"])
def test_rootless_in_every_form_is_taken(oci, value):
    assert oci.ok("--rootless", value, "list", "--quiet") == ""


# ---- list, ps


def test_list_is_in_order_with_owner_and_annotations(oci):
    oci.config["annotations"] = {"key": "value"}
    for id in ("b", "a"):
        oci.linux["cgroupsPath"] += id
        oci.create("true", id=id)
    listed = json.loads(oci.ok("list", "--format", "json"))
    assert [c["id"] for c in listed] == ["a", "b"]
    assert listed[0]["owner"] == "root"
    assert listed[0]["annotations"] == {"key": "value"}
    head, first, _ = oci.ok("list").splitlines()
    assert head.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert first.split()[0] == "a" and first.split()[-1] == "root"
    os.chown(oci.root / "a", 54321, 0)
    assert json.loads(oci.ok("list", "--format", "json"))[0]["owner"] == "#54321"


def test_a_root_that_is_none_is_named(oci):
    (oci.path / "file").touch()
    r = oci.call("--root", oci.path / "file", "list")
    assert r.returncode == 1 and "Not a directory" in r.stderr
    assert oci.ok("--root", oci.path / "nowhere", "list", "--format", "json") == "[]\n"


def test_ps_prints_what_is_asked_for(running):
    pid = running.state()["pid"]
    head, row = running.ok("ps", "c").splitlines()
    assert head.split() == ["UID", "PID", "PPID", "STAT", "TTY", "TIME", "CMD"]
    assert re.fullmatch(rf"0 +{pid} +\d+ +S +\? +00:00:00 sleep 1000", row)
    assert running.ok("ps", "c", "-ef") == running.ok("ps", "c")
    assert running.ok("ps", "c", "-o", "pid,comm").split() == ["PID", "COMMAND", str(pid), "sleep"]
    assert running.ok("ps", "c", "-o", "nlwp", "-o", "ni").split() == ["NLWP", "NI", "1", str(os.nice(0))]


@pytest.mark.parametrize(
    "args, message",
    [
        (["-o", "pid,wchan"], 'ps -o: unknown column "wchan"'),
        (["aux"], 'ps: expected -ef or -o COLUMN,… behind the ID, got "aux"'),
        (["-o"], 'ps: expected -ef or -o COLUMN,… behind the ID, got "-o"'),
    ],
)
def test_ps_names_what_it_cannot_print(running, args, message):
    r = running.call("ps", "c", *args)
    assert (r.returncode, r.stderr) == (1, f"sampan-oci: {message}\n")


def test_ps_gives_a_terminal_no_orders(oci):
    oci.create("sh", "-c", "sleep 1000; echo '\033[2J'")
    oci.ok("start", "c")
    assert r"sh -c sleep 1000; echo '?[2J'" in oci.ok("ps", "c", "-o", "args")


# ---- exec, kill


def test_exec_goes_into_a_cgroup_below(running):
    below = cgroup_of(running) / "below"
    below.mkdir()
    p = subprocess.Popen(running.command("exec", "--cgroup", "below", "c", "sh", "-c", "echo up; read x"),
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "up\n"
    assert len((below / "cgroup.procs").read_text().split()) == 1
    p.communicate("\n")
    assert running.call("exec", "--cgroup", "/", "c", "true").returncode == 0


@pytest.mark.parametrize(
    "cgroup, message",
    [
        ("nowhere", "--cgroup: open nowhere below the container's cgroup: No such file or directory"),
        ("../../..", None),
        ("cpu:x", '--cgroup: "cpu:x": a path for one controller is for cgroup v1'),
    ],
)
def test_exec_leaves_its_cgroup_for_no_other(running, cgroup, message):
    r = running.call("exec", "--cgroup", cgroup, "c", "cat", "/proc/self/cgroup")
    if message:
        assert (r.returncode, r.stderr) == (1, f"sampan-oci: {message}\n")
    else:
        # ".." stays at the container's own, which its cgroup namespace shows as the root.
        assert "0::/\n" in r.stdout


def test_kill_means_the_container_when_it_shares_the_hosts_processes(oci):
    oci.linux["namespaces"] = [n for n in oci.linux["namespaces"] if n["type"] != "pid"]
    oci.create("sh", "-c", "sleep 1000 & exec sleep 1001")
    oci.ok("start", "c")
    procs = cgroup_of(oci) / "cgroup.procs"
    while len(procs.read_text().split()) < 2:
        os.sched_yield()
    watched = [os.pidfd_open(int(pid)) for pid in procs.read_text().split()]
    oci.ok("kill", "c", "KILL")
    for fd in watched:
        assert select.select([fd], [], [], SECONDS)[0], "not killed"
        os.close(fd)


@pytest.mark.parametrize("command", ["create", "exec"])
def test_a_pidfd_is_handed_over(oci, command):
    path = oci.path / "pidfd"
    with socket.socket(socket.AF_UNIX) as server:
        server.settimeout(SECONDS)
        server.bind(str(path))
        server.listen()
        if command == "create":
            oci.create("sleep", "1000", options=["--pidfd-socket", path])
            pid = oci.state()["pid"]
        else:
            oci.create("sleep", "1000")
            oci.ok("start", "c")
            subprocess.run(
                oci.command("exec", "--detach", "--pid-file", oci.path / "pid", "--pidfd-socket", path, "c",
                            "sleep", "1000"),
                check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            pid = int((oci.path / "pid").read_text())
        fd = receive_master(server)
    assert f"Pid:\t{pid}\n" in pathlib.Path(f"/proc/self/fdinfo/{fd}").read_text()
    os.close(fd)


def start_handover(oci, *command):
    """Returns (runtime, our end of the socket, number, pidfd)."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(SECONDS)
    with theirs:
        runtime = subprocess.Popen(
            oci.command("exec", "--detach", "--handover-fd", theirs.fileno(), "c", *command),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()])
    data, fds, _, _ = socket.recv_fds(ours, 4, 1)
    return runtime, ours, int.from_bytes(data, sys.byteorder), fds[0]


def test_a_process_is_the_runtimes_until_it_was_taken(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    runtime, ours, pid, pidfd = start_handover(oci, "sh", "-c", "exit 3")
    with ours:
        assert select.select([pidfd], [], [], SECONDS)[0]
        # It has ended, and its status is still there for whoever becomes its parent.
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        assert stat[0] == "Z" and int(stat[1]) == runtime.pid
        ours.send(b"x")
        assert runtime.wait(SECONDS) == 0
    os.close(pidfd)


def test_a_process_that_nobody_takes_is_killed(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    runtime, ours, pid, pidfd = start_handover(oci, "sleep", "1000")
    ours.close()
    assert runtime.wait(SECONDS) == 1
    assert select.select([pidfd], [], [], 0)[0]
    os.close(pidfd)


def test_handover_needs_a_descriptor_and_detach(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    assert "needs --detach" in oci.call("exec", "--handover-fd", "9", "c", "true").stderr
    assert "--handover-fd: 99" in oci.call("exec", "--detach", "--handover-fd", "99", "c", "true").stderr


# ---- spec, features


def test_spec_for_a_user_who_is_not_root(oci):
    bundle = oci.path / "rootless"
    bundle.mkdir()
    oci.ok("spec", "--rootless", "--bundle", bundle)
    config = json.loads((bundle / "config.json").read_text())
    types = [n["type"] for n in config["linux"]["namespaces"]]
    assert "user" in types and "network" not in types
    one = [{"containerID": 0, "hostID": os.getuid(), "size": 1}]
    assert config["linux"]["uidMappings"] == config["linux"]["gidMappings"] == one
    assert "resources" not in config["linux"]
    assert not any("gid=5" in m.get("options", []) for m in config["mounts"])
    mounts = {m["destination"]: m for m in config["mounts"]}
    assert mounts["/sys"]["source"] == "/sys" and "rbind" in mounts["/sys"]["options"]
    assert "/sys/fs/cgroup" not in mounts
    # It is one that can run.
    config["process"]["terminal"] = False
    config["root"] = {"path": str(oci.rootfs)}
    config["process"]["args"] = ["cat", "/proc/self/uid_map"]
    (bundle / "config.json").write_text(json.dumps(config))
    assert oci.ok("run", "--bundle", bundle, "c").split() == ["0", str(os.getuid()), "1"]
    r = oci.call("spec", "--bundle", bundle)
    assert r.returncode == 1 and "File exists" in r.stderr


def test_features_say_what_the_configuration_may_hold(oci):
    features = json.loads(oci.ok("features"))
    assert (features["ociVersionMin"], features["ociVersionMax"]) == ("1.0.0", "1.2.0")
    assert features["annotations"] == {"org.opencontainers.runc.checkpoint.enabled": "true"}
    assert features["potentiallyUnsafeConfigAnnotations"] == []
    linux = features["linux"]
    assert set(linux["seccomp"]["supportedFlags"]) <= set(linux["seccomp"]["knownFlags"])
    assert linux["cgroup"] == {"v1": False, "v2": True, "systemd": False, "systemdUser": False, "rdma": True}

    def taken(change):
        """Is it accepted, at least until a container is made of it?"""
        oci.write("true")
        config = json.loads((oci.bundle / "config.json").read_text())
        change(config)
        (oci.bundle / "config.json").write_text(json.dumps(config))
        r = oci.call("run", "--bundle", oci.bundle, "c")
        return not re.search("(is|are) not (supported|available)", r.stderr)

    one = [{"containerID": 0, "hostID": 1000, "size": 1}]
    bind = {"destination": "/mnt", "source": str(oci.path), "type": "bind", "options": ["bind"],
            "uidMappings": one, "gidMappings": one}
    assert linux["mountExtensions"]["idmap"]["enabled"] == taken(lambda c: c["mounts"].append(bind))
    assert linux["netDevices"]["enabled"] == taken(
        lambda c: c["linux"].update(netDevices={"no-such0": {}}))
    assert linux["intelRdt"]["enabled"] == taken(lambda c: c["linux"].update(intelRdt={"closID": "c"}))
    assert linux["selinux"]["enabled"] == taken(lambda c: c["linux"].update(mountLabel="label"))
    for name in linux["namespaces"]:
        assert name in ("mount", "pid", "network", "uts", "ipc", "user", "cgroup", "time")
