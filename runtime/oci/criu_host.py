"""What the tests of checkpoint and restore share: a stand-in for CRIU, and what it is made to say."""

import json
import os
import pathlib
import subprocess
import sys

from oci_host import SECONDS

DUMP, RESTORE, PRE_DUMP, NOTIFY = 1, 2, 4, 6
SOFT, DEFAULT = 3, 6
CLONE_NEWNET = 0x40000000
DONE = {"type": DUMP, "success": True}
SLEEP = ["sleep", "1000"]
RESTORED = [
    {"start": SLEEP},
    {"type": NOTIFY, "success": True, "notify": {"script": "setup-namespaces", "pid": "started"}},
    {"type": NOTIFY, "success": True, "notify": {"script": "post-restore", "pid": "started"}},
    {"type": NOTIFY, "success": True, "notify": {"script": "network-unlock"}},
    {"type": RESTORE, "success": True, "restore": {"pid": "started"}},
]


class Criu:
    """A directory with a program "criu" that stands in for CRIU, and what it was asked."""

    def __init__(self, oci):
        self.oci = oci
        self.folder = oci.path / "criu"
        self.images = oci.path / "images"
        self.script = self.folder / "script"
        self.folder.mkdir()
        program = self.folder / "criu"
        program.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S {pathlib.Path(__file__).parent}/criu_stand_in.py \"$@\"\n")
        program.chmod(0o755)
        self.answer()

    def answer(self, *answers, **more):
        self.script.write_text(json.dumps({"version": [3, 17, 1], "answers": list(answers), **more}))
        pathlib.Path(f"{self.script}.requests").unlink(missing_ok=True)

    def requests(self):
        path = pathlib.Path(f"{self.script}.requests")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def env(self):
        return {**os.environ, "PATH": f"{self.folder}:/usr/bin:/bin", "CRIU_SCRIPT": str(self.script)}

    def call(self, *words):
        return self.oci.call(*words, env=self.env())

    def checkpoint(self, *words, id="c"):
        return self.call("checkpoint", "--image-path", self.images, *words, id)

    def restore(self, *words, id="r", stdout=subprocess.DEVNULL):
        """As Oci.create: what runs on keeps our descriptors, and no pipe of ours may be among them."""
        command = self.oci.command("restore", "--bundle", self.oci.bundle, "--image-path", self.images, *words, id)
        with open(self.folder / "err", "w+", encoding="utf-8") as err:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=err, env=self.env(),
                                  timeout=SECONDS, check=False)
            err.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, "", err.read())

    def refused(self, *words, id="c"):
        r = self.checkpoint(*words, id=id)
        assert r.returncode == 1 and r.stderr.count("\n") == 1, r.stderr
        return r.stderr.strip()


def running(oci, *words, **options):
    oci.create(*(words or SLEEP), **options)
    oci.ok("start", "c")
    return oci.state()["pid"]


def restorable(oci, criu):
    """Images as far as the runtime looks into them."""
    oci.write(*SLEEP)
    criu.images.mkdir()
    (criu.images / "descriptors.json").write_text('["", "", ""]')
