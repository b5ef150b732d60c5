"""sampan-oci update: what can be seen without a controller. The limits themselves: guest_test_update.sh."""

import json
import os
import subprocess

import pytest
from oci_host import NEEDS, SECONDS

pytestmark = NEEDS


@pytest.fixture
def running(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    return oci


def kept(oci):
    return json.loads((oci.root / "c" / "config.json").read_text())["linux"]["resources"]


def error(oci, *args, **kwargs):
    r = oci.call("update", *args, **kwargs)
    assert r.returncode == 1, r.stdout
    return r.stderr.removeprefix("sampan-oci: ").rstrip("\n")


FUSE = {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}
URANDOM = "/dev/urandom"
NOTHING = {"allow": False, "access": "rwm"}
READ_FUSE = {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "r"}
READ_TAPE = {"allow": True, "type": "c", "major": 9, "minor": 0, "access": "r"}
EVERYTHING = {"allow": True, "access": "rwm"}


@pytest.fixture
def with_fuse(oci):
    """A device that the first rules do not allow."""
    if not os.path.exists("/dev/fuse"):
        pytest.skip("this machine has no /dev/fuse to open")
    oci.linux["devices"] = [FUSE]
    oci.linux["resources"] = {"devices": [NOTHING]}
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    return oci


def set_rules(oci, *rules):
    oci.ok("update", "-r", "-", "c", input=json.dumps({"devices": rules}), stdin=None)


def can_open(oci, path):
    return oci.call("exec", "c", "sh", "-c", f": <{path}").returncode == 0


def test_device_rules_replace_the_filter(with_fuse):
    oci = with_fuse
    assert not can_open(oci, "/dev/fuse")
    set_rules(oci, NOTHING, READ_FUSE)
    assert can_open(oci, "/dev/fuse")
    assert kept(oci)["devices"] == [NOTHING, READ_FUSE]
    set_rules(oci, NOTHING)
    assert not can_open(oci, "/dev/fuse")
    # Rules that allow everything are no program at all, and the way back from there.
    set_rules(oci, EVERYTHING)
    assert can_open(oci, "/dev/fuse")
    set_rules(oci, NOTHING)
    assert not can_open(oci, "/dev/fuse")


def test_limits_alone_leave_the_filter(with_fuse):
    oci = with_fuse
    set_rules(oci, NOTHING, READ_FUSE)
    oci.ok("update", "-r", "-", "c", input='{"devices": [], "memory": {"limit": 0}}', stdin=None)
    assert can_open(oci, "/dev/fuse")
    assert kept(oci)["devices"] == [NOTHING, READ_FUSE]


def test_at_no_moment_is_there_no_filter_or_two(with_fuse):
    oci = with_fuse
    # The redirections are the shell's own: some thousands a second.
    script = f"""
        echo up
        while [ ! -e /stop ]; do
            {{ true </dev/fuse; }} 2>/dev/null && echo open
            {{ true <{URANDOM}; }} 2>/dev/null || echo denied
        done
        echo done"""
    p = subprocess.Popen(oci.command("exec", "c", "sh", "-c", script), stdout=subprocess.PIPE,
                         text=True)
    assert p.stdout.readline() == "up\n"
    for _ in range(60):
        set_rules(oci, NOTHING, READ_TAPE)
        set_rules(oci, NOTHING)
    (oci.rootfs / "stop").touch()
    out, _ = p.communicate(timeout=SECONDS)
    assert out == "done\n"


@pytest.mark.parametrize(
    "args, message",
    [
        (["--memory", "lots"], '--memory: expected a number of bytes, got "lots"'),
        (["--memory", "-2"], '--memory: expected a number of bytes, got "-2"'),
        (["--cpu-quota", "1k"], '--cpu-quota: expected a number, got "1k"'),
        (["--pids-limit", "9223372036854775808"],
         '--pids-limit: expected a number, got "9223372036854775808"'),
        (["--cpu-rt-period", "1"], "--cpu-rt-period: cgroup v2 has no such limit"),
        (["--l3-cache-schema", "x"], "--l3-cache-schema: is not supported: no Intel RDT"),
        (["--memory-swap", "1m"], "linux.resources.memory.swap: needs memory.limit, of which it is the sum"),
    ],
)
def test_what_cannot_be_is_named(running, args, message):
    before = kept(running)
    assert error(running, "c", *args) == message
    assert kept(running) == before


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "standard input:1:2: "),
        ("[]", "linux.resources: expected an object"),
        ('{"memory": {"limit": "1"}}', "linux.resources.memory.limit: expected an integer"),
        ('{"cpu": {"realtimePeriod": 5}}', "linux.resources.cpu.realtimeRuntime: cgroup v2 has no"),
    ],
)
def test_bad_resources_are_named(running, text, message):
    assert message in error(running, "--resources", "-", "c", input=text, stdin=None)


def test_an_unknown_key_of_resources_warns(running):
    r = running.call("update", "-r", "-", "c", input='{"memroy": {"limit": 1}}', stdin=None)
    assert r.returncode == 0, r.stderr
    assert "linux.resources.memroy: unknown key, ignored" in r.stderr


def test_a_missing_file_is_named(running):
    assert error(running, "-r", "/nowhere", "c") == (
        "--resources: open /nowhere: No such file or directory"
    )


def test_a_container_that_ended_has_nothing_to_update(running):
    running.ok("kill", "c", "KILL")
    running.wait_status("stopped")
    assert error(running, "c", "--memory", "64M") == "container c not running"
    assert error(running, "nobody", "--memory", "64M") == "container nobody does not exist"
