"""exec: one more process in a running container; and terminals, its and the container's."""

import json
import os
import pathlib
import pty
import socket
import subprocess

from oci_host import NEEDS, SECONDS, receive_master

pytestmark = NEEDS


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
