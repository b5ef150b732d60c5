"""sampan-oci killed at each kind of boundary: the next `delete --force` removes all that is left."""

import signal

import pytest

from boundary import Boundaries, Machine, boundaries, cases, choose, kind, reap, sample
from oci_host import NEEDS, hook, user_namespace

pytestmark = NEEDS


@pytest.fixture
def at(oci, tmp_path_factory):
    with Machine():
        oci.write("sleep", "1000")
        yield Boundaries(oci, tmp_path_factory.mktemp("boundary"))
        oci.call("delete", "--force", "c")


def warm_up(at):
    """What is made once and stays: the state's directory, mount points in the bundle, the cache."""
    at.create()
    at.ok("delete", "c")
    reap()
    return at.left()


def traced(at, case, before):
    case.prepare(at)
    calls = at.trace(*case.args)
    at.ok("delete", "--force", "c")
    reap()
    assert at.left() == before
    return calls


def killed(at, case, before, known=()):
    """Every process of the command, at the first boundary of each kind that is not one of @known."""
    for role, own in choose(traced(at, case, before), case).items():
        for call in sample(boundaries(own), known):
            case.prepare(at)
            r = at.call(*case.args, role=role, n=call.n, action="kill")
            try:
                check_killed(at, case, before, r)
            except Exception as e:
                raise AssertionError(f"killed at {r.call or call}: {e}") from e


def check_killed(at, case, before, r):
    """The caller need not wait for anything before it cleans up."""
    if r.call and r.call.role == 0:
        assert r.status == 128 + signal.SIGKILL, r
    at.ok("delete", "--force", "c")
    reap()
    left = at.left()
    assert left == before, {k: v for k, v in left.items() if v != before[k]}


@pytest.mark.parametrize("name", cases(""))
def test_killed_at_every_boundary(at, name):
    before = warm_up(at)
    killed(at, cases(at.oci.bundle)[name], before)


def test_killed_with_hooks_and_a_user_namespace(at):
    """In the stages that the plain container has not: maps, hooks on both sides, the pid file."""
    oci = at.oci
    case = cases(oci.bundle)["create"]
    plain = {kind(c) for c in traced(at, case, warm_up(at))}
    oci.config["hooks"] = {
        name: hook(oci, name, "exec cat >/dev/null\n")
        for name in ("createRuntime", "createContainer", "poststop")
    }
    user_namespace(oci)
    oci.process["oomScoreAdj"] = 100
    oci.write()
    before = warm_up(at)
    case.args[1:1] = ["--pid-file", str(at.directory / "pid")]
    killed(at, case, before, known=plain)


def test_a_dead_process_is_reported_and_leaves_nothing(at):
    """The runtime lives: it cleans up by itself when the container's process is killed."""
    before = warm_up(at)
    case = cases(at.oci.bundle)["create"]
    calls = traced(at, case, before)
    seen = 0
    talks = [c for c in choose(calls, case)[1] if c.name in ("prctl", "recvfrom", "sendto")]
    # Not the last, where the runtime's answer may be there already: then the container was made, and is stopped.
    while talks[-1].name == "recvfrom":
        talks.pop()
    for call in talks:
        r = at.call(*case.args, role=1, n=call.n, action="kill")
        assert r.call and r.status == 1, r
        assert r.error == "sampan-oci: the container's process died while being made\n"
        reap()
        assert at.left() == before
        seen += 1
    assert seen > 10
