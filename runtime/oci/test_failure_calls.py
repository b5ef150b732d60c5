"""Every system call of sampan-oci made to fail in turn: one line, exit status 1, nothing left."""

import errno
import re

import pytest

from boundary import ALL, Boundaries, Late, Machine, cases, choose, kill_children, reap, sample
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
# "role:call(arguments)" behind the call before it.
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
    (r"umask|geteuid|getuid|getpid", "cannot fail"),
    (r"prctl\(15 ", "PR_SET_NAME is for ps"),
    (r"unlinkat\(\d+ \"start\"", "a left start socket answers nobody; it goes with the directory"),
    (r"flock\(\d+ 8 ", "the lock ends with the process"),
    # a second way
    (r"fcntl\(\d+ 1034 ", "no seals are no protection: the program is copied once more"),
    (r"fcntl\(\d+ [12] ", "the C library's second O_CLOEXEC, for kernels older than it"),
    (r"fstatfs\(\d+ ", "no proof of protection: the program is copied once more"),
    (r"open_tree\(\d+ \"/proc/self/exe\"", "the program is copied into memory"),
    (r"(open|openat)\(.*\"/proc/self/exe\"", "see fcntl 1034"),
    (r"(openat|mkdirat)\(\d+ \"\.seccomp\"", "the filter is compiled again"),
    (r"(openat|read|write|renameat)\(.*\"[0-9a-f]{16}(\.part)?\"", "the filter is compiled again"),
    (r"(lstat|mkdirat)\(.*\"/sys/fs/bpf/sampan-oci\"", "the device program is made again"),
    (r"bpf\([67] ", "the device program is made again"),
    # of two ways the kernel has one
    (r"keyctl", "a kernel without keys has none to hide"),
]

# The same behind a certain call of their process, in a certain process, or for a certain error.
TOLERATED_HERE = [
    (r"open_tree\(\d+ \"/proc/self/exe\".*", r"0:mount_setattr", ERRORS, "the program is copied into memory"),
    (r".*", r"0:capget", ERRORS, "nothing is said of capabilities that nobody has; capset refuses them"),
    (r".*", r"1:open\(\".*/rootfs\"", ERRORS, "the root is attached to another directory until it is /"),
    (r".*", r"1:open\(\"/\"", ERRORS, "HOME is / where it cannot be looked up"),
    (r".*", r"1:openat2\(\d+ \"/etc/passwd\"", ERRORS, "HOME is /"),
    (r"openat2\(\d+ \"/etc/passwd\".*", r"1:(fstat|open|openat)", ERRORS, "HOME is /"),
    (r".*", r"0:openat\(\d+ \"state.json\"", ERRORS, "`delete --force` reads the state again, under its lock"),
    (r"openat\(\d+ \"state\.json\".*|(fstat|fcntl|lseek|mmap|brk).*", r"0:(fstat|read)", ERRORS, "the same"),
    (r".*", r"\d:prlimit64", [errno.ENOSYS], "the C library then asks in the older way"),
    (r".*", r"0:open_tree\(.*/rootfs\"", [errno.EPERM], "the container's process opens its sources"),
    (r"sendto.*", r"1:recvfrom", ERRORS, "it ends when the answer is not to be read; if create has ended, start finds it stopped"),
    (r".*", r"1:accept4", ERRORS, "it ends after create has: start finds it stopped"),
    (r".*", r"0:connect", [errno.EAGAIN], "a start socket with a full queue is there"),
    (r".*", r"0:ioctl\(1 ", ERRORS, "the C library asks whether it writes to a terminal"),
    (r".*", r"1:setgroups\(0 0 ", ERRORS, "the container's user namespace may deny it; its groups come later"),
    (r".*", r"1:fstat\([012] ", ERRORS, "the container keeps what the caller gave it"),
    (r".*", r"0:readlink\(\"/proc/self/fd/[012]\"", ERRORS, "the container keeps what the caller gave it"),
    (r".*", r"1:mknodat", [errno.EPERM], "the host's node is bound"),
    (r".*", r"1:(fsopen|fsmount)", [errno.EPERM], "a user namespace has what the host has"),
]


def tolerated(call, error=errno.EPERM):
    here = f"{call.name}({call.args}"
    found = next((why for pattern, why in TOLERATED if re.match(f"({pattern})", here)), None)
    return found or next((why for before, pattern, errors, why in TOLERATED_HERE
                          if error in errors and re.fullmatch(before, call.before)
                          and re.match(pattern, f"{call.role}:{here}")), None)


@pytest.fixture
def at(oci, tmp_path_factory):
    with Machine():
        oci.write("sleep", "1000")
        yield Boundaries(oci, tmp_path_factory.mktemp("boundary"))
        oci.call("delete", "--force", "c")


def errors_for(call, turn):
    if call.name in WAITS:
        yield errno.EINTR
    if call.name in BUSY:
        yield errno.EAGAIN
    # A tolerated call is, whatever the error.
    yield from ERRORS if ALL and tolerated(call) not in {t[1] for t in TOLERATED} else [ERRORS[turn % len(ERRORS)]]


def failed_once(at, case, call, error):
    """None, or what is wrong with the way this failure was taken; and whether the container is as it was."""
    before = at.left()
    alone = at.processes()
    frozen = at.frozen()
    r = at.call(*case.args, role=call.role, n=call.n, action=f"fail={error}")
    left = at.left()
    more = at.processes() - alone
    unchanged = case.repeatable and left == before and more == 0 and at.frozen() == frozen
    where = f"{r.call} = {errno.errorcode[error]}: status {r.status}, {r.error!r}"
    if not r.call:
        return None, unchanged  # one call less than in the run that was traced
    # One run waits a call longer than another: then it was the next one that failed.
    if r.call.name != call.name:
        call = r.call
    if r.status == 0:
        fine = tolerated(call, error) or (error == errno.EINTR and r.call.name in WAITS)
        return None if fine and not r.error else where, False
    if tolerated(call) == "the C library's start":
        return None, unchanged
    if r.status != 1 or not re.fullmatch(LINE, r.error):
        return where, False
    if error == errno.EINTR and r.call.name in ("poll", "recvfrom", "sendto", "wait4", "waitid"):
        return where + " (it has to wait on)", False
    if more > 0:
        return f"{where} left {more} processes", False
    if not case.removes and left != before:
        return where + " left " + str({k: v for k, v in left.items() if v != before[k]}), False
    return None, unchanged


def cleaned(at, clean):
    """None, or what `delete --force` leaves."""
    try:
        at.ok("delete", "--force", "c")
        reap()
    except Late as e:
        kill_children()
        return str(e)
    left = at.left()
    return f"delete --force left { {k: v for k, v in left.items() if v != clean[k]} }" if left != clean else None


def failures(at, case):
    """Each call to fail and how."""
    calls = at.trace(*case.args)
    for own in choose(calls, case).values():
        previous = None
        for turn, call in enumerate(sample(own)):
            # A row of the same tolerated calls is one.
            again = previous and previous.name == call.name and tolerated(call) and not ALL
            previous = call
            for error in () if again else errors_for(call, turn):
                yield call, error


@pytest.mark.parametrize("name", cases(""))
def test_every_call_may_fail(at, name):
    case = cases(at.oci.bundle)[name]
    at.create()
    at.ok("delete", "c")
    reap()
    clean = at.left()
    case.prepare(at)
    todo = list(failures(at, case))
    assert cleaned(at, clean) is None
    wrong = []
    there = False
    for i, (call, error) in enumerate(todo):
        if not there:
            case.prepare(at)
        bad, there = failed_once(at, case, call, error)
        wrong.append(bad)
        # What changed nothing needs no cleaning, and the next one finds what it would.
        if not there or i == len(todo) - 1:
            wrong.append(cleaned(at, clean))
            there = False
            if wrong[-1]:
                wrong[-1] = f"{call} = {errno.errorcode[error]}: {wrong[-1]}"
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
