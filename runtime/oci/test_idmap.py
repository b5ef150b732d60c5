"""Id-mapped mounts on real file systems."""

import os
import subprocess

import pytest

from oci_host import NEEDS, user_namespace

pytestmark = NEEDS


def maps(*lines):
    return [{"containerID": c, "hostID": h, "size": n} for c, h, n in lines]


def bind(oci, options=("idmap",), destination="/data", uids=None, gids=None):
    mount = {"destination": destination, "type": "bind", "source": str(oci.path / "data"),
             "options": ["rbind", *options]}
    if uids:
        mount["uidMappings"] = uids
    if gids:
        mount["gidMappings"] = gids
    oci.config["mounts"].append(mount)
    return mount


@pytest.fixture
def data(oci):
    """A directory with a file of user 0 and one of user 5, group 6."""
    path = oci.path / "data"
    path.mkdir(mode=0o777)
    path.chmod(0o777)
    (path / "of0").touch()
    (path / "of5").touch()
    os.chown(path / "of5", 5, 6)
    return path


OWNERS = "cd /data && stat -c '%n %u:%g' of0 of5"


def test_a_mounts_own_lists_decide(oci, data):
    bind(oci, uids=maps((0, 1000, 1), (5, 2000, 1)), gids=maps((0, 1001, 1), (6, 2001, 1)))
    out = oci.sh(OWNERS + "; cat /proc/self/uid_map")
    assert out.split("\n")[:2] == ["of0 1000:1001", "of5 2000:2001"]
    assert out.split()[4:7] == ["0", "0", "4294967295"]  # no user namespace


def test_what_is_written_through_it_is_mapped_back(oci, data):
    oci.process["user"] = {"uid": 1000, "gid": 1001}
    os.chown(data, 7, 8)
    bind(oci, uids=maps((7, 1000, 1)), gids=maps((8, 1001, 1)))
    oci.sh("touch /data/new")
    assert ((data / "new").stat().st_uid, (data / "new").stat().st_gid) == (7, 8)


def test_lists_without_the_option_count_too(oci, data):
    bind(oci, options=(), uids=maps((0, 1000, 9)), gids=maps((0, 1000, 9)))
    assert oci.sh(OWNERS).split("\n")[:2] == ["of0 1000:1000", "of5 1005:1006"]


def test_the_containers_mapping_is_taken_without_lists(oci, data):
    user_namespace(oci)
    bind(oci)
    bind(oci, options=(), destination="/plain")
    out = oci.sh(OWNERS + "; cd /plain; stat -c '%n %u:%g' of0; touch /data/new")
    assert out.splitlines() == ["of0 0:0", "of5 5:6", "of0 65534:65534"]
    assert (data / "new").stat().st_uid == 0


def test_the_mapping_of_a_joined_namespace_is_taken(oci, data):
    user = subprocess.Popen(["unshare", "--user", "sh", "-c", "echo; exec sleep 1000"],
                            stdout=subprocess.PIPE)
    user.stdout.readline()
    for file in ("uid_map", "gid_map"):
        with open(f"/proc/{user.pid}/{file}", "w") as f:
            f.write("0 100000 65536")
    for path in (oci.rootfs, oci.rootfs / "bin"):
        os.chown(path, 100000, 100000)
    oci.linux["namespaces"].append({"type": "user", "path": f"/proc/{user.pid}/ns/user"})
    bind(oci)
    try:
        assert oci.sh(OWNERS).splitlines() == ["of0 0:0", "of5 5:6"]
    finally:
        user.kill()
        user.wait()


def count_clones(oci):
    """How many processes the runtime makes, the container's own first program aside."""
    oci.write("true")
    trace = oci.path / "trace"
    subprocess.run(["strace", "-f", "-qq", "-o", trace, "-e", "trace=clone,clone3,fork,vfork",
                    *oci.command("run", "--bundle", oci.bundle, "c")],
                   stdin=subprocess.DEVNULL, check=True, timeout=60)
    return trace.read_text().count("clone")


def test_one_helper_serves_all_mounts_with_the_same_lists(oci, data):
    user_namespace(oci)
    same = maps((0, 100000, 65536))
    other = maps((0, 100005, 1))
    for k in range(3):
        bind(oci, destination=f"/own{k}", uids=same, gids=same)
    bind(oci, destination="/container")
    plain = count_clones(oci)
    for k in range(3):
        bind(oci, destination=f"/other{k}", uids=other, gids=other)
    assert count_clones(oci) == plain + 1
    out = oci.sh("for d in /own* /container /other*; do stat -c %u $d/of0; done")
    assert out.split() == ["0"] * 4 + ["5"] * 3


@pytest.mark.parametrize("option,below", [("idmap", "0"), ("ridmap", "1000")])
def test_ridmap_reaches_the_mounts_below(oci, data, option, below):
    (data / "sub").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "t", data / "sub"], check=True)
    try:
        bind(oci, options=(option,), uids=maps((0, 1000, 1)), gids=maps((0, 1000, 1)))
        out = oci.sh("stat -c %u /data/of0 /data/sub")
    finally:
        subprocess.run(["umount", data / "sub"], check=True)
    assert out.split() == ["1000", below]


def test_the_hosts_own_view_stays(oci, data):
    bind(oci, uids=maps((0, 1000, 1)), gids=maps((0, 1000, 1)))
    oci.create("sleep", "1000")
    assert (data / "of0").stat().st_uid == 0


def test_what_cannot_be_mapped_is_said(oci, data):
    one = maps((0, 1000, 1))
    oci.process["args"] = ["true"]
    mount = bind(oci, uids=one, gids=one)
    mount["source"] = "/proc"
    assert oci.refused() == (
        'sampan-oci: mounts[7].options: "idmap": /proc: its file system, or one mounted below '
        "it, cannot be mapped")
    mount["source"] = str(data)
    mount["uidMappings"] = maps((0, 1000, 2), (1, 5000, 1))
    assert "mounts[7].uidMappings: Invalid argument" in oci.refused()
    mount["uidMappings"], mount["gidMappings"] = one, maps((0, 0, 0))
    assert "mounts[7].gidMappings: Invalid argument" in oci.refused()
    del mount["gidMappings"]
    assert "mounts[7].gidMappings: missing beside uidMappings" in oci.refused()
    del mount["uidMappings"]
    assert 'mounts[7].options: "idmap" needs uidMappings or a user namespace' in oci.refused()
