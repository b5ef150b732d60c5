"""sampan-oci on this machine: real bundles, a real kernel. Needs root; run with

    sudo SAMPAN_OCI=path/to/sampan-oci /usr/bin/python3 -m pytest runtime/oci

Limits and the device filter need a cgroup v2 machine: guest_test.sh.
"""

import json
import os
import pathlib
import pty
import signal
import socket
import subprocess

import pytest

from oci_host import NEEDS, SECONDS, leftovers, receive_master, user_namespace

pytestmark = NEEDS


# ---- life of a container


def test_create_start_state_kill_delete(oci):
    pid_file = oci.path / "pid"
    oci.create("sleep", "1000", options=["--pid-file", pid_file])
    state = oci.state()
    assert state["status"] == "created"
    assert state["pid"] == int(pid_file.read_text())
    assert state["bundle"] == str(oci.bundle)
    assert oci.call("exec", "nobody", "true").returncode == 1
    oci.ok("start", "c")
    assert oci.state()["status"] == "running"
    assert os.readlink(f"/proc/{state['pid']}/exe").endswith("/bin/busybox")
    r = oci.call("start", "c")
    assert r.returncode == 1 and "is running, not created" in r.stderr
    r = oci.call("delete", "c")
    assert r.returncode == 1 and "not stopped: running" in r.stderr
    oci.ok("kill", "c", "KILL")
    oci.wait_status("stopped")
    r = oci.call("kill", "c", "KILL")
    assert r.returncode == 1 and "not running" in r.stderr
    oci.ok("delete", "c")
    assert not (oci.root / "c").exists()
    r = oci.call("state", "c")
    assert r.returncode == 1 and r.stderr == "sampan-oci: container c does not exist\n"
    oci.ok("delete", "--force", "c")


def test_run_returns_the_exit_status(oci):
    oci.write("sh", "-c", "exit 7")
    assert oci.call("run", "--bundle", oci.bundle, "c").returncode == 7
    oci.write("sh", "-c", "kill -9 $$")
    # Process 1 of a namespace is not killed by itself.
    assert oci.call("run", "--bundle", oci.bundle, "c").returncode == 0
    oci.write("sh", "-c", "sh -c 'kill -9 $$'; exit $?")
    assert oci.call("run", "--bundle", oci.bundle, "c").returncode == 137


def test_run_in_the_foreground_forwards_signals(oci):
    oci.write("sh", "-c", "trap 'exit 42' TERM; echo up; while :; do sleep 1 & wait; done")
    p = subprocess.Popen(
        oci.command("run", "--bundle", oci.bundle, "c"), stdout=subprocess.PIPE, text=True
    )
    assert p.stdout.readline() == "up\n"
    p.send_signal(signal.SIGTERM)
    assert p.wait(SECONDS) == 42


def ignore_and_block():
    """What an engine does with signals before it calls the runtime."""
    for s in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(s, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})


def test_the_callers_signals_are_not_the_containers(oci):
    oci.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": [
        "sh", "-c", f"grep -E 'Sig(Ign|Blk)' /proc/self/status >{oci.path}/hook"]}]}
    signals = {"restore_signals": False, "preexec_fn": ignore_and_block}
    clear = ["SigBlk:\t" + "0" * 16, "SigIgn:\t" + "0" * 16]
    grep = ["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"]
    assert oci.run(*grep, **signals).splitlines() == clear
    assert (oci.path / "hook").read_text().splitlines() == clear
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    assert oci.ok("exec", "c", *grep, **signals).splitlines() == clear


def test_two_containers_cannot_have_one_id(oci):
    oci.create("sleep", "1000")
    r = oci.call("create", "--bundle", oci.bundle, "c")
    assert r.returncode == 1 and "already exists" in r.stderr
    assert oci.state()["status"] == "created"
    oci.linux["cgroupsPath"] += "-other"
    oci.write()
    r = oci.call("create", "--bundle", oci.bundle, "c")
    assert r.returncode == 1 and "already exists" in r.stderr
    assert oci.state()["status"] == "created"


def test_list_and_ps(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    listed = json.loads(oci.ok("list", "--format", "json"))
    assert [(c["id"], c["status"]) for c in listed] == [("c", "running")]
    assert oci.ok("list", "--quiet").split() == ["c"]
    assert "running" in oci.ok("list")
    if json.loads(oci.ok("ps", "--format", "json", "c")) == []:
        pytest.skip("no cgroup v2 to list processes from")
    assert json.loads(oci.ok("ps", "--format", "json", "c")) == [oci.state()["pid"]]
    assert "sleep 1000" in oci.ok("ps", "c")


def test_pause_and_resume(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    oci.ok("pause", "c")
    assert oci.state()["status"] == "paused"
    assert "paused" in oci.call("exec", "c", "true").stderr
    oci.ok("resume", "c")
    assert oci.state()["status"] == "running"
    oci.ok("pause", "c")
    oci.ok("delete", "--force", "c")


def test_a_missing_program_fails_at_create(oci):
    oci.process["args"] = ["nothing"]
    assert 'process.args[0]: exec: "nothing": executable file not found in $PATH' in oci.refused()
    oci.process["args"] = ["/bin"]
    assert "process.args[0]: exec /bin: Permission denied" in oci.refused()


def test_a_program_that_cannot_be_executed_fails_at_start(oci):
    (oci.rootfs / "bad").write_bytes(b"\x7fELF nonsense")
    (oci.rootfs / "bad").chmod(0o755)
    oci.create("/bad")
    r = oci.call("start", "c")
    assert r.returncode == 1
    assert r.stderr == "sampan-oci: process.args[0]: exec /bad: Exec format error\n"
    oci.wait_status("stopped")


# ---- exec


def test_exec_enters_everything(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    script = ("for p in self 1; do for n in /proc/$p/ns/*; do readlink $n; done; echo; done; "
              "hostname; pwd")
    own, first, rest = oci.ok("exec", "--cwd", "/bin", "c", "sh", "-c", script).split("\n\n")
    assert own == first and len(own.split()) >= 8
    assert rest.split() == ["container", "/bin"]
    r = oci.call("exec", "--user", "7:8", "--env", "A=b c", "c", "sh", "-c", "id; echo $A; exit 5")
    assert r.returncode == 5
    assert r.stdout.split("\n")[:2] == ["uid=7 gid=8", "b c"]
    r = oci.call("exec", "--user", "root", "c", "id")
    assert r.returncode == 1 and "--user: expected UID[:GID] in numbers" in r.stderr
    assert "CapEff:\t0000000000003000" not in oci.ok("exec", "c", "cat", "/proc/self/status")
    caps = oci.ok("exec", "--cap", "CAP_NET_ADMIN", "c", "grep", "CapEff", "/proc/self/status")
    assert int(caps.split()[1], 16) & 1 << 12
    r = oci.call("exec", "--cap", "CAP_NOTHING", "--cap", "CAP_NET_RAW", "c", "grep", "CapEff", "/proc/self/status")
    assert r.returncode == 0 and int(r.stdout.split()[1], 16) & 1 << 13
    assert r.stderr == 'sampan-oci: warning: process.capabilities: "CAP_NOTHING" is unknown, left out\n'
    process = dict(oci.process, args=["sh", "-c", "echo from $PPID; umask"])
    process["user"] = {"uid": 0, "gid": 0, "umask": 0o77}
    (oci.path / "p.json").write_text(json.dumps(process))
    assert oci.ok("exec", "--process", oci.path / "p.json", "c") == "from 0\n0077\n"


def test_exec_overrides_the_environment(oci):
    oci.process["env"] += ["A=first", "AB=long", "A=old"]
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    assert oci.ok("exec", "c", "env").split().count("A=old") == 1
    seen = oci.ok("exec", "--env", "A=new", "c", "env").split()
    assert [v for v in seen if v[0] == "A"] == ["AB=long", "A=new"]


def test_exec_is_as_killable_as_its_container(oci):
    oci.process["oomScoreAdj"] = 500
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    show = ["cat", "/proc/self/oom_score_adj"]
    assert oci.ok("exec", "c", *show) == "500\n"
    process = dict(oci.process, args=show)
    del process["oomScoreAdj"]
    (oci.path / "p.json").write_text(json.dumps(process))
    assert oci.ok("exec", "--process", oci.path / "p.json", "c") == "500\n"
    process["oomScoreAdj"] = 600
    (oci.path / "p.json").write_text(json.dumps(process))
    assert oci.ok("exec", "--process", oci.path / "p.json", "c") == "600\n"


def test_exec_joins_the_cgroup_however_its_path_is_written(oci):
    oci.linux["cgroupsPath"] = "/" + oci.linux["cgroupsPath"]
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    line = next(x for x in open(f"/proc/{oci.state()['pid']}/cgroup") if x.startswith("0::"))
    assert line.strip() == "0::" + oci.linux["cgroupsPath"][1:]
    assert "0::/\n" in oci.ok("exec", "c", "cat", "/proc/self/cgroup")


def test_exec_with_a_terminal(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    master, slave = pty.openpty()
    p = subprocess.Popen(
        oci.command("exec", "--tty", "c", "sh", "-c", "tty; read x; echo got $x; exit 3"),
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )
    os.close(slave)
    os.write(master, b"hello\n")
    seen = b""
    while b"got hello" not in seen:
        seen += os.read(master, 1000)
    assert b"/dev/pts/0" in seen
    assert p.wait(SECONDS) == 3
    os.close(master)


def test_a_terminal_takes_more_than_it_holds(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    size = 1 << 20
    script = f"stty raw -echo; echo ready; head -c {size}"
    p = subprocess.Popen(oci.command("exec", "--tty", "c", "sh", "-c", script),
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert p.stdout.readline().startswith(b"ready")
    try:
        out, _ = p.communicate(b"x" * size, timeout=SECONDS)
    finally:
        p.kill()
    assert out.count(b"x") == size and p.returncode == 0


def test_detached_exec_leaves_a_pid_file(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    pid_file = oci.path / "pid"
    subprocess.run(
        oci.command("exec", "--detach", "--pid-file", pid_file, "c", "sleep", "1001"),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        check=True, timeout=SECONDS,
    )
    cmdline = pathlib.Path(f"/proc/{pid_file.read_text()}/cmdline").read_text()
    assert cmdline.split("\0")[:2] == ["sleep", "1001"]


# ---- terminal


def test_console_socket_gets_the_terminal(oci):
    oci.process["terminal"] = True
    oci.process["consoleSize"] = {"height": 33, "width": 77}
    path = str(oci.path / "console")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    server.settimeout(SECONDS)
    oci.create("sh", "-c", "tty; stty size; ls -l /dev/console; sleep 1000",
               options=["--console-socket", path])
    master = receive_master(server)
    oci.ok("start", "c")
    seen = b""
    while b"console" not in seen.split(b"\n")[-2 if seen.count(b"\n") else -1]:
        seen += os.read(master, 1000)
    assert b"/dev/pts/0" in seen or b"/dev/console" in seen
    assert b"33 77" in seen
    assert b"crw--w----" in seen
    os.close(master)


def test_a_terminal_needs_somebody_to_take_it(oci):
    oci.process["terminal"] = True
    oci.write("sh")
    r = oci.call("create", "--bundle", oci.bundle, "c")
    assert r.returncode == 1 and "process.terminal: needs --console-socket" in r.stderr


# ---- isolation


def test_namespaces_are_its_own(oci):
    oci.linux["namespaces"].append({"type": "time"})
    oci.linux["timeOffsets"] = {"boottime": {"secs": 864000}}
    out = oci.sh("echo $$; hostname; for n in /proc/self/ns/*; do readlink $n; done; "
                 "ls /sys/class/net; "
                 "cut -d. -f1 /proc/uptime; cat /proc/self/cgroup | grep 0::").split()
    assert out[:2] == ["1", "container"]
    names = {o.split(":")[0]: o for o in out if ":[" in o}
    for ns in ("pid", "net", "ipc", "uts", "mnt", "cgroup", "time"):
        assert names[ns] != os.readlink(f"/proc/self/ns/{ns}")
    assert names["user"] == os.readlink("/proc/self/ns/user")
    assert "lo" in out and "eth0" not in out
    host = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    assert abs(int(out[-2]) - host - 864000) < 60
    assert out[-1] == "0::/"


def test_a_namespace_can_be_joined(oci):
    oci.create("sleep", "1000")
    pid = oci.state()["pid"]
    want = [os.readlink(f"/proc/{pid}/ns/{ns}") for ns in ("net", "ipc", "pid")]
    for n in oci.linux["namespaces"]:
        name = {"network": "net", "ipc": "ipc", "pid": "pid"}.get(n["type"])
        if name:
            n["path"] = f"/proc/{pid}/ns/{name}"
    oci.linux["cgroupsPath"] += "-2"
    got = oci.sh("for n in net ipc pid; do readlink /proc/self/ns/$n; done", id="d")
    assert got.split() == want
    oci.linux["namespaces"][0]["path"] = "/proc/self/ns/uts"
    assert "linux.namespaces: pid: /proc/self/ns/uts is not such a namespace" in oci.refused("d")


def test_user_namespace_with_maps(oci):
    user_namespace(oci)
    out = oci.sh("cat /proc/self/uid_map; id -u; touch /new; ls -ln /dev/null /dev/zero | wc -l; "
                 "echo x >/dev/null; mknod /tmpnode c 1 3 || echo no nodes")
    assert out.split()[:4] == ["0", "100000", "65536", "0"]
    assert "no nodes" in out
    assert (oci.rootfs / "new").stat().st_uid == 100000


def test_user_namespace_can_be_joined_and_entered(oci):
    user_namespace(oci)
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    pid = oci.state()["pid"]
    want = os.readlink(f"/proc/{pid}/ns/user")
    script = "readlink /proc/self/ns/user; id -u"
    assert oci.ok("exec", "c", "sh", "-c", script).split() == [want, "0"]
    for n in oci.linux["namespaces"]:
        if n["type"] in ("user", "network"):
            n["path"] = f"/proc/{pid}/ns/{'net' if n['type'] == 'network' else 'user'}"
    del oci.linux["uidMappings"], oci.linux["gidMappings"]
    oci.linux["cgroupsPath"] += "-2"
    assert oci.sh(script, id="d").split() == [want, "0"]


def test_the_callers_groups_are_not_the_containers(oci):
    # In a namespace that denies setgroups(2), where nobody inside can drop them.
    user = subprocess.Popen(["unshare", "--user", "sh", "-c", "echo; exec sleep 1000"],
                            stdout=subprocess.PIPE)
    user.stdout.readline()
    for file, text in (("setgroups", "deny"), ("gid_map", "0 100000 9"), ("uid_map", "0 100000 9")):
        pathlib.Path(f"/proc/{user.pid}/{file}").write_text(text)
    for path in (oci.rootfs, oci.rootfs / "bin"):
        os.chown(path, 100000, 100000)
    oci.linux["namespaces"].append({"type": "user", "path": f"/proc/{user.pid}/ns/user"})
    show = ["grep", "Groups", "/proc/self/status"]
    groups = {"preexec_fn": lambda: os.setgroups([4, 27])}
    try:
        assert oci.run(*show, **groups).split() == ["Groups:"]
        oci.create("sleep", "1000")
        oci.ok("start", "c")
        assert oci.ok("exec", "c", *show, **groups).split() == ["Groups:"]
    finally:
        user.kill()
        user.wait()


def test_read_only_and_masked_paths(oci):
    (oci.rootfs / "secret").write_text("x")
    (oci.rootfs / "hidden").mkdir()
    (oci.rootfs / "hidden" / "x").write_text("x")
    (oci.rootfs / "fixed").mkdir()
    oci.linux["maskedPaths"] += ["/secret", "/hidden", "/not/there"]
    oci.linux["readonlyPaths"] += ["/fixed"]
    out = oci.sh("wc -c </secret; ls /hidden | wc -l; touch /hidden/y 2>&1; touch /fixed/y 2>&1; "
                 "echo 1 2>&1 >/proc/sys/kernel/panic; touch /works && echo works")
    assert out.split("\n")[:2] == ["0", "0"]
    assert out.count("Read-only file system") >= 3
    assert "works" in out


def test_read_only_root(oci):
    oci.config["root"]["readonly"] = True
    out = oci.sh("touch /x 2>&1; echo x >/dev/shm/x && cat /dev/shm/x")
    assert "Read-only file system" in out and out.endswith("x\n")


def test_mounts_in_order_with_options(oci):
    (oci.path / "data" / "deep").mkdir(parents=True)
    (oci.path / "data" / "file").write_text("hello")
    oci.config["mounts"] += [
        {"destination": "/data", "source": str(oci.path / "data"), "type": "bind",
         "options": ["rbind", "ro", "nosuid", "rprivate"]},
        {"destination": "/data/deep", "type": "tmpfs", "source": "t",
         "options": ["size=64k", "mode=700", "noexec"]},
        {"destination": "/one/file", "source": str(oci.path / "data" / "file"),
         "options": ["bind"]},
    ]
    out = oci.sh("cat /one/file; touch /data/x 2>&1; touch /data/deep/x && echo made; "
                 "grep ' /data' /proc/mounts; ls -ld /data/deep")
    assert out.startswith("hello")
    assert "Read-only file system" in out and "made" in out
    lines = [line for line in out.splitlines() if " /data" in line and "," in line]
    assert " ro,nosuid" in lines[0]
    assert "noexec" in lines[1] and "size=64k" in lines[1]
    assert "drwx------" in out
    assert not (oci.path / "data" / "deep" / "x").exists()


def test_bad_mounts_are_named(oci):
    oci.config["mounts"].append({"destination": "/x", "type": "tmpfs", "options": ["size=lots"]})
    assert 'mounts[7].options: "size=lots": Invalid argument' in oci.refused()
    oci.config["mounts"][7] = {"destination": "/x", "source": "/not/there", "options": ["bind"]}
    assert "mounts[7].source: open /not/there: No such file or directory" in oci.refused()
    oci.config["mounts"][7] = {"destination": "/x", "type": "nofs"}
    assert "mounts[7].type: nofs: No such device" in oci.refused()


def test_device_nodes(oci):
    oci.linux["devices"] = [{"path": "/dev/deep/mine", "type": "c", "major": 1, "minor": 3,
                             "fileMode": 0o640, "uid": 3, "gid": 4}]
    out = oci.sh("cd /dev; ls -ln null zero full random urandom tty deep/mine; "
                 "for n in fd stdin ptmx; do readlink $n; done; echo x >null; "
                 "head -c 3 zero | wc -c")
    for name, numbers in (("null", "1,   3"), ("zero", "1,   5"), ("full", "1,   7"),
                          ("random", "1,   8"), ("urandom", "1,   9"), ("tty", "5,   0")):
        line = next(line for line in out.splitlines() if line.endswith(f" {name}"))
        assert line.startswith("crw-rw-rw-") and numbers in line
    line = next(line for line in out.splitlines() if line.endswith("deep/mine"))
    assert line.split()[:4] == ["crw-r-----", "1", "3", "4"]
    assert out.splitlines()[-4:] == ["/proc/self/fd", "/proc/self/fd/0", "pts/ptmx", "3"]


def test_capabilities(oci):
    caps = oci.process["capabilities"]
    caps["bounding"] = caps["permitted"] = ["CAP_KILL", "CAP_NET_BIND_SERVICE"]
    caps["inheritable"] = caps["effective"] = caps["ambient"] = ["CAP_NET_BIND_SERVICE"]
    oci.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5, 6]}
    out = oci.sh("grep -E 'Cap|NoNew|Groups' /proc/self/status")
    seen = dict(line.split(":\t") for line in out.splitlines())
    bind = f"{1 << 10:016x}"
    assert seen["CapInh"] == seen["CapEff"] == seen["CapAmb"] == seen["CapPrm"] == bind
    assert seen["CapBnd"] == f"{1 << 10 | 1 << 5:016x}"
    assert seen["NoNewPrivs"] == "1"
    assert seen["Groups"].split() == ["5", "6"]


def test_capabilities_that_cannot_be_granted_are_left_out(oci):
    caps = oci.process["capabilities"]
    for name in ("bounding", "permitted", "effective", "inheritable", "ambient"):
        caps[name] = ["CAP_KILL", "CAP_SYS_PACCT"]
    oci.write("grep", "-E", "Cap(Prm|Eff|Inh|Bnd|Amb)", "/proc/self/status")
    without = ["setpriv", "--bounding-set", "-sys_pacct", *oci.command("run", "--bundle", oci.bundle, "c")]
    r = subprocess.run(without, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=SECONDS)
    assert r.returncode == 0, r.stderr
    assert {line.split()[1] for line in r.stdout.splitlines()} == {f"{1 << 5:016x}"}
    assert "process.capabilities.bounding: CAP_SYS_PACCT cannot be granted" in r.stderr


def test_without_capabilities_there_are_none(oci):
    del oci.process["capabilities"]
    out = oci.sh("grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status")
    assert {line.split()[1] for line in out.splitlines()} == {"0" * 16}


def test_limits_umask_oom_sysctl_and_home(oci):
    oci.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88},
                              {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    oci.process["user"]["umask"] = 0o27
    oci.process["oomScoreAdj"] = 321
    oci.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"}
    (oci.rootfs / "etc").mkdir()
    (oci.rootfs / "etc" / "passwd").write_text("root:x:0:0::/my/home:/bin/sh\n")
    out = oci.sh("ulimit -Sn; ulimit -Hn; umask; cat /proc/self/oom_score_adj; "
                 "cat /proc/sys/net/ipv4/ip_forward; echo $HOME")
    assert out.split() == ["77", "88", "0027", "321", "1", "/my/home"]


def test_working_directory_is_made_and_confined(oci):
    oci.process["cwd"] = "/made/for/me"
    assert oci.run("pwd") == "/made/for/me\n"
    # CVE-2024-21626: through a descriptor of the runtime's to a directory of the host's.
    for fd in range(3, 20):
        oci.process["cwd"] = f"/proc/self/fd/{fd}"
        assert "process.cwd" in oci.refused()


def test_no_descriptor_leaks(oci):
    read, write = os.pipe()
    os.set_inheritable(write, True)
    out = oci.sh("ls /proc/self/fd", close_fds=False).split()
    os.close(read)
    os.close(write)
    assert set(out) <= {"0", "1", "2", "3"}  # 3 is ls's own


def test_preserved_descriptors(oci):
    oci.write("sh", "-c", "echo through >&3; echo also >&4")
    command = oci.command("run", "--preserve-fds", "2", "--bundle", oci.bundle, "c")
    shell = ["sh", "-c", f'exec 3>{oci.path}/f 4>{oci.path}/g; exec "$@"', "sh"]
    subprocess.run(shell + command, stdin=subprocess.DEVNULL, check=True, timeout=SECONDS)
    assert (oci.path / "g").read_text() == "also\n"
    assert (oci.path / "f").read_text() == "through\n"
    r = oci.call("run", "--preserve-fds", "40", "--bundle", oci.bundle, "c")
    assert r.returncode == 1 and "is not open" in r.stderr


# ---- seccomp


def test_a_forbidden_call_gives_its_error(oci):
    oci.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"},
                     {"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
    }
    for privileges in (True, False):
        oci.process["noNewPrivileges"] = privileges
        oci.process["capabilities"]["bounding"] = []
        oci.process["capabilities"]["effective"] = []
        oci.process["capabilities"]["permitted"] = []
        out = oci.sh("mkdir /x 2>&1; chmod 700 /bin 2>&1; grep Seccomp: /proc/self/status")
        assert "Operation not permitted" in out
        assert "No space left on device" in out
        assert out.endswith("Seccomp:\t2\n")
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    assert "Operation not permitted" in oci.call("exec", "c", "mkdir", "/x").stderr


# ---- an image that is not friendly


@pytest.mark.parametrize("where", ["/proc", "/sys"])
def test_proc_and_sys_may_not_be_symlinks(oci, where):
    (oci.rootfs / "elsewhere").mkdir()
    (oci.rootfs / where[1:]).symlink_to("/elsewhere")
    assert "must be a directory, not a symlink" in oci.refused()


def test_links_in_an_images_own_dev_are_refused(oci):
    oci.config["mounts"] = [m for m in oci.config["mounts"] if not
                            m["destination"].startswith("/dev")]
    (oci.rootfs / "dev").mkdir()
    target = oci.path / "target"
    target.write_text("safe")
    (oci.rootfs / "dev" / "null").symlink_to(target)
    assert "/dev/null: make the device: something else is there" in oci.refused()
    assert target.read_text() == "safe"
    (oci.rootfs / "dev" / "null").unlink()
    (oci.rootfs / "dev" / "null").write_text("")
    assert "/dev/null" in oci.refused()


def test_masks_use_the_hosts_null(oci):
    # CVE-2025-31133: with the image's /dev/null as mask, it is whatever the image put there.
    oci.config["mounts"] = [m for m in oci.config["mounts"] if not
                            m["destination"].startswith("/dev")]
    oci.linux["maskedPaths"] = ["/secret"]
    (oci.rootfs / "secret").write_text("x")
    out = oci.sh("ls -l /secret; wc -c </secret")
    assert "1,   3" in out and out.endswith("0\n")


def test_what_a_symlink_leads_to_is_made_for_a_mount(oci):
    (oci.rootfs / "var").mkdir()
    (oci.rootfs / "var" / "run").symlink_to("/../run")
    (oci.rootfs / "etc").mkdir()
    (oci.rootfs / "etc" / "resolv.conf").symlink_to("../run/stub/resolv.conf")
    (oci.path / "resolv").write_text("nameserver\n")
    oci.config["mounts"] += [
        {"destination": "/var/run/lock", "type": "tmpfs"},
        {"destination": "/etc/resolv.conf", "type": "bind", "source": str(oci.path / "resolv"),
         "options": ["bind"]}]
    out = oci.sh("cat /etc/resolv.conf; grep -c ' /run/lock tmpfs' /proc/mounts")
    assert out.split() == ["nameserver", "1"]
    assert (oci.rootfs / "run" / "stub" / "resolv.conf").is_file()


# ---- bad input


def test_config_errors_are_one_line(oci):
    cases = [
        (("process", "cwd"), "x", "process.cwd: expected an absolute path"),
        (("linux", "resources", "memory"), {"limit": "64M"},
         "linux.resources.memory.limit: expected an integer, got a string"),
        (("process", "selinuxLabel"), "x", "process.selinuxLabel: SELinux is not available in this kernel"),
        (("process", "apparmorProfile"), "x", "process.apparmorProfile"),
        (("root", "path"), "nowhere", "root.path: open"),
        (("ociVersion",), "2.0.0", "ociVersion: expected 1.x"),
        (("linux", "intelRdt"), {"closID": "x"}, "linux.intelRdt: is not supported"),
    ]
    oci.process["args"] = ["true"]
    good = json.dumps(oci.config)
    for path, value, message in cases:
        oci.config = json.loads(good)
        place = oci.config
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        (oci.bundle / "config.json").write_text(json.dumps(oci.config))
        r = oci.call("run", "--bundle", oci.bundle, "c")
        assert r.returncode == 1
        if path[-1] == "apparmorProfile" and os.path.exists("/proc/self/attr/apparmor/exec"):
            continue
        assert r.stderr.startswith(f"sampan-oci: {message}"), r.stderr
        assert r.stderr.count("\n") == 1


def test_unknown_keys_warn_and_run(oci):
    oci.config["somethingNew"] = {}
    oci.write("true")
    r = oci.call("run", "--bundle", oci.bundle, "c")
    assert r.returncode == 0
    assert r.stderr == "sampan-oci: warning: somethingNew: unknown key, ignored\n"


def test_the_log_is_runcs(oci):
    log = oci.path / "log"
    r = oci.call("--log", log, "--log-format", "json", "state", "none")
    assert r.returncode == 1
    record = json.loads(log.read_text())
    assert record["level"] == "error" and record["msg"] == "container none does not exist"
    assert "time" in record
    for option in ("--systemd-cgroup",):
        assert option in oci.call(option, "list").stderr
    assert "--no-pivot" in oci.call("create", "--no-pivot", "c").stderr


def test_features_are_valid_json(oci):
    features = json.loads(oci.ok("features"))
    assert features["linux"]["seccomp"]["enabled"] is True
    assert "rro" in features["mountOptions"]


def test_a_limit_without_its_controller_is_refused(oci):
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        pytest.skip("this machine has cgroup v2 controllers")
    oci.linux["resources"]["pids"] = {"limit": 10}
    oci.process["args"] = ["true"]
    assert "linux.resources.pids.limit: the cgroup has no pids.max" in oci.refused()


# ---- the waiting process


def test_a_waiting_process_that_is_stopped_keeps_nobody(oci):
    oci.create("sleep", "1000")
    oci.ok("kill", "c", "STOP")
    for _ in range(20):
        assert oci.state()["status"] == "created"
    oci.ok("delete", "c")


def test_the_waiting_process_killed(oci):
    oci.create("sleep", "1000")
    os.kill(oci.state()["pid"], signal.SIGKILL)
    oci.wait_status("stopped")
    r = oci.call("start", "c")
    assert r.returncode == 1 and "is stopped, not created" in r.stderr
    oci.ok("delete", "c")
    assert leftovers(oci) == []
