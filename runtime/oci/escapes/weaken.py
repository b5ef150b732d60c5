#!/usr/bin/python3
"""See every escape test succeed as an attack: build the runtime with one defence taken out, run the attacks that it was
against, and demand that each of them works. Needs root.

    runtime/oci/escapes/weaken.py [NAME…]        (make weaken WEAKEN='NAME…')

A weakening is a text in weakenings.py that takes the place of another in a copy of the tree, out/weak/tree. Nothing in the
product knows of it. Prints a table; ends with 1 when an attack did not work, or a text is not there any more.
"""

import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

from weakenings import TOP, WEAKENINGS, weaken

ARCH = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
TREE = TOP / "out" / "weak" / "tree"
BINARY = f"out/{ARCH}/bin/sampan-oci"


def copy_tree():
    """What is equal keeps its time, so that make builds only what a weakening touches."""
    names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, text=True).split("\n")
    names = {n for n in names if n and (TOP / n).is_file()}
    for old in TREE.rglob("*.[ch]"):
        if str(old.relative_to(TREE)) not in names and not old.is_relative_to(TREE / "out"):
            old.unlink()
    for name in names:
        write_if_new(TREE / name, (TOP / name).read_bytes(), (TOP / name).stat().st_mode)


def write_if_new(path, data, mode=0o644):
    if path.exists() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def build(name):
    """The runtime with this one weakness, in out/weak/NAME/."""
    touched = weaken(name)
    for path, text in touched.items():
        write_if_new(TREE / path, text.encode())
    # A defence taken out leaves things unused: warnings are no errors here.
    run = subprocess.run(["make", "-s", f"-j{os.cpu_count()}", "CFLAGS_WARN=-w", BINARY], cwd=TREE,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for path in touched:
        write_if_new(TREE / path, (TOP / path).read_bytes())
    if run.returncode != 0:
        sys.exit(f"{name}: does not compile:\n{run.stdout}")
    target = TOP / "out" / "weak" / name / "sampan-oci"
    write_if_new(target, (TREE / BINARY).read_bytes(), 0o755)
    return target


def attack(name, binary):
    """Returns {test: None if it worked, else why not}."""
    report = binary.parent / "report.xml"
    report.unlink(missing_ok=True)
    subprocess.run(
        ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
         f"--junitxml={report}", TOP / "runtime/oci/escapes"],
        env={**os.environ, "SAMPAN_OCI": str(binary), "SAMPAN_WEAKENED_BY": name}, stdout=open(binary.parent / "pytest.log", "w"),
        stderr=subprocess.STDOUT, check=False)
    results = {}
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        failure = case.find("failure")
        message = "" if failure is None else failure.get("message", "")
        worked = message.startswith("attack.Escaped")
        results[case.get("name")] = None if worked else message.split("\n")[0] or "the runtime held"
    return results


def main():
    wanted = sys.argv[1:] or list(WEAKENINGS)
    failures = 0
    copy_tree()
    for name in wanted:
        results = attack(name, build(name))
        if not results:
            failures += 1
            print(f"{name}: no test knows it")
        for test, why in results.items():
            failures += why is not None
            print(f"{name:34} {test:80} {'the attack works' if why is None else 'NOT: ' + why}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
