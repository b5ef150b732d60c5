"""Symlinks in the way of a mount: there from the start, or swapped in between two system calls.

CVE-2021-30465, CVE-2023-27561: between resolving the place of a mount and mounting. CVE-2024-45310: while directories for
it are made. An attacker shares a volume with the container that is being made; stopat holds the runtime still before each
system call in turn while he swaps a directory of that volume for a link to the host's.
"""

import pytest

from attack import attempt, attempt_under, must_not, usual_capabilities
from oci_host import NEEDS, hook

pytestmark = NEEDS


def mounted_on_host(oci, outside):
    """Did the container's mount namespace get a mount on the host's directory? A hook looked."""
    seen = oci.path / "mounts"
    text = seen.read_text() if seen.exists() else ""
    return any(line.split()[4].startswith(str(outside.path)) for line in text.splitlines())


def watch_mounts(oci):
    oci.config["hooks"] = {"createContainer": hook(oci, "look", f"cat /proc/self/mountinfo >{oci.path}/mounts\n")}


def held(oci, outside, what):
    must_not(mounted_on_host(oci, outside), what)
    outside.held()


@pytest.mark.weakened_by("resolve-on-host")
@pytest.mark.parametrize("target", ["{outside}", "../../../../../../../../../../../../..{outside}"])
@pytest.mark.parametrize("place", ["/link", "/link/new", "/link/a/b/file"])
def test_a_link_in_the_image_does_not_lead_a_mount_out(oci, outside, target, place):
    (oci.rootfs / "link").symlink_to(target.format(outside=outside.path))
    (oci.path / "file").write_text("")
    mount = {"destination": place, "type": "tmpfs"}
    if place.endswith("file"):
        mount = {"destination": place, "source": str(oci.path / "file"), "options": ["bind"]}
    oci.config["mounts"].append(mount)
    watch_mounts(oci)
    attempt(oci, "true")
    held(oci, outside, "a mount is on the host's directory")


def shared_volume(oci, inner, kind="tmpfs"):
    """A volume, and a mount inside it."""
    volume = oci.path / "volume"
    volume.mkdir()
    (oci.path / "file").write_text("")
    oci.config["mounts"] += [
        {"destination": "/volume", "source": str(volume), "options": ["bind", "rw"]},
        {"destination": f"/volume/{inner}", "type": "tmpfs"} if kind == "tmpfs" else
        {"destination": f"/volume/{inner}", "source": str(oci.path / "file"), "options": ["bind"]},
    ]
    return volume


def swap_at(oci, programs, syscall, turn, swap):
    """Run a container; before the @turn-th @syscall of its mounts the attacker makes his swap. Returns whether there was
    such a call."""
    action = f"{swap} && touch {oci.path}/swapped"
    (oci.path / "swapped").unlink(missing_ok=True)
    attempt_under(oci, [programs["stopat"], "oci:mounts", f"{syscall}:{turn}", action], "true")
    return (oci.path / "swapped").exists()


def swap_at_every(oci, programs, outside, volume, syscall, name, prepare):
    """The attack at each turn; the tree is made anew each time."""
    turn = 0
    swapped = True
    while swapped and turn < 40:
        turn += 1
        for path in sorted(volume.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        prepare()
        (volume / "bait").symlink_to(outside.path)
        swapped = swap_at(oci, programs, syscall, turn,
                          f"mv {volume}/{name} {volume}/aside && mv {volume}/bait {volume}/{name}")
        held(oci, outside, f"swapped before {syscall} {turn}: a mount is on the host's directory")
    return turn - 1


@pytest.mark.weakened_by("mount-by-path")
def test_a_link_swapped_in_before_the_mount_does_not_lead_it_out(oci, programs, outside):
    volume = shared_volume(oci, "place")
    watch_mounts(oci)
    turns = swap_at_every(oci, programs, outside, volume, "move_mount", "place", (volume / "place").mkdir)
    assert turns >= len(oci.config["mounts"])


@pytest.mark.parametrize("kind,syscall,inner,least", [
    pytest.param("tmpfs", "mkdirat", "a/b/c", 2, marks=pytest.mark.weakened_by("mkdir-by-path")),
    pytest.param("file", "openat", "a/file", 1, marks=pytest.mark.weakened_by("mkfile-by-path")),
    pytest.param("file", "openat2", "a/b/file", 8, marks=pytest.mark.weakened_by("resolve-on-host")),
])
def test_a_link_swapped_in_while_the_place_is_made_does_not_lead_out(oci, programs, outside, kind, syscall, inner, least):
    volume = shared_volume(oci, inner, kind)
    watch_mounts(oci)
    turns = swap_at_every(oci, programs, outside, volume, syscall, "a", (volume / "a").mkdir)
    assert turns >= least


@pytest.mark.weakened_by("remount-by-path")
def test_a_link_swapped_in_does_not_lead_a_remount_to_sysfs(oci, programs):
    """A read-only mount in a shared volume is made writable; what is made so instead would be the container's /sys."""
    volume = shared_volume(oci, "place")
    oci.config["mounts"][-1]["options"] = ["ro"]
    oci.config["mounts"].append({"destination": "/volume/place", "options": ["remount", "rw"]})
    usual_capabilities(oci)
    turn = 0
    while turn == 0 or (oci.path / "swapped").exists():
        turn += 1
        (oci.path / "swapped").unlink(missing_ok=True)
        for name in ("place", "aside"):
            path = volume / name
            if path.is_symlink():
                path.unlink()
            elif path.exists():
                path.rmdir()
        (volume / "place").mkdir()
        swap = f"mv {volume}/place {volume}/aside && ln -s /sys {volume}/place && touch {oci.path}/swapped"
        seen = attempt_under(oci, [programs["stopat"], "oci:mounts", f"openat2:{turn}", swap],
                             "sh", "-c", "(exec 9>>/sys/kernel/profiling) && echo open")
        must_not("open" in seen.splitlines(), f"swapped before openat2 {turn}: /sys can be written")
    assert turn > len(oci.config["mounts"])
