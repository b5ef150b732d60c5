"""Namespaces: new ones, joined ones, and those of users."""

import os
import pathlib
import subprocess

from oci_host import NEEDS, user_namespace

pytestmark = NEEDS


def test_namespaces_are_its_own(oci):
    oci.linux["namespaces"].append({"type": "time"})
    oci.linux["timeOffsets"] = {"boottime": {"secs": 864000}}
    out = oci.sh("echo $$; hostname; for n in /proc/self/ns/*; do readlink $n; done; "
                 "ls /sys/class/net; "
                 "cut -d. -f1 /proc/uptime; cat /proc/self/cgroup | grep 0::").split()
    assert out[:2] == ["1", "container"]
    names = {o.split(":")[0]: o for o in out if ":[" in o}
    for ns in ("pid", "net", "ipc", "uts", "mnt", "cgroup", "time"):
        assert names[ns] != os.readlink(f"/proc/self/ns/{ns}")
    assert names["user"] == os.readlink("/proc/self/ns/user")
    assert "lo" in out and "eth0" not in out
    host = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    assert abs(int(out[-2]) - host - 864000) < 60
    assert out[-1] == "0::/"


def test_a_namespace_can_be_joined(oci):
    oci.create("sleep", "1000")
    pid = oci.state()["pid"]
    want = [os.readlink(f"/proc/{pid}/ns/{ns}") for ns in ("net", "ipc", "pid")]
    for n in oci.linux["namespaces"]:
        name = {"network": "net", "ipc": "ipc", "pid": "pid"}.get(n["type"])
        if name:
            n["path"] = f"/proc/{pid}/ns/{name}"
    oci.linux["cgroupsPath"] += "-2"
    got = oci.sh("for n in net ipc pid; do readlink /proc/self/ns/$n; done", id="d")
    assert got.split() == want
    oci.linux["namespaces"][0]["path"] = "/proc/self/ns/uts"
    assert "linux.namespaces: pid: /proc/self/ns/uts is not such a namespace" in oci.refused("d")


def test_user_namespace_with_maps(oci):
    user_namespace(oci)
    out = oci.sh("cat /proc/self/uid_map; id -u; touch /new; ls -ln /dev/null /dev/zero | wc -l; "
                 "echo x >/dev/null; mknod /tmpnode c 1 3 || echo no nodes")
    assert out.split()[:4] == ["0", "100000", "65536", "0"]
    assert "no nodes" in out
    assert (oci.rootfs / "new").stat().st_uid == 100000


def test_user_namespace_can_be_joined_and_entered(oci):
    user_namespace(oci)
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    pid = oci.state()["pid"]
    want = os.readlink(f"/proc/{pid}/ns/user")
    script = "readlink /proc/self/ns/user; id -u"
    assert oci.ok("exec", "c", "sh", "-c", script).split() == [want, "0"]
    for n in oci.linux["namespaces"]:
        if n["type"] in ("user", "network"):
            n["path"] = f"/proc/{pid}/ns/{'net' if n['type'] == 'network' else 'user'}"
    del oci.linux["uidMappings"], oci.linux["gidMappings"]
    oci.linux["cgroupsPath"] += "-2"
    assert oci.sh(script, id="d").split() == [want, "0"]


def test_the_callers_groups_are_not_the_containers(oci):
    # In a namespace that denies setgroups(2), where nobody inside can drop them.
    user = subprocess.Popen(["unshare", "--user", "sh", "-c", "echo; exec sleep 1000"],
                            stdout=subprocess.PIPE)
    user.stdout.readline()
    for file, text in (("setgroups", "deny"), ("gid_map", "0 100000 9"), ("uid_map", "0 100000 9")):
        pathlib.Path(f"/proc/{user.pid}/{file}").write_text(text)
    for path in (oci.rootfs, oci.rootfs / "bin"):
        os.chown(path, 100000, 100000)
    oci.linux["namespaces"].append({"type": "user", "path": f"/proc/{user.pid}/ns/user"})
    show = ["grep", "Groups", "/proc/self/status"]
    groups = {"preexec_fn": lambda: os.setgroups([4, 27])}
    try:
        assert oci.run(*show, **groups).split() == ["Groups:"]
        oci.create("sleep", "1000")
        oci.ok("start", "c")
        assert oci.ok("exec", "c", *show, **groups).split() == ["Groups:"]
    finally:
        user.kill()
        user.wait()
