"""The container's cgroup belongs to its root where that may manage it."""

import pathlib

import pytest
from oci_host import NEEDS, user_namespace

pytestmark = NEEDS

ROOT = 100000  # user_namespace's


def cgroup_root():
    """The cgroup2 mount, as the runtime looks for it."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[2] == "cgroup2":
            return pathlib.Path(line.split()[1])
    pytest.skip("no cgroup v2 on this host")


def owners(oci):
    """{name: (uid, gid)} of the container's cgroup."""
    folder = cgroup_root() / oci.linux["cgroupsPath"].lstrip("/")
    return {path.name: (path.stat().st_uid, path.stat().st_gid) for path in [folder, *folder.iterdir()]}


def with_user_namespace(oci, *, options=("nosuid", "noexec", "nodev"), namespaces=("user", "cgroup")):
    oci.linux["namespaces"] = [n for n in oci.linux["namespaces"] if n["type"] != "cgroup"]
    if "cgroup" in namespaces:
        oci.linux["namespaces"].append({"type": "cgroup"})
    if "user" in namespaces:
        user_namespace(oci)
    oci.config["mounts"] = [m for m in oci.config["mounts"] if m["type"] != "cgroup"]
    oci.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                 "options": list(options)})


def test_the_root_of_a_user_namespace_owns_what_may_be_delegated(oci):
    with_user_namespace(oci)
    oci.create("sleep", "1000")
    found = owners(oci)
    given = set(pathlib.Path("/sys/kernel/cgroup/delegate").read_text().split()) & set(found)
    assert {"cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} <= given
    folder = oci.linux["cgroupsPath"].rsplit("/", 1)[1]
    for name, owner in found.items():
        assert owner == ((ROOT, ROOT) if name in given | {folder} else (0, 0)), name


def test_the_root_of_a_user_namespace_makes_cgroups_of_its_own(oci):
    with_user_namespace(oci)
    out = oci.sh("mkdir /sys/fs/cgroup/below && echo $$ >/sys/fs/cgroup/below/cgroup.procs && grep ^0: /proc/self/cgroup")
    assert out == "0::/below\n"


@pytest.mark.parametrize("change", [
    {"options": ("nosuid", "noexec", "nodev", "ro")},
    {"namespaces": ("user",)},
    {"namespaces": ("cgroup",)},
], ids=["read-only", "without a cgroup namespace", "without a user namespace"])
def test_no_one_else_gets_the_cgroup(oci, change):
    with_user_namespace(oci, **change)
    oci.create("sleep", "1000")
    assert set(owners(oci).values()) == {(0, 0)}
