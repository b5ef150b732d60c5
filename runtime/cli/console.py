"""The console's command line under a name, and the docker CLI, against one engine."""

import os
import re
import shutil
import subprocess

from harness import SAMPAN, TIMEOUT


class Console:
    """`sampan`, or `docker` as it is on the machine: a link to the same program."""

    def __init__(self, engine):
        self.engine = engine
        self.link = engine.dir / "bin/docker"
        self.link.parent.mkdir(exist_ok=True)
        if not self.link.is_symlink():
            self.link.symlink_to(SAMPAN)

    def env(self, **more):
        return dict(os.environ, DOCKER_HOST=f"unix://{self.engine.socket}", SAMPAN_RUN_DIR=str(self.engine.run), TZ="UTC",
                    DOCKER_CONFIG=str(self.engine.dir / "docker-config"), ASAN_OPTIONS="detect_leaks=0", **more)

    def call(self, program, *words, stdin="", **more):
        return subprocess.run([program, *words], input=stdin, capture_output=True, text=True, timeout=TIMEOUT,
                              env=self.env(**more))

    def docker(self, *words, **more):
        return self.call(self.link, *words, **more)

    def sampan(self, *words, **more):
        return self.call(SAMPAN, *words, **more)

    def stock(self, *words, **more):
        """Docker's own client."""
        return self.call(shutil.which("docker"), *words, **more)

    def same(self, *words, **more):
        """Both clients say the same and end the same. Returns what ours said."""
        ours, theirs = self.docker(*words, **more), self.stock(*words, **more)
        assert (ours.returncode, plain(ours.stdout), plain(ours.stderr)) == (
            theirs.returncode, plain(theirs.stdout), plain(theirs.stderr)), words
        return ours


def plain(text):
    """Without what differs from one moment to the next, and without docker's lines about how to use it."""
    text = re.sub(r"Usage:  docker .*\n", "", text)
    text = re.sub(r"(See|Run) 'docker .*' for more information\n?", "", text)
    text = re.sub(r"(\d+|About an?|Less than a) (seconds?|minutes?)( ago)?", "some time", text)
    if "some time" in text:  # which decides how wide its column is
        text = re.sub(" +", " ", text)
    return text.rstrip("\n")
