"""CVE-2024-21626: descriptors of the host's reach the container, as its working directory or as they are."""

import json
import os
import subprocess

import pytest

from attack import inside_hook, usual_capabilities
from oci_host import NEEDS, SECONDS

pytestmark = NEEDS

FDS = range(0, 24)


def call_with_leak(oci, fd, *args):
    """The runtime, called by somebody whose descriptors 3 to 9 lead to @fd and are inherited."""
    inherit = " ".join(f"{n}<&{fd}" for n in range(3, 10) if n != fd)
    shell = ["bash", "-c", f'exec {inherit}; exec "$@"', "bash"]  # sh knows only ten descriptors
    with open(oci.path / "printed", "w+") as out:
        subprocess.run(shell + oci.command(*args), pass_fds=[fd], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                       timeout=SECONDS, check=False)
        out.seek(0)
        return out.read()


def make(oci, way, fd, id):
    """Make a container in this way and return what its program printed."""
    if way == "run":
        seen = call_with_leak(oci, fd, "run", "--bundle", oci.bundle, id)
    else:
        seen = call_with_leak(oci, fd, "create", "--bundle", oci.bundle, id)
        # The container writes where create's output went.
        oci.call("start", id)
        if (oci.root / id).exists():
            oci.wait_status("stopped", id)
        seen += (oci.path / "printed").read_text()
    oci.call("delete", "--force", id)
    return seen


@pytest.mark.weakened_by("cwd-by-path")
@pytest.mark.parametrize("way", ["run", "create", "exec"])
def test_no_working_directory_leads_to_the_host(oci, outside, way):
    leak = os.open(outside.path, os.O_RDONLY | os.O_DIRECTORY)
    look = f"for up in . .. ../.. ../../..; do cat $up/marker $up/{outside.path}/marker; done"
    args = ["sh", "-c", look]
    if way == "exec":
        oci.create("sleep", "1000")
        oci.ok("start", "c")
    for fd in FDS:
        for form in ("/proc/self/fd/%d", "/proc/thread-self/fd/%d", "/proc/self/../self/fd/%d/"):
            if form != "/proc/self/fd/%d" and fd not in (3, 9):
                continue
            if way == "exec":
                process = dict(oci.process, args=args, cwd=form % fd)
                (oci.path / "p.json").write_text(json.dumps(process))
                outside.held(call_with_leak(oci, leak, "exec", "--process", oci.path / "p.json", "c"),
                             call_with_leak(oci, leak, "exec", "--cwd", form % fd, "c", *args))
            else:
                oci.process["cwd"] = form % fd
                oci.write(*args)
                outside.held(make(oci, way, leak, f"d{fd}"))
    os.close(leak)


@pytest.mark.parametrize("way", [
    pytest.param("run", marks=pytest.mark.weakened_by("descriptors-stay")),
    pytest.param("create", marks=pytest.mark.weakened_by("descriptors-stay")),
    pytest.param("exec", marks=pytest.mark.weakened_by("descriptors-stay")),
    pytest.param("hook", marks=pytest.mark.weakened_by("hooks-inherit")),
])
def test_no_descriptor_of_the_callers_or_the_runtimes_is_left(oci, outside, way):
    leak = os.open(outside.path, os.O_RDONLY | os.O_DIRECTORY)
    look = f"for d in /proc/self/fd/*; do cat $d/marker $d/../{outside.path}/marker $d/{outside.path}/marker; done"
    usual_capabilities(oci)
    oci.write("sh", "-c", look)
    if way == "exec":
        oci.create("sleep", "1000")
        oci.ok("start", "c")
        outside.held(call_with_leak(oci, leak, "exec", "c", "sh", "-c", look))
    else:
        if way == "hook":
            oci.write("true")
            (oci.rootfs / "hook").write_text(f"#!/bin/sh\n{{ {look}; }} >/seen 2>&1\n")
            (oci.rootfs / "hook").chmod(0o755)
            inside_hook(oci, "/hook")
            oci.write()
        outside.held(make(oci, "create" if way == "create" else "run", leak, "d"))
    if way == "hook":
        outside.held((oci.rootfs / "seen").read_text())
    os.close(leak)
