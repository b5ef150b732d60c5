"""Every system call of sampan-oci made to fail in turn: one line, exit status 1, nothing left."""

import errno
import re

import pytest

from boundary import Boundaries, Late, Machine, cases, choose, kill_children, reap
from oci_host import NEEDS

pytestmark = NEEDS

# What failed stands before why, or is said in words.
LINE = r"sampan-oci: [^:\n]*[a-z]{3}[^:\n]*(: [^\n]+)?\n"

ERRORS = (errno.ENOSYS, errno.EPERM, errno.ENOMEM)

# Where these wait, a signal may end the wait: it has to go on.
WAITS = {"accept4", "flock", "poll", "ppoll", "read", "recvfrom", "recvmsg", "sendmsg", "sendto",
         "wait4", "waitid", "write"}

# Where the kernel says "try again": another process has the last slot, or the queue is full.
BUSY = {"clone", "clone3", "connect", "fork", "setresuid"}

# Failures that are rightly nobody's business: what is done if they fail, by a pattern for
# "call(arguments)".
TOLERATED = [
    # the C library, before main() and around memory
    (r"arch_prctl|set_tid_address|set_robust_list", "the C library's start"),
    (r"brk", "the C library then takes memory by mmap"),
    (r"munmap", "memory is given back, or is not"),
    (r"mmap", "the C library first tries to place a guard or to grow in place"),
    (r"rt_sigaction|rt_sigprocmask", "these fail for the signals of the C library anyway"),
    # after the fact
    (r"close", "the descriptor is gone whatever it says"),
    (r"exit_group|exit", "the C library tries again until it is over"),
    (r"umask", "cannot fail"),
    (r"prctl\(15 ", "PR_SET_NAME is for ps"),
    (r"unlinkat\(\d+ \"start\"", "a left start socket answers nobody; it goes with the directory"),
    (r"flock\(\d+ 8 ", "the lock ends with the process"),
    # a second way
    (r"fcntl\(\d+ 1034 ", "no seals are no protection: the program is copied once more"),
    (r"fcntl\(\d+ [12] ", "the C library's second O_CLOEXEC, for kernels older than it"),
    (r"fstatfs\(\d+ ", "no proof of protection: the program is copied once more"),
    (r"open_tree\(\d+ \"/proc/self/exe\"", "the program is copied into memory"),
    (r"mount_setattr\(\d+ \"\" 4096 \d+ 32 ", "the program is copied into memory"),
    (r"(open|openat)\(.*\"/proc/self/exe\"", "see fcntl 1034"),
    (r"(openat|mkdirat)\(\d+ \"\.seccomp\"", "the filter is compiled again"),
    (r"(openat|read|write|renameat)\(.*\"[0-9a-f]{16}(\.part)?\"", "the filter is compiled again"),
    # of two ways the kernel has one
    (r"keyctl", "a kernel without keys has none to hide"),
]


def tolerated(call):
    return next((why for pattern, why in TOLERATED
                 if re.match(rf"({pattern})", f"{call.name}({call.args}")), None)


@pytest.fixture
def at(oci, tmp_path_factory):
    with Machine():
        oci.write("sleep", "1000")
        yield Boundaries(oci, tmp_path_factory.mktemp("boundary"))
        oci.call("delete", "--force", "c")


def errors_for(call):
    if call.name in WAITS:
        yield errno.EINTR
    if call.name in BUSY:
        yield errno.EAGAIN
    # A tolerated call is, whatever the error.
    yield from ERRORS[:1] if tolerated(call) else ERRORS


def failed_once(at, case, call, error):
    """None, or what is wrong with the way this failure was taken."""
    case.prepare(at)
    before = at.left()
    r = at.call(*case.args, role=call.role, n=call.n, action=f"fail={error}")
    left = at.left()
    where = f"{r.call} = {errno.errorcode[error]}: status {r.status}, {r.error!r}"
    try:
        at.ok("delete", "--force", "c")
        reap()
    except Late as e:
        kill_children()
        return f"{where} {e}"
    if not r.call:
        return None  # one call less than in the run that was traced
    if r.status == 0:
        fine = tolerated(r.call) or (error == errno.EINTR and r.call.name in WAITS)
        return None if fine and not r.error else where
    if tolerated(r.call) == "the C library's start":
        return None
    if r.status != 1 or not re.fullmatch(LINE, r.error):
        return where
    if error == errno.EINTR and r.call.name in ("poll", "recvfrom", "sendto", "wait4", "waitid"):
        return where + " (it has to wait on)"
    if not case.removes and left != before:
        return where + " left " + str({k: v for k, v in left.items() if v != before[k]})
    return None


@pytest.mark.parametrize("name", ["start", "kill", "kill-all", "resume"])
def test_every_call_may_fail(at, name):
    case = cases(at.oci.bundle)[name]
    at.create()
    at.ok("delete", "c")
    reap()
    case.prepare(at)
    calls = at.trace(*case.args)
    at.ok("delete", "--force", "c")
    reap()
    wrong = []
    for own in choose(calls, case).values():
        previous = None
        for call in own:
            # A row of the same tolerated calls is one.
            again = previous and previous.name == call.name and tolerated(call)
            previous = call
            for error in () if again else errors_for(call):
                wrong.append(failed_once(at, case, call, error))
    wrong = [w for w in wrong if w]
    assert not wrong, "\n" + "\n".join(wrong)


def test_a_state_that_cannot_be_read_just_now_is_not_forgotten(at):
    at.start()
    calls = at.trace("delete", "--force", "c")
    reap()
    last = [c for c in calls if c.name == "openat" and '"state.json"' in c.args][-1]
    at.start()
    r = at.call("delete", "--force", "c", role=0, n=last.n, action=f"fail={errno.ENOMEM}")
    assert r.status == 1 and "open state.json" in r.error
    assert at.oci.state()["status"] == "running"
