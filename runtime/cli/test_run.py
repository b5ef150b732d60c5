"""run, exec and attach: what comes out, what goes in, how it ends."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from console import Console
from harness import BUSYBOX, SLEEP, TIMEOUT, needs_docker

pytestmark = needs_docker
RUN = ["run", "--rm", "--network", "none"]


@pytest.fixture
def console(engine):
    return Console(engine)


class Terminal:
    """A person at a terminal of 30 lines and 140 columns."""

    def __init__(self, console, *words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            self.size(0, 30, 140)
            os.execve(console.link, ["docker", *words], console.env())
        self.seen = b""

    def size(self, fd, rows, columns):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text)

    def see(self, text):
        deadline = time.monotonic() + TIMEOUT
        while text not in self.seen:
            assert time.monotonic() < deadline and select.select([self.fd], [], [], TIMEOUT)[0], self.seen
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                data = b""
            assert data, (text, self.seen)
            self.seen += data
        self.seen = self.seen[self.seen.index(text) + len(text) :]

    def end(self):
        """Read to the end. Returns the exit status."""
        while True:
            try:
                if not os.read(self.fd, 4096):
                    break
            except OSError:
                break
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize("words", [
    [*RUN, "bb:1", "sh", "-c", "echo out; echo err >&2; exit 7"],
    [*RUN, "bb:1", "nosuch"], [*RUN, "--entrypoint", "echo", "bb:1", "a", "b"],
    [*RUN, "-e", "A=1", "-e", "HOME", "-w", "/tmp", "-u", "user", "bb:1", "sh", "-c", "echo $A $HOME $PWD; id -u"],
    [*RUN, "--memory", "x", "bb:1"], [*RUN, "--zz", "bb:1"], ["run"], [*RUN, "--pull", "sometimes", "bb:1"],
    [*RUN, "--pull", "never", "nope:1"], [*RUN, "-it", "bb:1", "true"],
    [*RUN, "-p", "x", "bb:1"], ["exec", "nope", "true"], ["exec"], ["attach", "nope"], ["start", "nope", "nope2"],
])
def test_the_same_output_and_exit_status(console, words):
    if "-p" in words or "sometimes" in words or "-it" in words:
        ours, theirs = console.docker(*words), console.stock(*words)
        assert ours.returncode == theirs.returncode and ours.stderr and not ours.stdout
        return
    console.same(*words)


def test_what_may_not_be_run_is_126(console):
    done = console.docker(*RUN, "bb:1", "/etc/passwd")
    assert done.returncode == 126 and 'exec: "/etc/passwd": permission denied' in done.stderr


FLAGS = [
    [], ["-i"], ["-t"], ["-d"], ["-it", "-d"], ["-e", "A=b", "--env", "NOSUCH"], ["-l", "a=b", "--label", "c"],
    ["-v", "/tmp:/x:ro", "-v", "data:/data", "-v", "/anon"], ["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700"],
    ["--mount", "type=bind,source=/tmp,target=/y,readonly"], ["--tmpfs", "/t:size=1m", "--tmpfs", "/u"],
    ["--memory", "64m", "--memory-swap", "128m", "--memory-reservation", "32m"],
    ["--restart", "on-failure:3"], ["--restart", "always"], ["--init", "--read-only"], ["--privileged"],
    ["--cap-add", "NET_ADMIN", "--cap-drop", "ALL"], ["--entrypoint", "echo"], ["--entrypoint", ""],
    ["-u", "1:2", "-w", "/tmp", "-h", "host", "--stop-signal", "INT", "--stop-timeout", "3"],
    ["--add-host", "a:1.2.3.4", "--dns", "1.1.1.1", "--dns-search", "x.y", "--dns-option", "ndots:1"],
    ["--ulimit", "core=5", "--ulimit", "nofile=10:20"], ["--shm-size", "1m", "--oom-score-adj", "5", "--sysctl", "net.ipv4.ip_forward=1"],
    ["--log-driver", "json-file", "--log-opt", "max-size=1m"], ["--security-opt", "no-new-privileges", "--ipc", "private"],
    ["--health-cmd", "true", "--health-interval", "1m", "--health-retries", "2", "--health-timeout", "3s"],
    ["--no-healthcheck"], ["--group-add", "5", "--expose", "80", "--expose", "90-91/udp", "--pid", "host", "--uts", "host"],
]


def asked(engine, console, client, words):
    """The body of the request that a client makes a container with, as the engine keeps it."""
    done = client("create" if "-d" not in words else "run", "--network", "none", *words, "bb:1", "true")
    assert done.returncode == 0, done.stderr
    told = engine.get(f"/containers/{done.stdout.strip()}/json")
    if told["Config"].get("Hostname") == told["Id"][:12]:
        del told["Config"]["Hostname"]
    told["HostConfig"]["Binds"] = sorted(told["HostConfig"]["Binds"] or [])  # docker's client has no order
    return told["Config"], told["HostConfig"], sorted(one["Destination"] for one in told["Mounts"])


@pytest.mark.parametrize("words", FLAGS)
def test_a_container_is_made_as_by_dockers_client(engine, console, words):
    ours = asked(engine, console, console.docker, words)
    theirs = asked(engine, console, console.stock, words)
    assert ours == theirs


def test_input_goes_in_and_output_comes_out(console):
    text = "".join(f"line {i}\n" for i in range(60000))  # more than any pipe holds
    done = console.docker(*RUN, "-i", "bb:1", "cat", stdin=text)
    assert (done.returncode, done.stdout == text, done.stderr) == (0, True, "")


def test_exec_has_input_environment_user_and_exit_status(engine, console):
    engine.start(*SLEEP, name="one")
    done = console.docker("exec", "-i", "-e", "A=1", "-u", "user", "-w", "/tmp", "one",
                          "sh", "-c", "cat; echo $A $PWD; id -u; echo err >&2; exit 9", stdin="in\n")
    assert (done.returncode, done.stdout, done.stderr) == (9, "in\n1 /tmp\n1000\n", "err\n")
    assert console.docker("exec", "-d", "one", "touch", "/there").stdout == ""
    console.same("exec", "one", "nosuch")
    console.same("exec", "one", "sh", "-c", "exit 3")


def test_detached_prints_the_id(engine, console):
    done = console.docker("run", "-d", "--network", "none", "--name", "one", "bb:1", "sleep", "1000")
    assert done.stdout.strip() == engine.get("/containers/one/json")["Id"]
    assert engine.state("one")["Running"]


def test_an_id_file_is_written_once(engine, console):
    file = engine.dir / "cid"
    done = console.docker("create", "--cidfile", str(file), "--network", "none", "bb:1")
    assert file.read_text() == done.stdout.strip()
    again = console.docker("create", "--cidfile", str(file), "--network", "none", "bb:1")
    assert again.returncode == 1 and "File exists" in again.stderr
    file.unlink()


def test_a_signal_goes_to_the_container(console):
    run = subprocess.Popen([console.link, *RUN, "bb:1", "sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done"],
                           stdout=subprocess.PIPE, env=console.env())
    assert run.stdout.readline() == b"up\n"
    run.send_signal(signal.SIGTERM)
    assert run.wait(TIMEOUT) == 5
    run.stdout.close()


def test_a_terminal_is_raw_and_has_the_users_size(console):
    me = Terminal(console, *RUN, "-it", "bb:1", "sh", "-c",
                  "tty; while read line; do echo \"got $line\"; done; exit 4")
    me.see(b"/dev/pts/0\r\n")
    me.type(b"one\r")
    me.see(b"one\r\ngot one\r\n")  # echoed once: by the container's terminal, not by ours
    me.type(b"\x04")
    assert me.end() == 4


def test_the_programs_terminal_is_as_large_as_the_users(engine, console):
    me = Terminal(console, "run", "--rm", "--network", "none", "-it", "-v", f"{BUSYBOX}:/busybox", "bb:1", "sh", "-c",
                  "trap '/busybox stty size' WINCH; while :; do /busybox stty size; sleep 0.1; done")
    me.see(b"30 140\r\n")
    me.size(me.fd, 20, 70)
    me.see(b"20 70\r\n")
    me.type(b"\x03")
    assert me.end() == 130


def test_the_keys_let_go_and_attach_comes_back(engine, console):
    me = Terminal(console, "run", "--network", "none", "-it", "--name", "one", "bb:1", "sh", "-c",
                  "while read line; do echo \"got $line\"; done")
    me.type(b"a\x10b\r")  # ctrl-p alone is input
    me.see(b"got a\x10b\r\n")
    me.type(b"\x10\x11")
    assert me.end() == 0
    assert engine.state("one")["Running"]
    me = Terminal(console, "attach", "one")
    me.type(b"again\r")
    me.see(b"got again\r\n")
    me.type(b"\x10\x11")
    me.see(b"read escape sequence")
    assert me.end() == 1
    me = Terminal(console, "attach", "--detach-keys", "ctrl-x", "one")
    me.type(b"x\r")
    me.see(b"got x\r\n")
    me.type(b"\x18")
    assert me.end() == 1


def test_exec_on_a_terminal(engine, console):
    engine.start(*SLEEP, name="one")
    me = Terminal(console, "exec", "-it", "one", "sh", "-c", "tty; read line; exit 6")
    me.see(b"/dev/pts/")
    me.type(b"\r")
    assert me.end() == 6


def test_start_attached(engine, console):
    console.docker("create", "--network", "none", "--name", "one", "bb:1", "sh", "-c", "echo hello; exit 2")
    done = console.same("start", "-a", "one")
    assert (done.returncode, done.stdout) == (2, "hello\n")


def test_load(engine, console):
    import harness
    file = engine.dir / "image.tar"
    file.write_bytes(harness.image("other:2"))
    done = console.same("load", "-i", str(file))
    assert done.stdout == "Loaded image: other:2\n"
    assert console.docker("load", "-i", "/nowhere").stderr == "open /nowhere: No such file or directory\n"
    file.write_bytes(b"nonsense" * 1000)
    assert console.docker("load", "-i", str(file)).returncode == 1
    file.unlink()
    console.docker("rmi", "other:2")
