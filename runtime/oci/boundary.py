"""The runtime held, killed or failed at each of its system calls, and what is there afterwards.

guest_test_failure/boundary.c does it. Calls are counted per process, so a loop to the last one
meets every state that the runtime can leave behind."""

import ctypes
import dataclasses
import functools
import os
import pathlib
import re
import signal
import subprocess
import tempfile

from oci_host import SECONDS

SOURCE = pathlib.Path(__file__).parent / "guest_test_failure" / "boundary.c"
CLONE_NEWNS = 0x20000
MS_PRIVATE_REC = 0x44000
MS_SHARED_REC = 0x104000
PR_SET_CHILD_SUBREAPER = 36

libc = ctypes.CDLL(None, use_errno=True)


def cgroup_mount():
    for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if os.path.exists(path + "/cgroup.controllers"):
            return path
    raise AssertionError("no cgroup v2 is mounted")


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@functools.cache
def driver():
    directory = tempfile.mkdtemp(prefix="sampan-boundary-")
    subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-static", "-Wall", "-Wextra", "-Werror",
                    "-o", f"{directory}/boundary", SOURCE], check=True)
    return f"{directory}/boundary"


@functools.cache
def call_names():
    """Number to name of every system call of this machine, as the compiler's headers have them."""
    text = subprocess.run(["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    names = re.findall(r"#define __NR_(\w+) (\d+)$", text, re.MULTILINE)
    return {int(number): name for name, number in names}


def mounts():
    return pathlib.Path("/proc/self/mountinfo").read_text().splitlines()


class Machine:
    """This process as the whole machine: orphans come to it, and its mounts are nobody else's.
    They are shared, so that a container's mount that got out would show, but not with the host, whose
    other users mount what they like."""

    def __enter__(self):
        self.old = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        check(libc.unshare(CLONE_NEWNS))
        for how in (MS_PRIVATE_REC, MS_SHARED_REC):
            check(libc.mount(b"none", b"/", None, how, None))
        check(libc.prctl(PR_SET_CHILD_SUBREAPER, 1))
        Machine.mounts = set(mounts())
        return self

    def __exit__(self, *_):
        check(libc.prctl(PR_SET_CHILD_SUBREAPER, 0))
        here = os.getcwd()
        check(libc.setns(self.old, CLONE_NEWNS))
        os.close(self.old)
        os.chdir(here)


class Late(Exception):
    pass


def _late(*_):
    raise Late("still there: " + ", ".join(children()))


def kill_children():
    for pid in pathlib.Path("/proc/thread-self/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    reap()


def children():
    pids = pathlib.Path("/proc/thread-self/children").read_text().split()
    return [pathlib.Path(f"/proc/{p}/status").read_text().split("\n")[0] for p in pids]


_ended = {}  # of commands that were not waited for yet: pid and status


def reap(command=None):
    """Wait as init does: for orphans too, until @command, a Popen, has ended (None: until nobody is
    left). The pid namespace of a container lives until the last process in it was waited for."""
    before = signal.signal(signal.SIGALRM, _late)
    signal.alarm(SECONDS)
    try:
        while not command or command.pid not in _ended:
            pid, status = os.waitpid(-1, 0)
            _ended[pid] = os.waitstatus_to_exitcode(status)
        command.returncode = _ended.pop(command.pid)
        return command.returncode
    except ChildProcessError:
        _ended.clear()
        return None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@dataclasses.dataclass
class Call:
    role: int
    n: int
    name: str
    args: str
    before: str = ""  # the call before it in its process, as far as that was traced

    def __str__(self):
        return f"{self.role}:{self.n} {self.name}({self.args})"


def parse(line):
    role, n, number, args = line.split(" ", 3)
    return Call(int(role), int(n), call_names().get(int(number), number), args.strip())


@dataclasses.dataclass
class Result:
    call: Call  # None: the command ended without getting there
    status: int
    error: str


class Boundaries:
    def __init__(self, oci, directory):
        self.oci = oci
        self.directory = directory  # outside of what left() looks at
        self.report = directory / "report"
        self.parent = pathlib.Path(cgroup_mount() + os.path.dirname(oci.linux["cgroupsPath"]))
        self.parent.mkdir(exist_ok=True)

    def spawn(self, *args, role=None, n=None, action=None, **kwargs):
        prefix = [driver(), str(role), str(n), action, str(self.report)] if action else []
        self.err = open(self.directory / "err", "w+")
        kwargs.setdefault("stdout", subprocess.DEVNULL)
        return subprocess.Popen(prefix + self.oci.command(*args), stdin=subprocess.DEVNULL,
                                stderr=self.err, **kwargs)

    def call(self, *args, **kwargs):
        status = reap(self.spawn(*args, **kwargs))
        self.err.seek(0)
        text = self.err.read()
        self.err.close()
        assert status != 125, text
        lines = self.report.read_text().splitlines() if "action" in kwargs else []
        return Result(parse(lines[0]) if lines else None, status, text)

    def ok(self, *args):
        r = self.call(*args)
        assert (r.status, r.error) == (0, ""), (args, r)

    def trace(self, *args):
        r = self.call(*args, role="-", n="-", action="trace")
        assert r.status == 0, r
        calls = [parse(line) for line in self.report.read_text().splitlines()]
        last = {}
        for c in calls:
            c.before = last.get(c.role, "")
            last[c.role] = f"{c.name}({c.args})"
        return calls

    def left(self):
        """What this machine has of any container."""
        root = self.oci.root
        state = [str(p.relative_to(root)) for p in root.rglob("*")] if root.exists() else []
        return {
            # what the cache holds is nobody's container
            "state": sorted(p for p in state if not re.fullmatch(r"\.seccomp(/[0-9a-f]{16})?", p)),
            "cgroups": sorted(str(p) for p in self.parent.rglob("*") if p.is_dir()),
            # Not those that are gone: so are the mounts of others here when they remove the directory.
            "mounts": [line for line in mounts() if line not in Machine.mounts],
            "files": sorted(p.name for p in self.oci.path.iterdir() if p != root),
        }

    def processes(self):
        """How many live in cgroups of containers."""
        return sum(len(p.read_text().split()) for p in self.parent.rglob("cgroup.procs"))

    def frozen(self):
        return [p.read_text() for p in self.parent.rglob("cgroup.freeze")]

    def create(self):
        self.ok("create", "--bundle", self.oci.bundle, "c")

    def start(self):
        self.create()
        self.ok("start", "c")

    def stop(self):
        self.start()
        self.ok("kill", "c", "KILL")
        reap()

    def pause(self):
        self.start()
        self.ok("pause", "c")

    def nothing(self):
        pass


@dataclasses.dataclass
class Case:
    prepare: object  # method of Boundaries
    args: list
    removes: bool = False  # the command itself
    repeatable: bool = False  # when it has failed, and nothing is another, it finds what it found
    only_process: bool = False  # from its answer to the runtime on; the rest is create's


def cases(bundle):
    return {
        "create": Case(Boundaries.nothing, ["create", "--bundle", bundle, "c"]),
        "run": Case(Boundaries.nothing, ["run", "--detach", "--bundle", bundle, "c"],
                    only_process=True),
        "start": Case(Boundaries.create, ["start", "c"]),
        "exec": Case(Boundaries.start, ["exec", "--detach", "c", "sleep", "1000"], repeatable=True),
        "state": Case(Boundaries.start, ["state", "c"], repeatable=True),
        "kill": Case(Boundaries.start, ["kill", "c", "TERM"], repeatable=True),
        "kill-all": Case(Boundaries.start, ["kill", "--all", "c", "KILL"]),
        "pause": Case(Boundaries.start, ["pause", "c"], repeatable=True),
        "resume": Case(Boundaries.pause, ["resume", "c"], repeatable=True),
        "delete": Case(Boundaries.stop, ["delete", "c"], removes=True),
        "delete-force": Case(Boundaries.start, ["delete", "--force", "c"], removes=True),
    }


# Nothing outside of the process is another after these: killed before or behind them is the same.
QUIET = {
    "arch_prctl", "brk", "capget", "faccessat", "faccessat2", "fcntl", "fsconfig", "fsmount", "fsopen", "fstat", "fstatfs", "getcwd",
    "getpid", "getuid", "geteuid", "ioctl", "lseek", "mmap", "munmap", "newfstatat", "open_tree", "prctl",
    "read", "readlink", "readlinkat", "rt_sigaction", "rt_sigprocmask", "set_tid_address", "stat",
    "statx", "umask",
}


def boundaries(calls):
    """The calls of a process before which something may be another than before the one before."""
    return [c for i, c in enumerate(calls) if i == 0 or calls[i - 1].name not in QUIET]


# All of the loops, for `make check-failures`; otherwise each different call once.
ALL = os.environ.get("SAMPAN_FAILURES") == "all"


def kind(call):
    """What it is and the texts it is about."""
    return call.role, call.name, *[re.sub(r"\d+", "N", t) for t in re.findall(r'"[^"]*"', call.args)]


def sample(calls, known=()):
    """The first call of each kind that is not one of @known."""
    if ALL:
        return calls
    first = {}
    for c in calls:
        first.setdefault(kind(c), c)
    return [c for k, c in first.items() if k not in known]


def choose(calls, case):
    """The calls to look at, (role, n), in each process in order."""
    chosen = {}
    for role in sorted({c.role for c in calls}):
        own = [c for c in calls if c.role == role]
        if case.only_process:
            ready = [i for i, c in enumerate(own) if '"oci:ready"' in c.args]
            own = own[ready[0]:] if ready and role else []
        chosen[role] = own
    return chosen
