#!/usr/bin/python3
"""Everyday commands of stock clients from Debian on our machine, with crun, runc and sampan-oci underneath.

    clients.py [--client podman|docker|ctr]... [--quick] [--only REGEX] [--minutes N] [--timeout SECONDS] [--again]
        boots the machine, runs the cases of qemu-tests/clients/ with each runtime, and writes docs/runtime-clients.md
        and clients/expected-CLIENT, crun's results, which test_clients.py compares with

What was seen is kept in out/clients.json after each case, and not run again, but with --again: so a run that is stopped, or
ends after N minutes, is continued by the next one.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import image
import peers
import userland
from archive import write_archive
from guest import TOP, Guest, make_ssh_key

FOLDER = TOP / "qemu-tests" / "clients"
DOC = TOP / "docs" / "runtime-clients.md"
NOTES = FOLDER / "notes.md"  # what the differences mean
SEEN = TOP / "out" / "clients.json"
CASES = {"podman": ["cases", "cases-podman"], "docker": ["cases"], "ctr": ["cases-ctr"]}
RUNTIMES = ["crun", "runc", "sampan-oci"]
LOAD = {
    "podman": "podman load -q -i /test/clients/image.tar",
    "docker": "/test/clients/start-docker.sh && docker load -i /test/clients/image.tar",
    "ctr": "/test/clients/start-docker.sh && ctr image import /test/clients/image.tar",
}
TIMEOUT = 7200
# what the cases use; the image is smaller without the other 250
APPLETS = """cat chmod cp cut dd df echo env false find grep head hostname id ip kill ls mkdir mknod mount mv
    nice od ps readlink renice rm rmdir sed seq sh sleep sort stat stty tail test touch tr true tty umount
    uname uniq wc xargs""".split()
HEAD = """# What stock clients do with sampan-oci

The same commands of Debian's own clients with crun, runc and sampan-oci underneath, on Sampan's kernel and init (cgroup v2).
"=" means: the same output and exit status as with crun, after ids and times are taken out. The commands are in
`qemu-tests/clients/cases*`; `make clients` runs them and writes this file.

"""


def guest_files():
    """The runner, its cases and the image, for the guest's root."""
    files = {}
    for path in sorted(FOLDER.iterdir()):
        files[f"test/clients/{path.name}"] = (path.read_bytes(), path.stat().st_mode & 0o755)
    busybox = (userland.build() / "busybox").read_bytes()
    programs = {"bin/fingerprint": (FOLDER / "fingerprint").read_bytes()}
    files["test/clients/image.tar"] = (image.docker_archive(busybox, APPLETS, programs), 0o644)
    return files


def run_words(client, runtime, *more, folder="/test/clients", quick=False):
    """The call of clients/run for a client's cases."""
    cases = [f"{folder}/{name}" for name in CASES[client]]
    return [f"{folder}/run", client, runtime, *cases, *(["--quick"] if quick else []), *more]


def run_command(client, runtime, quick=False, only="", expected=False):
    """The shell command that runs a client's cases in the userland."""
    more = [*(["--only", only] if only else []), *(["--expected", f"/test/clients/expected-{client}"] if expected else [])]
    return shlex.join(run_words(client, runtime, *more, quick=quick))


def names_of(client, quick=False, only=""):
    words = run_words(client, "none", "--list", "--only", only, folder=FOLDER, quick=quick)
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def read_results(text):
    """{name: result} of what the runner printed, or of a file with what is expected."""
    parts = ("\n" + text).split("\n## ")[1:]
    return {head: result.strip("\n") for head, result in (part.split("\n", 1) for part in parts)}


class Seen:
    """{client: {case: {runtime: result}}} in a file."""

    def __init__(self):
        self.results = json.loads(SEEN.read_text()) if SEEN.exists() else {}

    def add(self, client, case, runtime, result):
        self.results.setdefault(client, {}).setdefault(case, {})[runtime] = result
        part = SEEN.with_suffix(".part")
        part.write_text(json.dumps(self.results, indent=1))
        part.rename(SEEN)

    def get(self, client, case):
        return self.results.get(client, {}).get(case, {})


def difference(result, reference):
    """A table's cell: "=", or the lines that are another's."""
    if result == reference:
        return "="
    have, want = result.split("\n"), reference.split("\n")
    lines = [line.strip() for line in have if line not in want] or ["another order" if len(have) == len(want) else "fewer lines"]
    shown = "<br>".join(line.replace("|", "\\|") for line in lines[:4])
    return shown + (f"<br>… {len(lines) - 4} more" if len(lines) > 4 else "")


def table(client, seen):
    """Cases that crun ran, and of the others how many."""
    others = [runtime for runtime in RUNTIMES if runtime != "crun"]
    lines = [f"## {client}", "", f"| command | {' | '.join(others)} |", "| --- |" + " --- |" * len(others)]
    names = names_of(client)
    done = [name for name in names if "crun" in seen.get(client, name)]
    for name in done:
        results = seen.get(client, name)
        cells = [difference(results[r], results["crun"]) if r in results else "not run" for r in others]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    missing = [name for name in names if name not in done]
    if missing:
        lines += ["", f"Not run: {'; '.join(missing)}."]
    return "\n".join(lines) + "\n"


def write_expected(client, seen):
    path = FOLDER / f"expected-{client}"
    known = read_results(path.read_text(encoding="utf-8")) if path.exists() else {}
    names = names_of(client)
    fresh = {name: seen.get(client, name).get("crun") for name in names}
    results = {name: fresh[name] or known.get(name) for name in names if fresh[name] or name in known}
    path.write_text("".join(f"## {name}\n{result}\n\n" for name, result in results.items()), encoding="utf-8")


def write_document(clients, seen):
    versions = (userland.build() / "versions").read_text(encoding="utf-8").split("\n")
    wanted = ("podman ", "docker.io ", "containerd ", "crun ", "runc ")
    text = HEAD + "Versions: " + ", ".join(line for line in versions if line.startswith(wanted)) + ".\n\n"
    text += NOTES.read_text(encoding="utf-8")
    DOC.write_text(text + "".join("\n" + table(client, seen) for client in clients), encoding="utf-8")


def boot(directory):
    def guest(machine, files, initrds, **more):
        archive = write_archive(Path(directory) / "files.cpio", files)
        return Guest(machine, directory, initrds=[*initrds, archive], ssh_key=make_ssh_key(directory), **more)

    return peers.boot_peers(guest, files=guest_files())


def compare(machine, client, options, seen, end):
    """Each case with each runtime in turn, so that what was seen can be compared at any time."""
    machine.run(LOAD[client], timeout=TIMEOUT).ok()
    for name in names_of(client, options.quick, options.only):
        for runtime in (r for r in RUNTIMES if options.again or r not in seen.get(client, name)):
            if time.monotonic() > end:
                return
            start = time.monotonic()
            more = ["--only", f"^{re.escape(name)}$", "--timeout", str(options.timeout)]
            output = machine.run(shlex.join(run_words(client, runtime, *more)), timeout=TIMEOUT).ok()
            seen.add(client, name, runtime, read_results(output)[name])
            print(f"{client} with {runtime}: {name}: {time.monotonic() - start:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--client", action="append", choices=CASES)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--timeout", type=int, default=600)
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()

    end = time.monotonic() + options.minutes * 60
    seen = Seen()
    with tempfile.TemporaryDirectory() as directory:
        machine = boot(directory)
        for client in options.client or CASES:
            compare(machine, client, options, seen, end)
            write_expected(client, seen)
            write_document(CASES, seen)
        machine.guest.close()


if __name__ == "__main__":
    sys.exit(main())
