"""The process section of config.json in real containers: what a process may do, where and when."""

import ctypes
import json
import os
import resource
import subprocess

import pytest

from oci_host import NEEDS, SECONDS

pytestmark = NEEDS

CPUS = sorted(os.sched_getaffinity(0))


def may(policy, priority):
    """Can this machine's root do it at all?"""
    pid = os.fork()
    if pid == 0:
        try:
            os.sched_setscheduler(0, policy, os.sched_param(priority))
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


# ---- capabilities


def test_unknown_capabilities_are_warned_of(oci):
    for name in ("bounding", "effective"):
        oci.process["capabilities"][name] = ["CAP_KILL", "CAP_TIME_TRAVEL"]
    oci.write("grep", "CapBnd", "/proc/self/status")
    r = oci.call("run", "--bundle", oci.bundle, "c")
    assert r.returncode == 0, r.stderr
    assert r.stdout.split()[1] == f"{1 << 5:016x}"
    told = [x for x in r.stderr.splitlines() if "TIME_TRAVEL" in x]
    assert told == ['sampan-oci: warning: process.capabilities: "CAP_TIME_TRAVEL" is unknown, left out']


def test_capabilities_that_contradict_each_other_are_left_out(oci):
    caps = oci.process["capabilities"]
    caps["bounding"] = caps["permitted"] = ["CAP_KILL"]
    caps["effective"] = ["CAP_KILL", "CAP_CHOWN"]
    caps["inheritable"] = ["CAP_KILL", "CAP_FOWNER"]
    caps["ambient"] = ["CAP_KILL", "CAP_FOWNER"]
    oci.write("grep", "-E", "Cap(Prm|Eff|Inh|Bnd|Amb)", "/proc/self/status")
    r = oci.call("run", "--bundle", oci.bundle, "c")
    assert r.returncode == 0, r.stderr
    assert {x.split()[1] for x in r.stdout.splitlines()} == {f"{1 << 5:016x}"}
    assert "process.capabilities.effective: CAP_CHOWN cannot be granted" in r.stderr
    assert "process.capabilities.inheritable: CAP_FOWNER cannot be granted" in r.stderr


# ---- scheduler, I/O priority


@pytest.mark.parametrize("policy,number,more", [
    ("SCHED_OTHER", 0, {"nice": 7}),
    ("SCHED_BATCH", 3, {"nice": 3}),
    ("SCHED_IDLE", 5, {}),
    ("SCHED_FIFO", 1, {"priority": 4}),
    ("SCHED_RR", 2, {"priority": 9}),
])
def test_scheduler_policies(oci, policy, number, more):
    if "priority" in more and not may(number, more["priority"]):
        pytest.skip(f"this machine's root may not use {policy}")
    oci.process["scheduler"] = {"policy": policy, **more}
    # Fields 19 (nice), 40 (real-time priority) and 41 (policy) of stat, counted behind the name.
    fields = oci.run("cat", "/proc/self/stat").rpartition(")")[2].split()
    assert int(fields[41 - 3]) == number
    assert int(fields[40 - 3]) == more.get("priority", 0)
    if number in (0, 3):
        assert int(fields[19 - 3]) == more["nice"]


def test_scheduler_flags(oci):
    oci.process["scheduler"] = {"policy": "SCHED_OTHER", "nice": -5,
                                "flags": ["SCHED_FLAG_RESET_ON_FORK"]}
    # The shell is favoured, its children are not.
    out = oci.sh('read -r line </proc/self/stat; cat /proc/self/stat; echo "$line"')
    assert [int(x.rpartition(")")[2].split()[19 - 3]) for x in out.splitlines()] == [0, -5]


def test_the_deadline_scheduler(oci):
    oci.process["scheduler"] = {"policy": "SCHED_DEADLINE", "runtime": 1000000,
                                "deadline": 10000000, "period": 10000000}
    oci.write("cat", "/proc/self/stat")
    r = oci.call("run", "--bundle", oci.bundle, "c")
    if r.returncode:
        assert r.stderr == ("sampan-oci: process.scheduler: SCHED_DEADLINE: "
                            "Operation not permitted\n")
        pytest.skip("this machine's root may not use SCHED_DEADLINE")
    assert int(r.stdout.rpartition(")")[2].split()[41 - 3]) == 6


@pytest.mark.parametrize("name,seen", [
    ("IOPRIO_CLASS_BE", "best-effort: prio 6"), ("IOPRIO_CLASS_IDLE", "idle"),
    ("IOPRIO_CLASS_RT", "realtime: prio 6")])
def test_io_priority(oci, name, seen):
    oci.process["ioPriority"] = {"class": name, "priority": 6}
    oci.write("ionice")
    r = oci.call("run", "--bundle", oci.bundle, "c")
    if r.returncode and name == "IOPRIO_CLASS_RT":
        assert "process.ioPriority: IOPRIO_CLASS_RT: Operation not permitted" in r.stderr
        pytest.skip("this machine's root may not")
    assert r.returncode == 0 and r.stdout.strip().startswith(seen), r


# ---- CPUs of exec


def affinity(oci, **lists):
    oci.process["execCPUAffinity"] = lists
    oci.create("sh", "-c", "grep Cpus_allowed_list /proc/self/status >/part; mv /part /cpus; exec sleep 1000")
    oci.ok("start", "c")
    return oci.ok("exec", "c", "grep", "Cpus_allowed_list", "/proc/self/status").split()[1]


@pytest.mark.skipif(len(CPUS) < 2, reason="needs two processors")
def test_exec_runs_on_the_final_cpus(oci):
    assert affinity(oci, initial=str(CPUS[0]), final=str(CPUS[1])) == str(CPUS[1])
    # It is not for the container's first process.
    oci.wait_until((oci.rootfs / "cpus").exists)
    assert (oci.rootfs / "cpus").read_text().split()[1] != str(CPUS[1])


@pytest.mark.skipif(len(CPUS) < 2, reason="needs two processors")
def test_exec_leaves_the_initial_cpus(oci):
    text = affinity(oci, initial=str(CPUS[0]))
    assert text != str(CPUS[0])
    # Of process.json; the runtime itself is on the initial ones.
    process = {"cwd": "/", "args": ["sleep", "1000"], "execCPUAffinity": {"initial": str(CPUS[1])}}
    path = oci.path / "process.json"
    path.write_text(json.dumps(process))
    with subprocess.Popen(oci.command("exec", "--process", path, "--pid-file", oci.path / "pid", "c"),
                          stdin=subprocess.DEVNULL) as p:
        while not (oci.path / "pid").exists() and p.poll() is None:
            os.sched_yield()
        assert os.sched_getaffinity(p.pid) == {CPUS[1]}
        assert os.sched_getaffinity(int((oci.path / "pid").read_text())) >= set(CPUS)
        os.kill(int((oci.path / "pid").read_text()), 9)
        p.wait(SECONDS)


def test_cpus_that_are_not_there_are_refused(oci):
    oci.process["execCPUAffinity"] = {"final": "8000"}
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    r = oci.call("exec", "c", "true")
    assert r.returncode == 1
    assert r.stderr == "sampan-oci: process.execCPUAffinity.final: 8000: Invalid argument\n"


# ---- memory nodes, personality, the rest


def numa():
    return ctypes.CDLL(None, use_errno=True).syscall(238, 0, None, 0) == 0


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the system call's number is x86_64's")
def test_memory_policy(oci):
    oci.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0",
                                 "flags": ["MPOL_F_STATIC_NODES"]}
    if not numa():
        assert oci.refused() == "sampan-oci: linux.memoryPolicy: this kernel has no NUMA"
        return
    assert "bind=static:0" in oci.sh("head -n 1 /proc/self/numa_maps")
    oci.linux["memoryPolicy"]["nodes"] = "900"
    assert oci.refused().startswith(
        'sampan-oci: linux.memoryPolicy: MPOL_BIND of nodes "900": ')


def test_personality(oci):
    oci.linux["personality"] = {"domain": "LINUX32"}
    assert oci.run("uname", "-m").strip() in ("i686", "armv8l", "armv7l")
    oci.create("sleep", "1000", id="d")
    oci.ok("start", "d")
    assert oci.ok("exec", "d", "uname", "-m").strip() in ("i686", "armv8l", "armv7l")


def test_limits_of_every_kind(oci):
    names = ["AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE",
             "NOFILE", "NPROC", "RSS", "RTPRIO", "RTTIME", "SIGPENDING", "STACK"]
    large = {"AS", "DATA", "STACK", "RSS", "CPU", "NPROC"}
    wanted = []
    for i, n in enumerate(names):
        # Without CAP_SYS_RESOURCE no limit can be raised above the caller's.
        top = resource.getrlimit(getattr(resource, f"RLIMIT_{n}"))[1] if hasattr(
            resource, f"RLIMIT_{n}") else 10
        hard = (1 << 40 if n in large else 20 + i)
        hard = hard if top < 0 else min(top, hard)
        wanted.append({"type": f"RLIMIT_{n}", "soft": max(hard - 1, 0), "hard": hard})
    oci.process["rlimits"] = wanted
    rows = oci.run("cat", "/proc/self/limits").splitlines()[1:]
    seen = sorted(tuple(map(int, r[26:].split()[:2])) for r in rows)
    assert seen == sorted((w["soft"], w["hard"]) for w in wanted)


def test_umask(oci):
    oci.process["user"]["umask"] = 0o027
    assert oci.sh("umask") == "0027\n"
    del oci.process["user"]["umask"]
    assert oci.sh("umask") == "0022\n"


def test_host_and_domain_name(oci):
    oci.config["hostname"] = "ship"
    oci.config["domainname"] = "sea.example"
    out = oci.sh("hostname; cat /proc/sys/kernel/domainname")
    assert out == "ship\nsea.example\n"


def test_sysctl_in_both_spellings(oci):
    oci.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel/msgmax": "4321",
                           "net/ipv4/conf/lo/rp_filter": "2"}
    out = oci.sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax "
                 "/proc/sys/net/ipv4/conf/lo/rp_filter")
    assert out == "1\n4321\n2\n"
    for name in ("net/../kernel/core_pattern", "net..ipv4", "kernel.core_pattern"):
        oci.linux["sysctl"] = {name: "x"}
        assert f"linux.sysctl.{name}: " in oci.refused()


def test_annotations_of_any_name_are_in_the_state(oci):
    oci.config["annotations"] = {"org.opencontainers.image.stopSignal": "SIGINT",
                                 "org.opencontainers.unknown": "", "com.example.x": "é\n"}
    oci.create("sleep", "1000")
    assert oci.state()["annotations"] == oci.config["annotations"]


def test_a_process_file_has_the_same_fields(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    path = oci.path / "process.json"
    path.write_text("""{"cwd": "/", "args": ["sh", "-c", "umask; ionice; id -G"],
        "env": ["PATH=/bin"], "user": {"uid": 5, "gid": 6, "umask": 63, "additionalGids": [7, 8]},
        "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0}, "newer": 1}""")
    r = oci.call("exec", "--process", path, "c")
    assert r.returncode == 0, r.stderr
    assert r.stdout.splitlines() == ["0077", "idle", "6 7 8"]
    assert "newer: unknown key, ignored" in r.stderr
    path.write_text('{"cwd": "/", "args": ["true"], "scheduler": {"policy": "SCHED_ISO"}}')
    r = oci.call("exec", "--process", path, "c")
    assert r.returncode == 1 and "scheduler.policy: Linux has no SCHED_ISO" in r.stderr
