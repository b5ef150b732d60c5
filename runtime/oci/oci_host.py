"""What the tests of sampan-oci on this machine share: a bundle, its state and the calls."""

import array
import functools
import json
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
ARCH = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
OCI = os.environ.get("SAMPAN_OCI", str(TOP / "out" / ARCH / "bin" / "sampan-oci"))
BUSYBOX = "/bin/busybox"
SECONDS = 20
# What containers of the tests run: links to all of BusyBox take longer to make than a container.
APPLETS = """[ cat chmod chown chroot cp cut dd dirname du echo env false find grep head hostname id ionice ip kill ln ls mkdir
    mkfifo mknod mktemp mount mv nsenter od ps pwd readlink rm rmdir sed setpriv setsid sh sleep sort stat stty tail test
    timeout touch tr true truncate tty umount uname unlink unshare uptime wc which""".split()


def root_is_a_mount():
    """Not so in a plain chroot, where the kernel lets nobody pivot_root."""
    mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4] == "/" for line in mounts)


# A test file says: pytestmark = NEEDS
NEEDS = [
    pytest.mark.skipif(not root_is_a_mount(), reason="in a chroot no container can be made"),
    pytest.mark.skipif(os.geteuid() != 0, reason="making containers needs root"),
    pytest.mark.skipif(not os.access(OCI, os.X_OK), reason=f"{OCI} is not built"),
    pytest.mark.skipif(
        not os.access(BUSYBOX, os.X_OK), reason="the package busybox-static is not installed"
    ),
]


@functools.cache
def default_config():
    """What `spec` writes, as text."""
    with tempfile.TemporaryDirectory() as bundle:
        subprocess.run([OCI, "spec", "--bundle", bundle], check=True)
        return (pathlib.Path(bundle) / "config.json").read_text()


class Oci:
    """One state directory and one bundle; every container in it is removed at the end."""

    def __init__(self, path):
        self.path = path
        self.root = path / "state"
        self.bundle = path / "bundle"
        self.rootfs = self.bundle / "rootfs"
        programs = self.rootfs / "bin"
        programs.mkdir(parents=True)
        os.chmod(path, 0o755)
        shutil.copy(BUSYBOX, programs / "busybox")
        for name in APPLETS:
            os.symlink("busybox", f"{programs}/{name}")
        (self.bundle / "config.json").write_text(default_config())
        self.config = json.loads(default_config())
        self.config["process"]["terminal"] = False
        self.config["root"]["readonly"] = False
        self.config["linux"]["cgroupsPath"] = f"/sampan-test-{os.getpid()}/{path.name}"
        # A host on cgroup version 1 cannot limit; the default asks for nothing but devices.
        self.process = self.config["process"]
        self.linux = self.config["linux"]

    def command(self, *args):
        return [OCI, "--root", str(self.root), *map(str, args)]

    def write(self, *args):
        if args:
            self.process["args"] = list(args)
        (self.bundle / "config.json").write_text(json.dumps(self.config))

    def call(self, *args, **kwargs):
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("timeout", SECONDS)
        return subprocess.run(
            self.command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs
        )

    def ok(self, *args, **kwargs):
        r = self.call(*args, **kwargs)
        assert r.returncode == 0, r.stderr
        return r.stdout

    def run(self, *args, id="c", **kwargs):
        """Run a program in a new container and return what it printed."""
        self.write(*args)
        return self.ok("run", "--bundle", self.bundle, id, **kwargs)

    def sh(self, script, **kwargs):
        return self.run("sh", "-c", script, **kwargs)

    def refused(self, id="c", **kwargs):
        """Run it and return the one error line."""
        self.write()
        r = self.call("run", "--bundle", self.bundle, id, **kwargs)
        assert r.returncode == 1, r.stdout
        lines = r.stderr.strip().splitlines()
        assert len(lines) == 1, r.stderr
        assert not (self.root / id).exists()
        return lines[0]

    def create(self, *args, id="c", options=(), stdout=subprocess.DEVNULL):
        self.write(*args)
        # Not a pipe of ours: the container keeps it, and waiting for its end would wait for it.
        with open(self.path / "err", "w+") as err:
            r = subprocess.run(
                self.command("create", "--bundle", self.bundle, *options, id),
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=err, timeout=SECONDS,
            )
            err.seek(0)
            assert r.returncode == 0, err.read()

    def state(self, id="c"):
        return json.loads(self.ok("state", id))

    def wait_status(self, status, id="c"):
        end = time.monotonic() + SECONDS
        while self.state(id)["status"] != status:
            assert time.monotonic() < end, self.state(id)
            os.sched_yield()

    def wait_until(self, true):
        end = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < end
            os.sched_yield()

    def destroy(self):
        if self.root.exists():
            for entry in self.root.iterdir():
                if not entry.name.startswith("."):
                    subprocess.run(self.command("delete", "--force", entry.name), timeout=SECONDS)
        for mount in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
            try:
                os.rmdir(mount + os.path.dirname(self.linux["cgroupsPath"]))
            except OSError:
                pass  # not where this machine has cgroup v2, or still another test's


def user_namespace(oci):
    oci.linux["namespaces"].append({"type": "user"})
    for kind in ("uidMappings", "gidMappings"):
        oci.linux[kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    # A new mount namespace in it may not mount what it does not own: sysfs needs the network.
    os.chown(oci.rootfs, 100000, 100000)
    for path in (oci.path, *oci.path.parents):
        if path.stat().st_mode & 0o001 == 0 and path.is_relative_to("/tmp"):
            os.chmod(path, 0o711)


def hook(oci, name, script, **more):
    path = oci.path / f"hook-{name}"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return [{"path": str(path), "args": [name, "argument"], "env": ["WHO=me"], **more}]


def receive_master(server):
    connection, _ = server.accept()
    fds = array.array("i")
    _, control, _, _ = connection.recvmsg(64, socket.CMSG_LEN(fds.itemsize))
    fds.frombytes(control[0][2])
    return fds[0]


def leftovers(oci):
    name = oci.linux["cgroupsPath"].rsplit("/", 1)[1]
    found = subprocess.run(["find", "/sys/fs/cgroup", "-type", "d", "-name", name],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return found.split()
