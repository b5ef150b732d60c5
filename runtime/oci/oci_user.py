"""The bundle and calls of oci_host.py for an ordinary user."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from oci_host import OCI, SECONDS, Oci

ID = 4242
FIRST_SUBID = 300000


class UserOci(Oci):
    """As Oci, called by user 4242, with a program of his own."""

    def __init__(self, path):
        super().__init__(path)
        self.program = path / "sampan-oci"
        self.before = []  # words in front of the user's: an environment made by root
        self.between = []  # words in front of the program: one made by the user
        self.env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(path / "run")}
        shutil.copy(OCI, self.program)
        (path / "run").mkdir(mode=0o700)
        subprocess.run(["chown", "-hR", f"{ID}:{ID}", path], check=True)
        for mount in self.config["mounts"]:
            mount["options"] = [o for o in mount.get("options", []) if o != "gid=5"]
        del self.linux["resources"], self.linux["cgroupsPath"]
        self.linux["namespaces"].append({"type": "user"})
        for kind in ("uidMappings", "gidMappings"):
            self.linux[kind] = [{"containerID": 0, "hostID": ID, "size": 1}]

    def as_user(self, *words):
        return [*self.before, "setpriv", f"--reuid={ID}", f"--regid={ID}", "--clear-groups", "env", "-i",
                *(f"{k}={v}" for k, v in self.env.items()), *self.between, *map(str, words)]

    def command(self, *args):
        return self.as_user(self.program, "--root", self.root, *args)

    def without(self, *types):
        """Take namespaces away; the mounts that need them stay."""
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] not in types]

    def destroy(self):
        if self.root.exists():
            for entry in self.root.iterdir():
                if not entry.name.startswith("."):
                    subprocess.run(self.command("delete", "--force", entry.name), timeout=SECONDS)


@contextlib.contextmanager
def user_oci():
    # Not below pytest's own directory, which it closes to others again and again.
    with tempfile.TemporaryDirectory(prefix="rootless-") as path:
        o = UserOci(pathlib.Path(path))
        yield o
        o.destroy()


@contextlib.contextmanager
def root_inside(oci, subids=0):
    """The runtime runs as root in a user and mount namespace of the user's, that stays for all calls."""
    holder = subprocess.Popen(oci.as_user("unshare", "--user", "--mount", "sh", "-c", "echo; read x"),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    for file in ("setgroups", "gid_map", "uid_map"):
        text = f"0 {ID} 1" + (f"\n1 {FIRST_SUBID} {subids}" if subids else "")
        pathlib.Path(f"/proc/{holder.pid}/{file}").write_text("deny" if file == "setgroups" else text)
    oci.between = ["nsenter", f"--target={holder.pid}", "--user", "--mount", "--preserve-credentials"]
    oci.without("user")
    del oci.linux["uidMappings"], oci.linux["gidMappings"]
    yield
    oci.destroy()
    holder.communicate()


def mount_of(oci, destination):
    return next(m for m in oci.config["mounts"] if m["destination"] == destination)


def wait_for_processes(oci, n):
    end = time.monotonic() + SECONDS
    while len(json.loads(oci.ok("ps", "--format", "json", "c"))) != n:
        assert time.monotonic() < end, oci.ok("ps", "c")
