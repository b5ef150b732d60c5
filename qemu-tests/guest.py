"""One machine under test: the real files booted in QEMU, watched and driven from outside.

A Guest starts QEMU through board/<name>/run.sh, reads the console in a thread, and wakes who waits
for a line of it. A guest that panics or ends early, and one that stays silent, raises GuestError
at once or at the time limit, with the last lines of its console in the message.

    with Guest("q35", directory, memory=128) as guest:
        guest.wait_for("init: ready")
        assert guest.shell("cat /proc/1/comm").output == "init"
        assert "Sampan" in guest.http(80)
        guest.powerdown()
        assert guest.wait_exit() == 0
"""

import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path

from qmp import Qmp, QmpError

TOP = Path(__file__).resolve().parent.parent

# seconds; a busy host without KVM is about ten times slower than it looks
BOOT_TIMEOUT = 180
COMMAND_TIMEOUT = 60
TAIL_LINES = 30

PANIC = r"Kernel panic - not syncing[^\n]*"
PROMPT = r"[\w.-]+:[~/][^\s#$]*[#$] "


@dataclass(frozen=True)
class Machine:
    """A board that can be booted. kernel: file name of its direct-boot kernel in out/<arch>/."""

    name: str
    board: str
    arch: str
    kernel: str = "kernel"

    @property
    def out(self):
        return TOP / "out" / self.arch

    @property
    def initramfs(self):
        return self.out / "initramfs.cpio.zst"

    @property
    def app(self):
        return self.out / "app.cpio"


MACHINES = {
    "q35": Machine("q35", "qemu-x86_64", "x86_64"),
    "microvm": Machine("microvm", "microvm", "x86_64", "vmlinux"),
    "arm64": Machine("arm64", "qemu-arm64", "arm64", "kernel.gz"),
}


class GuestError(AssertionError):
    """The guest did not do what was waited for. The message ends with the console's last lines."""


@dataclass
class Result:
    """What a command in the guest did."""

    status: int
    output: str

    def ok(self):
        """The output, if the command succeeded; otherwise the test fails with what it printed."""
        assert self.status == 0, f"exit status {self.status}: {self.output}"
        return self.output


class Console:
    """The serial console: everything that was printed, with the host's time of each piece.

    Positions are offsets into the text; `mark()` is the present end. Carriage returns are dropped.
    """

    def __init__(self, connection, log_path, start):
        self._connection = connection
        self._start = start
        self._changed = threading.Condition()
        self._text = ""
        self._times = []  # (offset of a piece, seconds since start), in order
        self._closed = False
        self._log = open(log_path, "w", encoding="utf-8")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        line, line_time = "", None
        while True:
            try:
                data = self._connection.recv(65536)
            except OSError:
                data = b""
            now = time.monotonic() - self._start
            if not data:
                break
            text = data.decode("utf-8", "replace").replace("\r", "")
            with self._changed:
                self._times.append((len(self._text), now))
                self._text += text
                self._changed.notify_all()
            for part in text.splitlines(keepends=True):
                line_time = now if line_time is None else line_time
                line += part
                if line.endswith("\n"):
                    self._log.write(f"[{line_time:9.3f}] {line}")
                    line, line_time = "", None
            self._log.flush()
        if line:
            self._log.write(f"[{line_time:9.3f}] {line}\n")
        self._log.close()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def mark(self):
        with self._changed:
            return len(self._text)

    def text(self, since=0):
        with self._changed:
            return self._text[since:]

    def tail(self, lines=TAIL_LINES):
        return "\n".join(self.text().rstrip().split("\n")[-lines:])

    def time_of(self, offset):
        """Seconds from the start of QEMU until the character at `offset` arrived."""
        with self._changed:
            return [when for begin, when in self._times if begin <= offset][-1]

    def search(self, pattern, since, timeout, stop_at_panic=True):
        """Wait for `pattern`. Returns (match or None, why it ended: match|panic|closed|timeout)."""
        pattern = re.compile(pattern, re.MULTILINE)
        panic = re.compile(PANIC)
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                match = pattern.search(self._text, since)
                if match:
                    return match, "match"
                if stop_at_panic and panic.search(self._text, since):
                    return None, "panic"
                if self._closed:
                    return None, "closed"
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return None, "timeout"

    def wait_closed(self, timeout):
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, timeout)

    def send(self, data):
        self._connection.sendall(data)

    def close(self):
        self._connection.close()


class Guest:
    """A booted machine. Use it as a context manager, or through the fixtures of conftest.py."""

    def __init__(
        self,
        machine,
        directory,
        *,
        memory=256,
        cpus=1,
        kernel=None,
        initrds=None,
        firmware=None,
        uefi_vars=None,
        disks=(),
        append="",
        shell=True,
        forward=(22, 80),
        ssh_key=None,
        extra=(),
    ):
        """Start QEMU and return; wait_for("init: ready") waits for the machine.

        machine: name in MACHINES
        directory: existing directory for console.log and qemu.log
        memory: MiB
        kernel, initrds: other files for the direct boot than those in out/<arch>/ (initrds: a
            list, joined in this order; default the initramfs and app.cpio)
        firmware: "bios" or "uefi" boots from the first disk instead; no append, no shell then
            unless the disk's own command line has them
        disks: files attached in this order (virtio); written to, so pass copies
        append: added to the kernel's command line
        shell: a root shell on the console (sampan.console=shell)
        forward: guest TCP ports reachable from the host, see host_port
        ssh_key: private key file whose .pub may log in as root
        extra: further QEMU arguments
        """
        self.machine = MACHINES[machine]
        self.directory = Path(directory)
        self.console_log = self.directory / "console.log"
        self.ssh_key = ssh_key
        self._forward = tuple(forward)
        self._host_ports = {}
        self._ssh_answered = False
        self._boot_mark = 0

        command = [TOP / "board" / self.machine.board / "run.sh"]
        command += ["--memory", memory, "--cpus", cpus]
        if firmware:
            command += ["--firmware", firmware]
        words = ["sampan.console=shell"] if shell else []
        words += [append] if append else []
        if words and not firmware:
            command += ["--append", " ".join(words)]
        if kernel:
            command += ["--kernel", kernel]
        if uefi_vars:
            command += ["--uefi-vars", uefi_vars]
        for path in initrds or ():
            command += ["--initrd", path]
        for path in disks:
            command += ["--disk", path]
        for port in self._forward:
            command += ["--forward", f"0:{port}"]
        if ssh_key:
            command += ["--ssh-key", f"{ssh_key}.pub"]
        self._launch([str(word) for word in command], [str(word) for word in extra])

    def _launch(self, command, extra):
        # a short path of its own: unix socket names are limited to 107 bytes
        with tempfile.TemporaryDirectory(prefix="sampan-") as sockets:
            listeners = {}
            for name in ("serial", "qmp"):
                path = f"{sockets}/{name}"
                listeners[name] = socket.socket(socket.AF_UNIX)
                listeners[name].bind(path)
                listeners[name].listen(1)
                command += [f"--{name}", path]
            self.command = command + ["--"] + extra
            self.start_time = time.monotonic()
            with open(self.directory / "qemu.log", "wb") as log:
                self.process = subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )
            self._pidfd = os.pidfd_open(self.process.pid)
            try:
                serial = self._accept(listeners["serial"])
                self.console = Console(serial, self.console_log, self.start_time)
                self.qmp = Qmp(self._accept(listeners["qmp"]))
            except QmpError:
                # QEMU connects before it looks at its devices
                self.process.wait(timeout=10)
                raise GuestError(f"{self.machine.name}: QEMU ended at once: {self._qemu_log()}") from None
            except BaseException:
                self.process.kill()
                self.process.wait()
                raise
            finally:
                for listener in listeners.values():
                    listener.close()
        if self._forward:
            shown = self.qmp.command(
                "human-monitor-command", **{"command-line": "info usernet"}
            )
            for line in shown.splitlines():
                if "HOST_FORWARD" in line:
                    columns = line.split()
                    self._host_ports[int(columns[5])] = int(columns[3])

    def _accept(self, listener):
        ready, _, _ = select.select([listener, self._pidfd], [], [], 60)
        if listener not in ready:
            what = "ended at once" if ready else "did not connect within 60 s"
            raise GuestError(f"{self.machine.name}: QEMU {what}: {self._qemu_log()}")
        return listener.accept()[0]

    def _qemu_log(self):
        return (self.directory / "qemu.log").read_text(errors="replace").strip()

    def fail(self, what):
        """Raise GuestError: `what`, and the end of the console."""
        raise GuestError(
            f"{self.machine.name}: {what}; the console's last {TAIL_LINES} lines"
            f" (all: {self.console_log}):\n{self.console.tail()}"
        )

    # The console

    def mark(self):
        """A position: pass it as `since` to consider only what is printed from now on."""
        return self.console.mark()

    def wait_for(self, pattern, timeout=BOOT_TIMEOUT, since=0):
        """Wait until the console shows `pattern` (a regular expression) and return the match."""
        match, why = self.console.search(pattern, since, timeout)
        if match:
            return match
        if why == "panic":
            # what follows the panic's first line is the reason
            self.console.search(r"end Kernel panic", since, 2, stop_at_panic=False)
            self.fail(f"panicked while waiting for {pattern!r}")
        if why == "closed":
            self.process.wait()
            said = self._qemu_log()
            said = f", saying {said!r}," if said else ""
            self.fail(f"ended (QEMU exit {self.process.returncode}){said} before {pattern!r}")
        self.fail(f"no {pattern!r} within {timeout} s")

    def time_of(self, match):
        """Seconds from QEMU's start until the host saw the end of `match`."""
        return self.console.time_of(match.end() - 1)

    def boot(self, timeout=BOOT_TIMEOUT, since=0):
        """Wait until all services are up; returns self. After a reboot pass the mark before it."""
        self._boot_mark = since
        self._ssh_answered = False
        self.wait_for(r"init: ready", timeout, since)
        return self

    def shell(self, command, timeout=COMMAND_TIMEOUT):
        """Run `command` in the root shell on the console. For exact or long output use ssh()."""
        self.wait_for(PROMPT, since=self._boot_mark)
        token = uuid.uuid4().hex[:12]
        since = self.mark()
        # the echo of what is typed must not look like the markers: the token is not next to < or >
        line = f"printf '\\n<%s\\n' {token}; {{ {command}\n}}; printf '\\n>%s %d\\n' {token} $?\n"
        self.console.send(line.encode())
        begin = self.wait_for(rf"^<{token}\n", timeout, since)
        end = self.wait_for(rf"\n>{token} (\d+)\n", timeout, begin.end() - 1)
        output = self.console.text(begin.end())[: max(0, end.start() - begin.end())]
        return Result(int(end[1]), output.strip("\n"))

    # The network

    def host_port(self, guest_port):
        """The port of 127.0.0.1 that leads to `guest_port`."""
        return self._host_ports[guest_port]

    def ssh_command(self, *options, key=True, user="root"):
        """The ssh command line up to the remote command; key: True, False or a private key."""
        command = ["ssh", "-F", "none", "-p", str(self.host_port(22)), "-o", "LogLevel=ERROR"]
        for option in (
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "ConnectTimeout=20",
            *options,
        ):
            command += ["-o", option]
        if key:
            command += ["-i", str(self.ssh_key if key is True else key)]
        return command + [f"{user}@127.0.0.1"]

    def ssh(self, command, timeout=COMMAND_TIMEOUT, stdin=None):
        """Run `command` by ssh with the session's key. stdin: bytes or an open file.

        The first call waits until sshd answers.
        """
        given = {"input": stdin} if stdin is None or isinstance(stdin, bytes) else {"stdin": stdin}
        if given.get("input", b"") is None:
            given = {"stdin": subprocess.DEVNULL}
        if not self._ssh_answered:
            self.wait_ssh()
        try:
            done = subprocess.run(
                self.ssh_command() + [command],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
                **given,
            )
        except subprocess.TimeoutExpired:
            self.fail(f"ssh {command!r} did not end within {timeout} s")
        return Result(done.returncode, done.stdout.decode("utf-8", "replace").rstrip("\n"))

    def wait_ssh(self, timeout=BOOT_TIMEOUT):
        """Wait until a login by ssh succeeds."""

        def login():
            done = subprocess.run(
                self.ssh_command() + ["true"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            if "Permission denied" in done.stderr:
                self.fail(f"ssh: {done.stderr.strip()}")
            return done.returncode == 0

        self._retry(login, timeout, "no ssh login")
        self._ssh_answered = True

    def http(self, guest_port=80, path="/", timeout=BOOT_TIMEOUT):
        """GET from a forwarded port; waits until it is answered. Returns the body as text."""
        url = f"http://127.0.0.1:{self.host_port(guest_port)}{path}"
        body = None

        def get():
            nonlocal body
            try:
                with urllib.request.urlopen(url, timeout=20) as response:
                    body = response.read().decode("utf-8", "replace")
            except urllib.error.HTTPError:
                raise
            except OSError:
                return False
            return True

        self._retry(get, timeout, f"no answer from port {guest_port}")
        return body

    def _retry(self, attempt, timeout, failure):
        """Repeat `attempt` until it returns true.

        QEMU accepts a connection to a forwarded port whether or not the guest listens, so there is
        nothing to wait on from outside: only trying tells. Between tries it waits on the
        process, so that a guest that ends is noticed at once.
        """
        deadline = time.monotonic() + timeout
        while not attempt():
            if time.monotonic() > deadline:
                self.fail(f"{failure} within {timeout} s")
            _, why = self.console.search(r"(?!)", self._boot_mark, 0.2)
            if why == "panic":
                self.fail(f"panicked; {failure}")
            if why == "closed":
                self.fail(f"ended; {failure}")

    # The machine

    def powerdown(self):
        """Press the ACPI power button."""
        self.qmp.command("system_powerdown")

    def reset(self):
        """Press the reset button."""
        self.qmp.command("system_reset")

    def sendkey(self, *keys):
        """Press keys together, by QEMU's names: sendkey("ctrl", "alt", "delete")."""
        self.qmp.command("send-key", keys=[{"type": "qcode", "data": key} for key in keys])

    def wait_event(self, name, timeout=60, since=0):
        """Wait for a QMP event and return its data; since: an earlier qmp.events()."""
        try:
            return self.qmp.wait_event(name, timeout, since)
        except QmpError as error:
            self.fail(str(error))

    def alive(self):
        """Whether QEMU runs and the kernel has not panicked since the last boot()."""
        return self.process.poll() is None and not re.search(
            PANIC, self.console.text(self._boot_mark)
        )

    def wait_exit(self, timeout=60):
        """Wait until QEMU ends (the guest powered off) and return its exit status."""
        if not self.console.wait_closed(timeout):
            self.fail(f"still running after {timeout} s")
        return self.process.wait(timeout=10)

    def close(self):
        """End QEMU, whatever the guest does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.console.wait_closed(10)
        self.console.close()
        self.qmp.close()
        os.close(self._pidfd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def make_ssh_key(directory):
    """A throw-away key; returns the private key's path, the public one has .pub behind it."""
    key = Path(directory) / "id_ed25519"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sampan-test", "-f", key], check=True
    )
    return key


def keep_log(guest, directory):
    """Copy a guest's logs, so that they survive the guest's own directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("console.log", "qemu.log"):
        source = guest.directory / name
        if source.exists() and source.parent != directory:
            shutil.copy(source, directory / name)
    return directory / "console.log"
