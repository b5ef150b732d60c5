"""Id-mapped mounts without root: the kernel lets only those map a file system who may do anything with it."""

import os
import subprocess

import pytest
from oci_host import NEEDS, SECONDS
from oci_user import ID, root_inside, user_oci

pytestmark = NEEDS

MAPS = [{"containerID": 5, "hostID": 3, "size": 1}]


@pytest.fixture
def oci():
    with user_oci() as o:
        yield o


@pytest.fixture
def inside(oci):
    with root_inside(oci, subids=9):
        yield oci


def bind(oci, source, *options, maps=None):
    mount = {"destination": "/data", "type": "bind", "source": str(source), "options": ["bind", *options]}
    if maps:
        mount["uidMappings"] = mount["gidMappings"] = maps
    oci.config["mounts"].append(mount)
    return f"sampan-oci: mounts[{len(oci.config['mounts']) - 1}].options: "


def host_directory(oci):
    """On a file system of the host's that root may map, with a file of the user's."""
    path = oci.path / "data"
    path.mkdir()
    (path / "file").touch()
    for p in (path, path / "file"):
        os.chown(p, ID, ID)
    return path


def own_tmpfs(inside):
    """On a tmpfs that the user's namespace mounted, with a file of its user 5."""
    path = inside.path / "own"
    path.mkdir()
    subprocess.run(inside.as_user("sh", "-c", f"mount -t tmpfs t {path} && touch {path}/file && chown 5:5 {path}/file"), check=True,
                   timeout=SECONDS)
    return path


@pytest.mark.parametrize("option", ["idmap", "ridmap"])
@pytest.mark.parametrize("maps", [None, MAPS])
def test_a_users_mount_is_refused_by_its_name(oci, option, maps):
    data = host_directory(oci)
    where = bind(oci, data, option, maps=maps)
    assert oci.refused() == (f'{where}"{option}": {data}: takes CAP_SYS_ADMIN in the user namespace that its file '
                             "system was mounted in")


def test_the_hosts_file_systems_are_refused_to_root_in_a_user_namespace(inside):
    data = host_directory(inside)
    where = bind(inside, data, "idmap", maps=MAPS)
    assert inside.refused() == (f'{where}"idmap": {data}: it is mapped already, or its file system was mounted in '
                                "another user namespace")


def test_a_tmpfs_of_its_own_is_mapped_for_root_in_a_user_namespace(inside):
    bind(inside, own_tmpfs(inside), "idmap", maps=MAPS)
    assert inside.sh("stat -c %u:%g /data /data/file").split() == ["65534:65534", "3:3"]


def test_it_is_mapped_by_a_user_namespace_of_the_containers_own(inside):
    inside.linux["namespaces"].append({"type": "user"})
    inside.linux["uidMappings"] = inside.linux["gidMappings"] = [
        {"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 5, "hostID": 3, "size": 1}]
    bind(inside, own_tmpfs(inside), "idmap")
    assert inside.sh("stat -c %u:%g /data /data/file").split() == ["0:0", "5:5"]


def test_ids_that_nobody_has_there_are_named(inside):
    inside.process["args"] = ["true"]
    where = bind(inside, own_tmpfs(inside), "idmap", maps=[{"containerID": 0, "hostID": 77, "size": 1}])
    assert inside.refused() == where.replace("options: ", "gidMappings: ") + "Operation not permitted"
