#!/usr/bin/python3
"""Everyday commands of stock clients from Debian on our machine, with crun, runc and sampan-oci underneath.

    clients.py [--client podman|docker|ctr]... [--quick] [--only REGEX]
        boots the machine, runs the cases of qemu-tests/clients/ with each runtime, and writes
        docs/runtime-clients.md and clients/expected-CLIENT, crun's results, which test_clients.py compares with
"""

import argparse
import shlex
import sys
import tempfile
from pathlib import Path

import image
import peers
import userland
from archive import write_archive
from guest import TOP, Guest, make_ssh_key

FOLDER = TOP / "qemu-tests" / "clients"
DOC = TOP / "docs" / "runtime-clients.md"
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


def run_command(client, runtime, quick=False, only="", expected=False):
    """The shell command that runs a client's cases in the userland."""
    words = ["/test/clients/run", client, runtime, *(f"/test/clients/{name}" for name in CASES[client])]
    words += ["--quick"] if quick else []
    words += ["--only", only] if only else []
    words += ["--expected", f"/test/clients/expected-{client}"] if expected else []
    return shlex.join(words)


def read_results(text):
    """{name: result} of what the runner printed."""
    parts = ("\n" + text).split("\n## ")[1:]
    return {head: result.strip("\n") for head, result in (part.split("\n", 1) for part in parts)}


def difference(result, reference):
    """A table's cell: "=", or the lines that are another's."""
    if result == reference:
        return "="
    have, want = result.split("\n"), reference.split("\n")
    lines = [line.strip() for line in have if line not in want] or ["fewer lines"]
    shown = "<br>".join(line.replace("|", "\\|") for line in lines[:4])
    return shown + (f"<br>… {len(lines) - 4} more" if len(lines) > 4 else "")


def table(client, results):
    others = [runtime for runtime in results if runtime != "crun"]
    lines = [f"## {client}", "", f"| command | {' | '.join(others)} |", "| --- |" + " --- |" * len(others)]
    for name, reference in results["crun"].items():
        cells = [difference(results[runtime].get(name, "not run"), reference) for runtime in others]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--client", action="append", choices=CASES)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()

    versions = (userland.build() / "versions").read_text(encoding="utf-8").split("\n")
    wanted = ("podman ", "docker.io ", "containerd ", "crun ", "runc ")
    text = HEAD + "Versions: " + ", ".join(line for line in versions if line.startswith(wanted)) + ".\n"
    with tempfile.TemporaryDirectory() as directory:

        def boot(machine, files, initrds, **more):
            archive = write_archive(Path(directory) / "files.cpio", files)
            key = make_ssh_key(directory)
            return Guest(machine, directory, initrds=[*initrds, archive], ssh_key=key, **more)

        machine = peers.boot_peers(boot, files=guest_files())
        for client in options.client or CASES:
            machine.run(LOAD[client], timeout=TIMEOUT).ok()
            results = {}
            for runtime in RUNTIMES:
                command = run_command(client, runtime, options.quick, options.only)
                output = machine.run(command, timeout=TIMEOUT).ok()
                results[runtime] = read_results(output)
                print(f"{client} with {runtime}: {len(results[runtime])} cases", flush=True)
                if runtime == "crun" and not options.only:
                    (FOLDER / f"expected-{client}").write_text(output + "\n", encoding="utf-8")
            text += "\n" + table(client, results)
        machine.guest.close()
    if options.only:
        print(text)
    else:
        DOC.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
