"""The hardening score: kernel-hardening-checker over a built configuration, beside the recorded result.

The record, hardening-score.ARCH, holds the checker's version, the number of checks that pass, and each one that
fails with the reason why that is accepted. A check that fails without standing there is an error.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import fragments

PACKAGE = "kernel-hardening-checker"
MODULE = "kernel_hardening_checker"
HEAD = re.compile(r"checker (?P<version>\S+)\nok (?P<ok>\d+)\n")


class ScoreError(Exception):
    """The score cannot be taken; the text says what is missing."""


def find_package():
    """The checker's .deb: named by the environment, or fetched by the build."""
    named = os.environ.get("KERNEL_HARDENING_CHECKER")
    if named:
        return Path(named)
    tool = fragments.FOLDER.parent / "build" / "sources.py"
    run = subprocess.run([tool, "files", PACKAGE], stdout=subprocess.PIPE, text=True, check=False)
    files = run.stdout.split()
    if run.returncode or not files:
        raise ScoreError(f"{PACKAGE} is not fetched: make fetch, or set KERNEL_HARDENING_CHECKER to its .deb file")
    return Path(files[0])


def run_checker(package, arguments):
    """Run the checker out of its package and return (version, output)."""
    with tempfile.TemporaryDirectory() as folder:
        if shutil.which("dpkg-deb") is None:
            raise ScoreError("dpkg-deb is missing: install dpkg")
        unpack = subprocess.run(["dpkg-deb", "-x", package, folder], check=False)
        if unpack.returncode:
            raise ScoreError(f"{package}: not a Debian package")
        path = f"{folder}/usr/lib/python3/dist-packages"
        start = f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {path!r})\n"
        start += f"import {MODULE} as c; sys.argv[0] = {PACKAGE!r}; c.main()"
        run = subprocess.run(
            [sys.executable, "-c", start, *arguments], stdout=subprocess.PIPE, text=True, check=False
        )
        if run.returncode:
            raise ScoreError(f"{PACKAGE} failed with status {run.returncode}")
        version = next(Path(path).glob(f"{MODULE}-*.dist-info")).name[len(MODULE) + 1 : -len(".dist-info")]
        return version, run.stdout


def take(config, cmdline):
    """The checker's results as a list of its objects, and its version."""
    version, output = run_checker(find_package(), ["-c", str(config), "-l", str(cmdline), "-m", "json"])
    return version, json.loads(output)


def name(result):
    """How one check stands in the record; the same option may be checked for several values."""
    return f"{result['option_name']}={result['desired_val'].replace(' ', '-')}"


def parse(text):
    """(version, ok, {name: reason}) of a record."""
    head = HEAD.match(text)
    if not head:
        raise ScoreError("the record does not begin with the lines `checker VERSION` and `ok NUMBER`")
    accepted = {}
    for line in text[head.end() :].splitlines():
        if not line or line.startswith("#"):
            continue
        option, _, reason = line.partition("  # ")
        if not reason.strip():
            raise ScoreError(f"no reason beside {option.strip()}")
        accepted[option.strip()] = reason.strip()
    return head["version"], int(head["ok"]), accepted


def complaints(record, version, results):
    """What is wrong with results, given the text of the record."""
    recorded_version, recorded_ok, accepted = parse(record)
    ok = sum(result["check_result_bool"] for result in results)
    failing = {name(result): result for result in results if not result["check_result_bool"]}
    found = []
    if ok < recorded_ok:
        found.append(f"the hardening score fell from {recorded_ok} to {ok}")
    if version != recorded_version:
        return found
    for option, result in failing.items():
        if option not in accepted:
            found.append(f"{option}: {result['check_result']}, and no reason is recorded")
    for option in accepted:
        if option not in failing:
            found.append(f"{option}: passes now; take it from the record")
    if ok > recorded_ok:
        found.append(f"the hardening score rose from {recorded_ok} to {ok}: record it")
    return found
