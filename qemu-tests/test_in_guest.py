"""Tests that run inside the machine: every guest_test*.sh of the tree, as root, on a real boot.

A script prints TAP ("ok 1 - claim", "not ok 2 - claim", "# diagnostics", "1..N") and lies beside the
code that it tests. It runs by /bin/sh in its own folder's copy, /test/<folder>/, which holds all
guest_test* files of that folder; of a C file in a folder guest_test*/ it holds the program.
"""

import re

import pytest

from archive import compile_sources
from guest import MACHINES, TOP

SCRIPT_TIMEOUT = 600
SCRIPTS = sorted(
    path.relative_to(TOP)
    for folder in ("init", "lib", "runtime", "images", "rootfs", "examples")
    for path in (TOP / folder).rglob("guest_test*.sh")
)


def files_of(folder, arch, work):
    """The folder's guest_test* files, for the guest's /test/<folder>/; programs are compiled in @work."""
    files = {}
    for path in sorted((TOP / folder).glob("guest_test*")):
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.suffix == ".c":
                program = compile_sources([file], arch, work)
                files[f"test/{file.relative_to(TOP).with_suffix('')}"] = (program, 0o755)
            elif file.is_file():
                mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
                files[f"test/{file.relative_to(TOP)}"] = (file.read_bytes(), mode)
    return files


def check_tap(status, output):
    """Fail with the lines that are not ok, or with why the output is not whole."""
    results = re.findall(r"^(ok|not ok) \d+(?: -)? ?(.*)$", output, re.MULTILINE)
    plan = re.search(r"^1\.\.(\d+)", output, re.MULTILINE)
    failed = [claim for result, claim in results if result == "not ok"]
    assert not failed, "not ok: " + "; ".join(failed) + "\n" + output
    assert plan, f"no plan (1..N), exit status {status}:\n{output}"
    assert results, "no results"
    assert len(results) == int(plan[1]), f"{len(results)} results of {plan[1]} planned:\n{output}"
    assert status == 0, f"exit status {status}:\n{output}"


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_inside_the_machine(boot, script, tmp_path):
    guest = boot("q35", memory=512, files=files_of(script.parent, MACHINES["q35"].arch, tmp_path)).boot()
    command = f"cd /test/{script.parent} && umask 022 && sh ./{script.name}"
    done = guest.ssh(command, timeout=SCRIPT_TIMEOUT)
    print(done.output)
    check_tap(done.status, done.output)


def test_there_are_tests_inside_the_machine():
    assert SCRIPTS


@pytest.mark.parametrize(
    "status, output",
    [
        (0, "ok 1 - a\nnot ok 2 - b\n1..2\n"),
        (0, "ok 1 - a\n"),
        (0, "1..0\n"),
        (0, "ok 1 - a\n1..2\n"),
        (1, "ok 1 - a\n1..1\n"),
    ],
    ids=["failed", "no-plan", "empty", "fewer", "status"],
)
def test_output_that_is_not_all_ok_fails(status, output):
    with pytest.raises(AssertionError):
        check_tap(status, output)


def test_output_that_is_all_ok_passes():
    check_tap(0, "1..2\nok 1 - a\nok 2 - b\n")
