"""The stock docker client from Debian, connected to a guest by ssh, as a user would be.

    docker = Docker(guest, directory)
    docker("run", "--rm", "bb", "echo", "hi").ok()
    docker("load", stdin=archive).ok()
    docker("compose", "up", "-d", cwd=folder).ok()

The client and its compose plugin come from rootfs/sources.lock; the machine's own docker, if it has
one, is not used. All commands share one ssh connection, because a handshake costs an emulated
processor more than most commands do.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from guest import COMMAND_TIMEOUT, TOP, Result

sys.path.insert(0, str(TOP / "build"))

import sources  # noqa: E402

KIND = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
PACKAGES = ("docker-cli", "docker-compose")
PLUGINS = "usr/libexec/docker/cli-plugins"


def client():
    """The folder of the unpacked client: usr/bin/docker and its plugins."""
    sources.fetch_guarded(list(PACKAGES))
    debs = [sources.files_of(name, KIND)[1][0] for name in PACKAGES]
    key = hashlib.sha256("\n".join(debs).encode()).hexdigest()[:16]
    folder = Path(sources.CACHE) / "docker-client" / key
    if not folder.exists():
        made = folder.with_name(f"{key}.{os.getpid()}")
        made.mkdir(parents=True)
        for deb in debs:
            subprocess.run(["dpkg-deb", "-x", deb, made], check=True)
        try:
            made.rename(folder)
        except OSError:  # another test was faster
            subprocess.run(["rm", "-rf", made], check=True)
    return folder


class Docker:
    """docker(ARGUMENT...) runs the client; directory: for its configuration and the ssh connection."""

    def __init__(self, guest, directory):
        self.folder, self.directory = client(), Path(directory)
        plugins = self.directory / "config/cli-plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        link = plugins / "docker-compose"
        if not link.exists():
            link.symlink_to(self.folder / PLUGINS / "docker-compose")
        # sun_path is short, a test's directory may be long
        self.control = Path(f"/tmp/sampan-ssh-{os.getpid()}-{id(self)}")
        options = ["ControlMaster=auto", f"ControlPath={self.control}", "ControlPersist=60"]
        words = guest.ssh_command(*options)[:-1]
        programs = self.directory / "bin"
        programs.mkdir(exist_ok=True)
        # docker's own words come behind: the user, the port and the host of the URL
        (programs / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/{" ".join(words)} "$@"\n')
        (programs / "ssh").chmod(0o755)
        guest.wait_ssh()
        self.environment = {
            "PATH": f"{programs}:{self.folder}/usr/bin:/usr/bin:/bin",
            "HOME": str(self.directory),
            "DOCKER_CONFIG": str(self.directory / "config"),
            "DOCKER_HOST": f"ssh://root@127.0.0.1:{guest.host_port(22)}",
        }
        self.guest = guest

    def __call__(self, *arguments, stdin=None, timeout=COMMAND_TIMEOUT, cwd=None):
        """stdin: bytes. Returns what it printed (both streams) and its exit status."""
        given = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
        try:
            done = subprocess.run(
                ["docker", *map(str, arguments)],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=self.environment, timeout=timeout, check=False, cwd=cwd, **given,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            self.guest.fail(f"docker {' '.join(map(str, arguments))}: no end within {timeout} s: {error.stdout}")
        return Result(done.returncode, done.stdout.decode("utf-8", "replace").rstrip("\n"))

    def popen(self, *arguments):
        """A client whose lines are read as they come; for the caller to end."""
        return subprocess.Popen(
            ["docker", *map(str, arguments)], env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def close(self):
        subprocess.run(
            ["/usr/bin/ssh", "-o", f"ControlPath={self.control}", "-O", "exit", "guest"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
