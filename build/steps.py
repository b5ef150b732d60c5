#!/usr/bin/python3
"""Builds what the named steps need, and them: steps.py NAME...   (ARCH in the environment)

A recipe (rootfs/recipes/NAME.sh) is a step whose result is kept in the cache under a key made of
everything that goes into it; it is built at most once per machine. A command (below) is a step that
make itself keeps fresh. Recipe metadata are comment lines at its top:

  # source: NAME [KIND]   from rootfs/sources.lock, where KIND may be $DEB_ARCH; it is unpacked
                          unless there is "# unpack: no"
  # needs: NAME...        recipes whose results it uses, as $DEP_NAME (in capitals, _ for -)
  # files: GLOB...        other files of the tree that it reads
  # note: TEXT            printed before it starts, for what takes minutes
  # publish: yes          its files are copied into out/ARCH/ as well
"""

import concurrent.futures
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

import apt
import sources
from sources import CACHE, TOP, Error

ARCH = os.environ.get("ARCH", "x86_64")
GNU = {"x86_64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[ARCH]
DEB_ARCH = {"x86_64": "amd64", "arm64": "arm64"}[ARCH]
MUSL = {"x86_64": "x86_64-linux-musl", "arm64": "aarch64-linux-musl"}[ARCH]
OUT = f"{TOP}/out/{ARCH}"
VERBOSE = bool(os.environ.get("V"))
AT_ONCE = 2  # steps; each of them uses all cores where it can

# name: (needs, command, file without which there is nothing to do)
COMMANDS = {
    "programs": (
        "musl libseccomp http-parser zlib libzstd libarchive mbedtls curl sqlite3".split(),
        f"make -j{os.cpu_count()} programs",
        "Makefile",
    ),
    "initramfs": (
        ["programs", "busybox", "e2fsprogs", "dropbear", "ca-certificates"],
        f"make out/{ARCH}/initramfs.cpio.zst",
        "rootfs/pack.py",
    ),
    "sbom": (["kernel"], f"make out/{ARCH}/sbom.spdx.json", "build/sbom.py"),
    "host-tools": ([], f"make -j{os.cpu_count()} host-tools", "runtime/image/main.c"),
    "app": (["host-tools", "busybox-web"], f"make out/{ARCH}/app.cpio", "examples/web"),
    "image": (
        ["kernel", "initramfs", "app", "sbom", "systemd-boot"] + (["grub"] if ARCH == "x86_64" else []),
        f"make out/{ARCH}/disk.raw",
        "images/build.py",
    ),
}


def tool_versions():
    """What the compiler is, as part of every key."""
    lines = []
    for tool in (f"{GNU}-gcc", f"{GNU}-ld"):
        try:
            run = subprocess.run([tool, "--version"], stdout=subprocess.PIPE, text=True, check=True)
        except FileNotFoundError as error:
            raise Error(f"{tool} is missing: make host-packages ARCH={ARCH}") from error
        lines.append(run.stdout.splitlines()[0])
    return lines


class Step:
    def __init__(self, name):
        self.name, self.key = name, None
        self.path = f"{TOP}/rootfs/recipes/{name}.sh"
        self.is_recipe = name not in COMMANDS
        if not self.is_recipe:
            needs, self.command, self.wants = COMMANDS[name]
            self.needs = list(needs)
            return
        if not os.path.exists(self.path):
            raise Error(f"no step named {name}: there is no rootfs/recipes/{name}.sh")
        with open(self.path, encoding="utf-8") as file:
            self.text = file.read()
        self.meta = dict(re.findall(r"(?m)^# (source|needs|files|note|unpack|publish): (.*)$", self.text))
        self.needs = self.meta.get("needs", "").split()
        self.source = self.meta.get("source", "").replace("$DEB_ARCH", DEB_ARCH).split()

    @property
    def stored(self):
        return f"{CACHE}/store/{self.name}-{ARCH}-{self.key[:20]}"

    def files(self):
        found = []
        for pattern in self.meta.get("files", "").split():
            found += [p for p in glob.glob(f"{TOP}/{pattern}", recursive=True) if os.path.isfile(p)]
        return sorted(set(found))

    def make_key(self, steps, tools):
        parts = [ARCH, self.text, *tools]
        # recipe.sh holds the flags of what the musl toolchain builds; the others use none of it
        for path in self.files() + [f"{TOP}/build/recipe.sh"] * bool(self.needs):
            parts += [os.path.relpath(path, TOP), sources.file_sha256(path)]
        if self.source:
            parts.append(sources.key(*self.source))
        parts += [steps[name].key for name in self.needs]
        self.key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def environment(self, steps, work):
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LC_ALL", "V") if name in os.environ}
        env.update(ARCH=ARCH, GNU=GNU, MUSL=MUSL, TOP=TOP, WORK=work, RESULT=f"{work}/result")
        env.update(JOBS=str(os.cpu_count()), SOURCE_DATE_EPOCH=source_date_epoch(), TZ="UTC")
        # one language for all: ccache takes another one for another compilation
        env["LANG"] = "C.UTF-8"
        env["CCACHE_DIR"] = os.environ.get("CCACHE_DIR", CACHE + "/ccache")
        for name in self.needs:
            env["DEP_" + name.replace("-", "_").upper()] = steps[name].stored
        return env

    def build(self, steps, log):
        """The recipe's build() in a directory of its own; the result appears by rename."""
        work = f"{CACHE}/work/{self.name}-{ARCH}-{os.getpid()}"
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work + "/result")
        try:
            self.build_in(work, steps, log)
        finally:
            if not VERBOSE:
                shutil.rmtree(work, ignore_errors=True)

    def build_in(self, work, steps, log):
        env = self.environment(steps, work)
        if self.source:
            env["SOURCE_FILES"] = "\n".join(sources.files_of(*self.source)[1])
            if self.meta.get("unpack") != "no":
                sources.unpack(work + "/src", *self.source)
        os.makedirs(work + "/src", exist_ok=True)
        command = ["bash", f"{TOP}/build/recipe.sh", self.path]
        if run_logged(command, log, cwd=work + "/src", env=env):
            raise Failed(self, log)
        os.makedirs(os.path.dirname(self.stored), exist_ok=True)
        # another build may have been faster
        if not os.path.exists(self.stored):
            os.rename(work + "/result", self.stored)

    def publish(self):
        """out/ARCH/pkg/NAME leads to the result; out/ARCH/keys/NAME changes when it does."""
        os.makedirs(OUT + "/pkg", exist_ok=True)
        os.makedirs(OUT + "/keys", exist_ok=True)
        link, key_file = f"{OUT}/pkg/{self.name}", f"{OUT}/keys/{self.name}"
        if os.path.islink(link) and os.readlink(link) == self.stored and os.path.exists(key_file):
            return
        if "publish" in self.meta:
            for name in os.listdir(self.stored):
                shutil.copyfile(f"{self.stored}/{name}", f"{OUT}/{name}.new")
                os.rename(f"{OUT}/{name}.new", f"{OUT}/{name}")
        temporary = f"{link}.{os.getpid()}"
        os.symlink(self.stored, temporary)
        os.rename(temporary, link)
        with open(key_file, "w", encoding="utf-8") as file:
            file.write(self.key + "\n")


class Failed(Error):
    def __init__(self, step, log):
        with open(log, encoding="utf-8", errors="replace") as file:
            tail = "".join(file.readlines()[-30:])
        super().__init__(f"{tail}\n{step.name} {ARCH} failed; the whole log: {log}")


def run_logged(command, log, **options):
    """Runs a command into a log file (V=1: also onto the terminal); returns its status."""
    with open(log, "wb") as file:
        if not VERBOSE:
            return subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False, **options
            ).returncode
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
        ) as process:
            for line in process.stdout:
                file.write(line)
                sys.stdout.buffer.write(line)
                sys.stdout.flush()
        return process.returncode


def source_date_epoch():
    """One fixed moment for everything that is built; it moves when the sources do."""
    with open(f"{TOP}/rootfs/sources.lock", encoding="utf-8") as file:
        return re.search(r"(?m)^# Date: (\d+)", file.read())[1]


def plan(names):
    """All steps that are needed, in an order that respects their needs."""
    steps = {}

    def add(name):
        if name not in steps:
            step = Step(name)
            if not step.is_recipe and not os.path.exists(f"{TOP}/{step.wants}"):
                return
            for need in step.needs:
                add(need)
            step.needs = [need for need in step.needs if need in steps]
            steps[name] = step

    for name in names:
        add(name)
    return steps


class Runner:
    def __init__(self, steps):
        self.steps, self.done, self.lock = steps, 0, threading.Lock()

    def say(self, step, how):
        with self.lock:
            self.done += 1
            total = len(self.steps)
            left = f", {total - self.done} left" if total > self.done else ""
            width = len(str(total))
            print(f"[{self.done:{width}}/{total}] {step.name} {ARCH} … {how}{left}", flush=True)

    def run(self, step):
        start = time.monotonic()
        os.makedirs(CACHE + "/log", exist_ok=True)
        os.makedirs(TOP + "/out", exist_ok=True)
        log = f"{CACHE}/log/{step.name}-{ARCH}.log"
        if not step.is_recipe:
            # variables of make's command line are in the environment; its job server is not for us
            env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
            # two builds in one tree take turns at its files
            with open(f"{TOP}/out/.lock", "w", encoding="utf-8") as guard:
                fcntl.flock(guard, fcntl.LOCK_EX)
                if run_logged(step.command.split(), log, cwd=TOP, env=env):
                    raise Failed(step, log)
        elif not os.path.exists(step.stored):
            if "note" in step.meta:
                print(f"        {step.name} {ARCH}: {step.meta['note']}", flush=True)
            step.build(self.steps, log)
        else:
            os.utime(step.stored)
            step.publish()
            return self.say(step, "cached")
        if step.is_recipe:
            step.publish()
        return self.say(step, f"{time.monotonic() - start:.0f} s")

    def run_all(self):
        waiting, running = dict(self.steps), {}
        finished, failure = set(), None
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            while waiting or running:
                if failure is None:
                    ready = [s for s in waiting.values() if finished.issuperset(s.needs)]
                    # what others wait for the longest goes first
                    for step in ready[: AT_ONCE - len(running)]:
                        running[pool.submit(self.run, step)] = waiting.pop(step.name)
                if not running:
                    break
                done, _ = concurrent.futures.wait(
                    running, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in done:
                    step = running.pop(future)
                    if future.exception():
                        failure = failure or future.exception()
                        if running:
                            others = ", ".join(s.name for s in running.values())
                            print(f"        {step.name} {ARCH} failed; waiting for {others}", flush=True)
                    finished.add(step.name)
        if failure:
            raise failure


def main(names):
    steps = plan(names)
    wanted = {step.source[0] for step in steps.values() if step.is_recipe and step.source}
    if wanted:
        sources.fetch_guarded(sorted(wanted))
    tools = tool_versions()
    for step in steps.values():
        if step.is_recipe:
            step.make_key(steps, tools)
    Runner(steps).run_all()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Error as error:
        sys.exit(f"build: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
