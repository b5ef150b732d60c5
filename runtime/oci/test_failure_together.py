"""Two calls of sampan-oci for one container at once: the first is held at each of its boundaries
while the second runs. One of them wins, the other says one line, and nothing is left. What is in the
state's directory is whole at every moment."""

import json
import os
import pathlib
import subprocess

import pytest

from boundary import QUIET, Boundaries, Machine, call_names, driver, reap, sample
from oci_host import NEEDS

pytestmark = NEEDS


@pytest.fixture
def at(oci, tmp_path_factory):
    with Machine():
        oci.write("sleep", "1000")
        b = Boundaries(oci, tmp_path_factory.mktemp("boundary"))
        b.create()
        b.ok("delete", "c")
        reap()
        yield b
        oci.call("delete", "--force", "c")


class Held:
    """A command that is stopped before a call of its, or before each."""

    def __init__(self, at, *args, role="-", n="-"):
        asks, self.go = os.pipe()
        self.reached, tells = os.pipe()

        def descriptors():
            os.dup2(asks, 3)
            os.dup2(tells, 4)

        self.error = open(at.directory / "held-err", "w+")
        self.process = subprocess.Popen(
            [driver(), str(role), str(n), "hold", str(at.report), *at.oci.command(*args)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.error,
            close_fds=False, preexec_fn=descriptors)
        os.close(asks)
        os.close(tells)

    def wait(self):
        """Until it is at a boundary. False: it has ended."""
        return os.read(self.reached, 1) == b"h"

    def on(self):
        os.write(self.go, b"g")

    def end(self):
        os.close(self.go)
        status = reap(self.process)
        os.close(self.reached)
        self.error.seek(0)
        text = self.error.read()
        self.error.close()
        return status, text


def wait_until_it_waits(process):
    """For somebody else's lock, an answer or the end of a process, or until it has ended. (A container
    ends when its last process was waited for, and that of an exec is only by the exec.)"""
    stat = pathlib.Path(f"/proc/{process.pid}/stat")
    call = pathlib.Path(f"/proc/{process.pid}/syscall")
    while stat.read_text().rpartition(") ")[2][0] not in "ZX":
        number, *args = call.read_text().split()
        name = call_names().get(int(number)) if number.isdecimal() else None
        if name in ("recvfrom", "poll") or (name == "flock" and args[1] == "0x2"):  # LOCK_EX, which waits
            return
        os.sched_yield()


CREATE = ["create", "--bundle", "BUNDLE", "c"]
START = ["start", "c"]
EXEC = ["exec", "--detach", "c", "sleep", "1000"]
DELETE = ["delete", "--force", "c"]

# What is prepared, the first, the second, and whether each must win whatever happens.
PAIRS = {
    "create-create": (Boundaries.nothing, CREATE, CREATE, "one"),
    "create-delete": (Boundaries.nothing, CREATE, DELETE, "second"),
    "create-kill": (Boundaries.nothing, CREATE, ["kill", "c", "KILL"], "any"),
    "start-start": (Boundaries.create, START, START, "one"),
    "start-delete": (Boundaries.create, START, DELETE, "second"),
    "exec-delete": (Boundaries.start, EXEC, DELETE, "second"),
    "delete-delete": (Boundaries.start, DELETE, DELETE, "both"),
    "delete-create": (Boundaries.start, DELETE, CREATE, "first"),
}


def together(at, pair, role, n):
    """Returns what both said: (status, error)."""
    prepare, first, second, _ = pair
    bundle = str(at.oci.bundle)
    prepare(at)
    held = Held(at, *[bundle if a == "BUNDLE" else a for a in first], role=role, n=n)
    held.wait()
    other = at.spawn(*[bundle if a == "BUNDLE" else a for a in second])
    wait_until_it_waits(other)
    one = held.end()
    status = reap(other)
    at.err.seek(0)
    two = (status, at.err.read())
    at.err.close()
    return one, two


def check_pair(at, pair, one, two):
    for status, error in (one, two):
        assert (status, error) == (0, "") or (
            status == 1 and len(error.splitlines()) == 1 and error.startswith("sampan-oci: "))
    won = (one[0] == 0, two[0] == 0)
    expected = {"one": [(True, False), (False, True)], "second": [(True, True), (False, True)],
                "first": [(True, True), (True, False)], "both": [(True, True)]}
    assert pair[3] == "any" or won in expected[pair[3]]
    if pair[2] is START:
        assert at.oci.state()["status"] == "running"
    if pair[2] is CREATE and (won[1] or pair[1] is CREATE):
        assert at.oci.state()["status"] == "created"


@pytest.mark.parametrize("name", PAIRS)
def test_two_at_once(at, name):
    pair = PAIRS[name]
    before = at.left()
    pair[0](at)
    calls = at.trace(*[str(at.oci.bundle) if a == "BUNDLE" else a for a in pair[1]])
    at.ok(*DELETE)
    reap()
    quiet = False
    for call in sample(calls):
        was_quiet, quiet = quiet, call.name in QUIET
        # The stages of the container's process change nothing that the second looks at.
        if was_quiet or call.role and call.name not in ("clone3", "execve", "sendto", "recvfrom"):
            continue
        one, two = together(at, pair, call.role, call.n)
        try:
            check_pair(at, pair, one, two)
            if two[0] == 0 and pair[2] is DELETE and one[0] == 1:
                reap()
                assert at.left() == before
            at.ok(*DELETE)
            reap()
            assert at.left() == before
        except Exception as e:
            raise AssertionError(f"held at {call}: {one} {two}: {e}") from e


def test_what_is_in_the_directory_is_whole(at):
    """At every boundary of create: a file has its last content or is not there."""
    directory = at.oci.root / "c"
    seen = {}
    held = Held(at, "create", "--bundle", at.oci.bundle, "c")
    boundaries = 0
    while held.wait():
        for path in directory.glob("*") if directory.exists() else ():
            if path.suffix != ".part" and path.is_file():
                seen.setdefault(path.name, set()).add(path.read_bytes())
        boundaries += 1
        held.on()
    assert held.end() == (0, "")
    assert boundaries > 100
    assert seen["config.json"] == {(at.oci.bundle / "config.json").read_bytes()}
    states = [json.loads(text) for text in seen["state.json"]]
    assert sorted(s["pid"] for s in states) == [0, at.oci.state()["pid"]]
    assert set(seen) <= {"config.json", "state.json", "seccomp"}
    assert all(len(v) == 1 for k, v in seen.items() if k != "state.json")
    assert not list(directory.glob("*.part"))
    at.ok(*DELETE)
