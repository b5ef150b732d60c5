"""What the attacks share. A test makes its attack and asks the world, not the runtime, whether it worked: only then it
raises Escaped, and only that counts as a success when weaken.py runs it against a weakened build."""

import pathlib
import subprocess

from oci_host import SECONDS

HERE = pathlib.Path(__file__).resolve().parent
MARK = "this is the host's"


class Escaped(AssertionError):
    """The attack worked."""


def must_not(happened, what):
    if happened:
        raise Escaped(what)


class Programs:
    """programs/NAME.c, compiled static, so that they run inside a container too."""

    def __init__(self, path):
        self.path = path

    def __getitem__(self, name):
        target = self.path / name
        if not target.exists():
            subprocess.run(["gcc", "-static", "-O1", "-o", target, HERE / "programs" / f"{name}.c"], check=True)
        return target


class Outside:
    """A directory of the host's that no container may see or change; `held` raises when one did."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        (path / "marker").write_text(MARK)

    def held(self, *seen):
        must_not(any(MARK in text for text in seen), "a file of the host's was read")
        entries = sorted(p.name for p in self.path.iterdir())
        must_not(entries != ["marker"], f"the host's directory has {entries}")
        must_not((self.path / "marker").read_text() != MARK, "a file of the host's was written")


def every_capability(oci):
    names = [f"CAP_{n}" for n in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
        "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
        "SYS_ADMIN SYS_BOOT SYS_NICE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
        "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE").split()]
    oci.process["capabilities"] = {k: names for k in ("bounding", "permitted", "effective")}


def usual_capabilities(oci):
    """The fourteen that engines give by default. Source: moby, oci/caps/defaults.go."""
    names = [f"CAP_{n}" for n in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
        "AUDIT_WRITE").split()]
    oci.process["capabilities"] = {k: names for k in ("bounding", "permitted", "effective")}


def without_dev(oci):
    """/dev is the image's own, as in a bundle that mounts nothing there."""
    oci.config["mounts"] = [m for m in oci.config["mounts"] if not m["destination"].startswith("/dev")]
    dev = oci.rootfs / "dev"
    dev.mkdir()
    return dev


def share_pid_namespace(oci, pid):
    for n in oci.linux["namespaces"]:
        if n["type"] == "pid":
            n["path"] = f"/proc/{pid}/ns/pid"


def inside_hook(oci, name, *args):
    """A startContainer hook: a program of the image's, which the runtime starts."""
    oci.config["hooks"] = {"startContainer": [{"path": name, "args": [name, *args], "env": ["PATH=/bin"]}]}


def attempt(oci, *args, id="d", **kwargs):
    """Run it; whether the runtime refuses is its own business. Returns what was printed."""
    oci.write(*args)
    r = oci.call("run", "--bundle", oci.bundle, id, **kwargs)
    oci.call("delete", "--force", id)
    return r.stdout + r.stderr


def attempt_under(oci, prefix, *args, id="d"):
    """The same, called by the command @prefix."""
    oci.write(*args)
    r = subprocess.run([*prefix, *oci.command("run", "--bundle", oci.bundle, id)], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False)
    oci.call("delete", "--force", id)
    return r.stdout
