"""/dev, /dev/null, /dev/console and /dev/pts/N as an image or somebody who shares it may have made them.

CVE-2025-31133, CVE-2025-52565, CVE-2026-41579, CVE-2026-47766; crun's of the same kind, CVE-2026-88264 and CVE-2026-88265.
"""

import os
import select
import stat

import pytest

from attack import attempt, attempt_under, every_capability, must_not, without_dev
from oci_host import NEEDS, hook

pytestmark = NEEDS

CORE = "/proc/sys/kernel/core_pattern"


@pytest.mark.weakened_by("dev-by-path")
@pytest.mark.parametrize("target", ["{outside}", "../../../../../../../../../../../../..{outside}"])
def test_a_linked_dev_makes_nothing_on_the_host(oci, outside, target):
    without_dev(oci).rmdir()
    (oci.rootfs / "dev").symlink_to(target.format(outside=outside.path))
    attempt(oci, "true")
    outside.held()


@pytest.mark.weakened_by("console-follows")
def test_a_linked_console_makes_nothing_on_the_host(oci, outside):
    dev = without_dev(oci)
    oci.config["mounts"].append({"destination": "/dev/pts", "type": "devpts", "options": ["newinstance", "ptmxmode=0666"]})
    (dev / "console").symlink_to(outside.path / "console")
    oci.process["terminal"] = True
    attempt(oci, "true")
    outside.held()


@pytest.mark.weakened_by("console-follows")
def test_a_linked_console_covers_nothing_else(oci):
    dev = without_dev(oci)
    oci.config["mounts"].append({"destination": "/dev/pts", "type": "devpts", "options": ["newinstance", "ptmxmode=0666"]})
    victim = oci.path / "victim"
    victim.write_text("")
    (dev / "console").symlink_to(victim)
    oci.config["hooks"] = {"createContainer": hook(oci, "look", f"stat -c %F {victim} >{oci.path}/seen\n")}
    oci.process["terminal"] = True
    attempt(oci, "true")
    seen = oci.path / "seen"
    must_not(seen.exists() and "character" in seen.read_text(), "the terminal covers a file of the host's")


@pytest.mark.weakened_by("console-by-name")
def test_the_console_is_the_terminal_whatever_its_name_leads_to(oci, programs):
    """/dev/pts/0 becomes a link to core_pattern in the moment before it is bound to /dev/console."""
    dev = without_dev(oci)
    oci.config["mounts"].append({"destination": "/dev/pts", "type": "devpts", "options": ["newinstance", "ptmxmode=0666"]})
    oci.process["terminal"] = True
    (dev / "pts").mkdir()
    (dev / "bait").mkdir()
    (dev / "bait" / "0").symlink_to(CORE)
    swap = f"mv {dev}/pts {dev}/old && mv {dev}/bait {dev}/pts && touch {oci.path}/swapped"
    stopped = [programs["stopat"], "oci:terminal", "open_tree", f"[ -e {oci.path}/swapped ] || {{ {swap}; }}"]
    seen = attempt_under(oci, stopped, "sh", "-c", "[ -c /dev/console ] || { echo; cat /dev/console; }")
    assert (oci.path / "swapped").exists()
    with open(CORE) as core:
        must_not(core.read().strip() in seen.splitlines()[1:], "/dev/console is the host's core_pattern")


@pytest.mark.weakened_by("masks-with-the-images-null")
def test_a_linked_null_is_no_mask(oci):
    """The image's /dev/null becomes a link after the runtime looked at it: the mask would be what it leads to."""
    without_dev(oci)
    (oci.rootfs / "secret").write_text("x")
    (oci.rootfs / "cover").write_text("chosen by the image")
    oci.linux["maskedPaths"] = ["/secret", "/proc/sysrq-trigger"]
    oci.config["hooks"] = {"createRuntime": hook(oci, "swap", f"ln -sf /cover {oci.rootfs}/dev/null\n")}
    seen = attempt(oci, "sh", "-c", "cat /secret; cat /proc/sysrq-trigger")
    must_not("chosen by the image" in seen, "the image chose what a mask is made of")


@pytest.mark.weakened_by("any-node-will-do")
def test_a_node_of_the_images_is_what_its_name_says(oci):
    """An image's /dev/null with the numbers of another device; here of /dev/zero, because /dev/mem could do harm."""
    dev = without_dev(oci)
    os.mknod(dev / "null", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    seen = attempt(oci, "sh", "-c", "head -c 3 /dev/null | wc -c")
    must_not(seen.strip() == "3", "/dev/null is another device")


@pytest.mark.weakened_by("stdio-given-away")
@pytest.mark.parametrize("kind", ["file", "device"])
def test_what_the_caller_reads_from_stays_the_hosts(oci, kind):
    """Standard input is given to the container's user so that it can open /dev/stdin: only if it is a pipe, a socket or a
    terminal, which nobody else has."""
    path = oci.path / "input"
    if kind == "file":
        path.write_text("")
    else:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    oci.process["user"] = {"uid": 1000, "gid": 1000}
    with open(path) as stdin:
        attempt(oci, "true", stdin=stdin)
    must_not(path.stat().st_uid == 1000, f"a {kind} of the host's belongs to the container's user")


@pytest.mark.weakened_by("ptmx-by-name")
def test_opening_a_terminal_opens_nothing_of_the_images(oci):
    """/dev/pts/ptmx of the image's own: a fifo, whose other end sees that the runtime opened it."""
    dev = without_dev(oci)
    (dev / "pts").mkdir()
    os.mkfifo(dev / "pts" / "ptmx")
    oci.process["terminal"] = True
    every_capability(oci)
    reader = os.open(dev / "pts" / "ptmx", os.O_RDONLY | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(reader)
    attempt(oci, "true")
    # A fifo that had a writer once says that it hung up.
    must_not(bool(poll.poll(0)), "the runtime opened a file of the image's for writing")
    os.close(reader)
