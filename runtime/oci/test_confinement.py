"""What the container's process may do and what it holds: capabilities, limits, descriptors, directory."""

import os
import subprocess

from oci_host import NEEDS, SECONDS

pytestmark = NEEDS


def test_capabilities(oci):
    caps = oci.process["capabilities"]
    caps["bounding"] = caps["permitted"] = ["CAP_KILL", "CAP_NET_BIND_SERVICE"]
    caps["inheritable"] = caps["effective"] = caps["ambient"] = ["CAP_NET_BIND_SERVICE"]
    oci.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5, 6]}
    out = oci.sh("grep -E 'Cap|NoNew|Groups' /proc/self/status")
    seen = dict(line.split(":\t") for line in out.splitlines())
    bind = f"{1 << 10:016x}"
    assert seen["CapInh"] == seen["CapEff"] == seen["CapAmb"] == seen["CapPrm"] == bind
    assert seen["CapBnd"] == f"{1 << 10 | 1 << 5:016x}"
    assert seen["NoNewPrivs"] == "1"
    assert seen["Groups"].split() == ["5", "6"]


def test_capabilities_that_cannot_be_granted_are_left_out(oci):
    caps = oci.process["capabilities"]
    for name in ("bounding", "permitted", "effective", "inheritable", "ambient"):
        caps[name] = ["CAP_KILL", "CAP_SYS_PACCT"]
    oci.write("grep", "-E", "Cap(Prm|Eff|Inh|Bnd|Amb)", "/proc/self/status")
    without = ["setpriv", "--bounding-set", "-sys_pacct", *oci.command("run", "--bundle", oci.bundle, "c")]
    r = subprocess.run(without, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=SECONDS)
    assert r.returncode == 0, r.stderr
    assert {line.split()[1] for line in r.stdout.splitlines()} == {f"{1 << 5:016x}"}
    assert "process.capabilities.bounding: CAP_SYS_PACCT cannot be granted" in r.stderr


def test_without_capabilities_there_are_none(oci):
    del oci.process["capabilities"]
    out = oci.sh("grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status")
    assert {line.split()[1] for line in out.splitlines()} == {"0" * 16}


def test_limits_umask_oom_sysctl_and_home(oci):
    oci.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88},
                              {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    oci.process["user"]["umask"] = 0o27
    oci.process["oomScoreAdj"] = 321
    oci.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"}
    (oci.rootfs / "etc").mkdir()
    (oci.rootfs / "etc" / "passwd").write_text("root:x:0:0::/my/home:/bin/sh\n")
    out = oci.sh("ulimit -Sn; ulimit -Hn; umask; cat /proc/self/oom_score_adj; "
                 "cat /proc/sys/net/ipv4/ip_forward; echo $HOME")
    assert out.split() == ["77", "88", "0027", "321", "1", "/my/home"]


def test_working_directory_is_made_and_confined(oci):
    oci.process["cwd"] = "/made/for/me"
    assert oci.run("pwd") == "/made/for/me\n"
    # CVE-2024-21626: through a descriptor of the runtime's to a directory of the host's.
    for fd in range(3, 20):
        oci.process["cwd"] = f"/proc/self/fd/{fd}"
        assert "process.cwd" in oci.refused()


def test_no_descriptor_leaks(oci):
    read, write = os.pipe()
    os.set_inheritable(write, True)
    out = oci.sh("ls /proc/self/fd", close_fds=False).split()
    os.close(read)
    os.close(write)
    assert set(out) <= {"0", "1", "2", "3"}  # 3 is ls's own


def test_preserved_descriptors(oci):
    oci.write("sh", "-c", "echo through >&3; echo also >&4")
    command = oci.command("run", "--preserve-fds", "2", "--bundle", oci.bundle, "c")
    shell = ["sh", "-c", f'exec 3>{oci.path}/f 4>{oci.path}/g; exec "$@"', "sh"]
    subprocess.run(shell + command, stdin=subprocess.DEVNULL, check=True, timeout=SECONDS)
    assert (oci.path / "g").read_text() == "also\n"
    assert (oci.path / "f").read_text() == "through\n"
    r = oci.call("run", "--preserve-fds", "40", "--bundle", oci.bundle, "c")
    assert r.returncode == 1 and "is not open" in r.stderr


def test_a_forbidden_call_gives_its_error(oci):
    oci.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"},
                     {"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
    }
    for privileges in (True, False):
        oci.process["noNewPrivileges"] = privileges
        oci.process["capabilities"]["bounding"] = []
        oci.process["capabilities"]["effective"] = []
        oci.process["capabilities"]["permitted"] = []
        out = oci.sh("mkdir /x 2>&1; chmod 700 /bin 2>&1; grep Seccomp: /proc/self/status")
        assert "Operation not permitted" in out
        assert "No space left on device" in out
        assert out.endswith("Seccomp:\t2\n")
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    assert "Operation not permitted" in oci.call("exec", "c", "mkdir", "/x").stderr
