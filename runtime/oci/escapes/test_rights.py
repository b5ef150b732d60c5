"""What a container's processes may do, and what they have from the one who called the runtime.

CVE-2022-24769, CVE-2022-27650: inheritable capabilities. Also groups, keys, the caller's terminal, what an image's program
gets as a hook, and looking at the runtime while it is inside.
"""

import os
import pty
import subprocess

import pytest

from attack import (attempt, every_capability, inside_hook, must_not, share_pid_namespace,
                    usual_capabilities)
from oci_host import NEEDS, SECONDS, user_namespace

pytestmark = NEEDS

STATUS = ["grep", "-E", "^(Cap|NoNew|Seccomp:|Uid|Groups)", "/proc/self/status"]


def fields(text):
    return {line.split(":")[0]: line.split(":")[1].split() for line in text.splitlines() if ":\t" in line}


def from_caller_with_inheritable(oci, *args):
    """The caller has every inheritable capability, as an old engine's service did."""
    r = subprocess.run(["setpriv", "--inh-caps=+chown,+dac_override,+sys_admin", *oci.command(*args)],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       timeout=SECONDS, check=False)
    return r.stdout


@pytest.mark.weakened_by("inheritable-as-permitted")
@pytest.mark.parametrize("way", ["run", "exec", "exec --cap"])
def test_no_capability_is_inheritable(oci, way):
    usual_capabilities(oci)
    if way == "run":
        oci.write(*STATUS)
        seen = from_caller_with_inheritable(oci, "run", "--bundle", oci.bundle, "d")
    else:
        oci.create("sleep", "1000")
        oci.ok("start", "c")
        options = ["--cap", "CAP_CHOWN"] if "--cap" in way else []
        seen = from_caller_with_inheritable(oci, "exec", *options, "c", *STATUS)
    inheritable = fields(seen)["CapInh"]
    must_not(inheritable != ["0" * 16], f"inheritable: {inheritable}")


@pytest.mark.weakened_by("hooks-keep-rights")
@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("no_new_privs", [True, False])
def test_an_images_program_as_hook_has_no_more_rights_than_the_container(oci, no_new_privs, uid):
    usual_capabilities(oci)
    oci.process["user"] = {"uid": uid, "gid": uid}
    oci.process["noNewPrivileges"] = no_new_privs
    oci.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                            "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}]}
    (oci.rootfs / "hook").write_text(f"#!/bin/sh\n{' '.join(STATUS).replace('^(', chr(39) + '^(').replace(') ', ')' + chr(39) + ' ')} >/seen\n")
    (oci.rootfs / "hook").chmod(0o755)
    (oci.rootfs / "seen").write_text("")
    (oci.rootfs / "seen").chmod(0o666)
    inside_hook(oci, "/hook")
    program = fields(attempt(oci, *STATUS))
    hooked = fields((oci.rootfs / "seen").read_text())
    assert program["CapBnd"]
    must_not(hooked and hooked != program, f"the hook has {hooked}, the program {program}")


@pytest.mark.parametrize("way", [
    pytest.param("run", marks=pytest.mark.weakened_by("groups-kept-by-run")),
    pytest.param("exec", marks=pytest.mark.weakened_by("groups-kept-by-exec")),
])
def test_the_callers_groups_open_no_file(oci, way):
    """In a user namespace that denies setgroups(2) nobody inside can drop them."""
    user = subprocess.Popen(["unshare", "--user", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE)
    user.stdout.readline()
    for file, text in (("setgroups", "deny"), ("gid_map", "0 100000 9"), ("uid_map", "0 100000 9")):
        with open(f"/proc/{user.pid}/{file}", "w") as f:
            f.write(text)
    for path in (oci.rootfs, oci.rootfs / "bin"):
        os.chown(path, 100000, 100000)
    (oci.rootfs / "secret").write_text("for the group")
    os.chown(oci.rootfs / "secret", 0, 27)
    os.chmod(oci.rootfs / "secret", 0o040)
    oci.linux["namespaces"].append({"type": "user", "path": f"/proc/{user.pid}/ns/user"})
    groups = {"preexec_fn": lambda: os.setgroups([27])}
    try:
        if way == "run":
            seen = attempt(oci, "cat", "/secret", **groups)
        else:
            oci.create("sleep", "1000")
            oci.ok("start", "c")
            r = oci.call("exec", "c", "cat", "/secret", **groups)
            seen = r.stdout + r.stderr
        must_not("for the group" in seen, "the caller's group opened a file")
        assert "Permission denied" in seen
    finally:
        user.kill()
        user.wait()


@pytest.mark.weakened_by("keyring-kept")
@pytest.mark.parametrize("way", ["run", "exec"])
def test_the_callers_keys_are_not_the_containers(oci, programs, way):
    (oci.rootfs / "probe").write_bytes(programs["probe"].read_bytes())
    (oci.rootfs / "probe").chmod(0o755)
    find = ["/probe", "find-key", "callers"]
    oci.write(*find)
    command = oci.command("run", "--bundle", oci.bundle, "d")
    if way == "exec":
        oci.create("sleep", "1000")
        oci.ok("start", "c")
        command = oci.command("exec", "c", *find)
    seen = subprocess.run([programs["probe"], "with-key", "callers", *command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=True).stdout
    must_not(seen == "found\n", "the container has the caller's key")
    assert seen == "none\n"


@pytest.mark.weakened_by("keyring-by-name")
@pytest.mark.parametrize("way", ["run", "exec"])
def test_a_keyring_cannot_be_laid_out_for_a_container(oci, programs, way):
    """Names of keyrings are for the whole machine: one that waits under the name that the runtime will use would become
    the container's, with everything that it then keeps there open to the other."""
    (oci.rootfs / "probe").write_bytes(programs["probe"].read_bytes())
    (oci.rootfs / "probe").chmod(0o755)
    find = ["/probe", "find-key", "planted"]
    planted = None
    try:
        if way == "exec":
            oci.create("sleep", "1000", id="d")
            oci.ok("start", "d")
        planted = subprocess.Popen([programs["probe"], "plant", "_ses.d", "planted"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        assert planted.stdout.readline() == "ready\n"
        seen = attempt(oci, *find) if way == "run" else oci.ok("exec", "d", *find)
        must_not(seen == "found\n", "the container's keyring is somebody else's")
        assert seen == "none\n"
    finally:
        if planted:
            planted.communicate()


@pytest.mark.weakened_by("no-session")
def test_nothing_can_be_typed_into_the_callers_terminal(oci, programs):
    with open("/proc/sys/dev/tty/legacy_tiocsti") as allowed:
        if allowed.read().strip() == "0":
            pytest.skip("this kernel lets nobody type")
    (oci.rootfs / "probe").write_bytes(programs["probe"].read_bytes())
    (oci.rootfs / "probe").chmod(0o755)
    usual_capabilities(oci)
    oci.write("/probe", "type", "typed by the container")
    pid, master = pty.fork()
    if pid == 0:
        # The caller's session, with this as its terminal and a shell that waits for the container.
        os.execvp("sh", ["sh", "-c", '"$@"; echo ended $?', "sh", *oci.command("run", "--bundle", oci.bundle, "d")])
    seen = b""
    while b"ended" not in seen:
        seen += os.read(master, 1000)
    os.waitpid(pid, 0)
    os.close(master)
    must_not(b"ended 0" in seen, "the container typed into its caller's terminal")


# Goes through every process that is not of its own image, and through what that has open.
LOOK = """
cd /
until [ -e /go ]; do :; done
for p in /proc/[0-9]*; do
    for d in $p/fd/* $p/cwd $p/root; do cat $d/{outside}/marker $d/../{outside}/marker $d/marker; done
done >/seen 2>/dev/null
touch /looked
exec sleep 1000
"""


@pytest.mark.weakened_by("dumpable")
@pytest.mark.parametrize("way", ["exec", "run"])
def test_the_runtime_cannot_be_looked_at_while_it_is_inside(oci, programs, outside, way):
    """By a container that has every capability in its user namespace; the runtime is held still with all that it has of
    the host's."""
    user_namespace(oci)
    every_capability(oci)
    oci.create("sh", "-c", LOOK.format(outside=outside.path))
    oci.ok("start", "c")
    wait = f"touch {oci.rootfs}/go; until [ -e {oci.rootfs}/looked ]; do :; done"
    command = oci.command("exec", "c", "true")
    if way == "run":
        pid = oci.state()["pid"]
        share_pid_namespace(oci, pid)
        oci.linux["namespaces"] = [dict(n, path=f"/proc/{pid}/ns/user") if n["type"] == "user" else n
                                   for n in oci.linux["namespaces"]]
        del oci.linux["uidMappings"], oci.linux["gidMappings"]
        oci.linux["cgroupsPath"] += "-2"
        oci.write("true")
        command = oci.command("run", "--bundle", oci.bundle, "d")
    name, syscall = ("oci:exec", "setsid") if way == "exec" else ("oci:mounts", "openat2")
    subprocess.run([programs["stopat"], name, syscall, wait, *command], stdin=subprocess.DEVNULL, timeout=SECONDS,
                   check=False)
    assert (oci.rootfs / "looked").exists()
    outside.held((oci.rootfs / "seen").read_text())
