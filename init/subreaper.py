"""init as a child subreaper, for tests: started, spoken to, and looked at from outside."""

import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
INIT = Path(os.environ.get("INIT", TOP / "out/check/asan/bin/init"))
SAMPAN = Path(os.environ.get("SAMPAN", TOP / "out/check/asan/bin/sampan"))
# Generous: it is only ever reached when something is broken, or the machine is very busy.
TIMEOUT = int(os.environ.get("INIT_TEST_TIMEOUT", 180))

STATUS, START, STOP, RESTART, LOGS, SHUTDOWN, ADOPT, SUBSCRIBE, ACK, ADOPTED = range(1, 11)
KEEP_FD, GIVE_FD, DROP_FDS = range(11, 14)
OK, ERROR, END, SERVICE_INFO, LOG_DATA, EXITED, ADOPTED_INFO, FD = range(64, 72)
ID_BYTES = 72
HEADER = struct.Struct(f"=II{ID_BYTES}s")
CLD_EXITED, CLD_KILLED, EXIT_LOST = 1, 2, 255


def text(raw):
    return raw.split(b"\0")[0].decode()


def message(kind, name="", body=b"", length=None):
    size = HEADER.size + len(body) if length is None else length
    return HEADER.pack(kind, size, name.encode()) + body


class Answer:
    """One message from init: .kind, .id, .fds, and the fields of its type."""

    FIELDS = {
        ERROR: ("=iI160s", ("errnum", None, "text")),
        SERVICE_INFO: (
            "=iIQiI16s160s160s", ("pid", "restarts", "since", "exit_code", None, "state", "what", "bundle")
        ),
        LOG_DATA: ("=QII4096s", ("cursor", "len", None, "data")),
        EXITED: ("=iIiIQ", ("pid", "code", "status", None, "when")),
        ADOPTED_INFO: ("=iIiIQ", ("pid", "code", "status", None, "when")),
        FD: ("=24s", ("name",)),
    }

    def __init__(self, raw, fds=()):
        self.kind, length, name = HEADER.unpack_from(raw)
        assert length == len(raw)
        self.id, self.fds = text(name), list(fds)
        form, names = self.FIELDS.get(self.kind, ("=", ()))
        for name, value in zip(names, struct.unpack_from(form, raw, HEADER.size)):
            if name:
                is_text = isinstance(value, bytes) and name != "data"
                setattr(self, name, text(value) if is_text else value)


class Client:
    def __init__(self, run):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(str(run / "init.sock"))
        self.exits = []

    def send(self, kind, name="", body=b"", fds=()):
        self.send_raw(message(kind, name, body), fds)

    def send_raw(self, raw, fds=()):
        if fds:
            socket.send_fds(self.socket, [raw], list(fds))
        else:
            self.socket.send(raw)

    def receive(self):
        """The next message, None when init closed the connection."""
        raw, fds, _, _ = socket.recv_fds(self.socket, 8192, 4)
        return Answer(raw, fds) if raw else None

    def ask(self, *args, **more):
        """Send a request and return its answer; exits that come before it are kept in .exits."""
        self.send(*args, **more)
        while True:
            answer = self.receive()
            if answer is None or answer.kind != EXITED:
                return answer
            self.exits.append(answer)

    def next_exit(self):
        return self.exits.pop(0) if self.exits else self.receive()

    def status(self, name):
        return self.ask(STATUS, name, struct.pack("=II", 0, 0))

    def adopt(self, name, pid, fds=()):
        return self.ask(ADOPT, name, struct.pack("=iI", pid, 0), fds)

    def closed(self):
        try:
            return self.receive() is None
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()


class Init:
    """A running init. Its lines are events: wait_for(regex) waits for the next one that matches."""

    def __init__(self, services, cmdline="", oci="/nonexistent", nofile=None, drain=True, run=None):
        self.dir = Path(tempfile.mkdtemp(prefix="init-test."))
        self.run = run or self.dir / "run"
        (self.dir / "services").mkdir()
        for name, lines in services.items():
            (self.dir / "services" / name).write_text(lines)
        self.lines, self.changed = [], threading.Condition()
        self.seen = set()
        limit = ["prlimit", f"--nofile={nofile}"] if nofile else []
        command = [INIT, "--subreaper", "--services", self.dir / "services", "--run", self.run]
        command += ["--oci", oci, "--cmdline", cmdline]
        # init handles SIGSEGV and its kin itself, which the sanitizer would otherwise take
        env = dict(os.environ, ASAN_OPTIONS="handle_segv=0:handle_abort=0:handle_sigbus=0:"
                   "handle_sigill=0:handle_sigfpe=0:handle_sigtrap=0:detect_leaks=0")
        self.process = subprocess.Popen(
            limit + command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=env
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        if drain:
            self.reader.start()
            self.wait_for("^init: up")
        self.client().close()

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.lines.append("(end)")
            self.changed.notify_all()

    def output(self):
        return "\n".join(self.lines)

    def wait_for(self, pattern, timeout=TIMEOUT):
        """The match of the first line that fits and that nobody waited for yet."""
        deadline = time.monotonic() + timeout
        at = 0
        with self.changed:
            while True:
                for at in range(at, len(self.lines)):
                    found = re.search(pattern, self.lines[at])
                    if found and at not in self.seen:
                        self.seen.add(at)
                        return found
                at = len(self.lines)
                left = deadline - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    raise AssertionError(f"no line {pattern!r} in:\n{self.output()}")

    def client(self):
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                return Client(self.run)
            except (FileNotFoundError, ConnectionRefusedError):
                assert time.monotonic() < deadline, f"no init.sock:\n{self.output()}"
                select.select([], [], [], 0.01)

    def state(self, name):
        client = self.client()
        try:
            return client.status(name).state
        finally:
            client.close()

    def wait_state(self, name, state):
        deadline = time.monotonic() + TIMEOUT
        while self.state(name) != state:
            assert time.monotonic() < deadline, f"{name} is {self.state(name)}:\n{self.output()}"
            select.select([], [], [], 0.01)

    def sampan(self, *words, **more):
        env = dict(os.environ, SAMPAN_RUN_DIR=str(self.run), SAMPAN_ENGINE_SOCKET=str(self.run / "no-engine"))
        return subprocess.run([SAMPAN, *words], env=env, capture_output=True, text=True,
                              timeout=TIMEOUT, **more)

    def zombies(self):
        out = subprocess.run(["ps", "--ppid", str(self.process.pid), "-o", "stat="],
                             capture_output=True, text=True).stdout
        return [line for line in out.splitlines() if line.startswith("Z")]

    def wait(self):
        return self.process.wait(TIMEOUT)

    def descendants(self):
        parents = {}
        lines = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout
        for pid, parent in (map(int, line.split()) for line in lines.splitlines()):
            parents.setdefault(parent, []).append(pid)
        found = [self.process.pid]
        for pid in found:
            found += parents.get(pid, [])
        return found[1:]

    def close(self):
        if self.process.poll() is None:
            # stopped, so that it starts nothing while what it started is looked for
            self.process.send_signal(signal.SIGSTOP)
            while pids := self.descendants():
                for pid in pids:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                if all(self._is_zombie(pid) for pid in pids):
                    break
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir)

    @staticmethod
    def _is_zombie(pid):
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True


def shell(script, *lines):
    """A service file that runs a script."""
    return "\n".join([f"exec=/bin/sh -c '{script}'", *lines, ""])


SLEEPER = shell("echo is up; exec sleep 1000", "console=yes")


def read_log(init, name, lines):
    """The service's log, once it has that many lines."""
    client, data, cursor = init.client(), b"", 0
    while data.count(b"\n") < lines:
        answer = client.ask(LOGS, name, struct.pack("=QII", cursor, 1, 0))
        cursor, data = answer.cursor, data + answer.data[: answer.len]
    return data.decode()


def release(gate):
    """Write a line to a fifo. It stays open, so that nobody has to be there to read it yet."""
    os.write(os.open(gate, os.O_RDWR), b"go\n")


def make_orphans(start, helper, tmp_path, n, **services):
    """An init with n orphaned processes below it: (init, pids, end), end() lets them end."""
    gate = tmp_path / "orphans"
    os.mkfifo(gate)
    keep = os.open(gate, os.O_RDWR)
    # in a session of their own, because what is left of a service is killed with it
    init = start({"maker": shell(f"setsid {helper} orphans {n} 4 4<{gate} & exec sleep 1000",
                                 "console=yes"), **services})
    pids = {}
    while len(pids) < n:
        found = init.wait_for(r"^maker . (\d+) (\d+)$")
        pids[int(found[1])] = int(found[2])
    init.wait_for("^maker . all are orphans")
    return init, pids, lambda: os.close(keep)


def keep(client, name, fd_name, fds):
    return client.ask(KEEP_FD, name, struct.pack("=24s", fd_name.encode()), fds)
