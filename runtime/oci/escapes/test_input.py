"""What comes in as text: users, paths with "..", names, annotations, huge files, a stale state.

CVE-2026-30892, CVE-2024-40635, CVE-2026-46680: users. CVE-2026-47262: a group file without end. CVE-2025-24965: annotations.
"""

import json
import os
import pathlib
import resource
import subprocess
import time

import pytest

from attack import attempt, every_capability, must_not, usual_capabilities
from oci_host import NEEDS, SECONDS, hook

pytestmark = NEEDS

# ---- users


@pytest.mark.weakened_by("user-parsed-loosely")
@pytest.mark.parametrize("user", ["1", "1:", "1:2:3", "01x", "0x1", " 1", "+1", "-1", "root", "4294967295", "4294967296",
                                  "18446744073709551617", ":1", "", "1:4294967296", "1 "])
def test_a_user_that_is_no_number_is_not_root(oci, user):
    (oci.rootfs / "etc").mkdir()
    (oci.rootfs / "etc" / "passwd").write_text("".join(
        f"{name}:x:0:0::/:/bin/sh\n" for name in ("root", "4294967296", "01x", user)))
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    r = oci.call("exec", "--user", user, "c", "id", "-u")
    must_not(r.stdout.strip() == "0", f"user {user!r} is root")
    assert r.returncode == (0 if user == "1" else 1) and r.stdout.strip() in ("1", "")


@pytest.mark.weakened_by("minus-one-is-a-user")
@pytest.mark.parametrize("way", ["run", "exec"])
@pytest.mark.parametrize("field", ["uid", "gid", "additionalGids"])
def test_minus_one_is_no_user(oci, way, field):
    """For the kernel's calls 4294967295 means "leave it": the process would stay root."""
    user = {"uid": 1000, "gid": 1000, field: [2**32 - 1] if field == "additionalGids" else 2**32 - 1}
    show = ["sh", "-c", "echo ids $(id -u) $(id -g)"]
    if way == "run":
        oci.process["user"] = user
        seen = attempt(oci, *show)
    else:
        oci.create("sleep", "1000")
        oci.ok("start", "c")
        (oci.path / "p.json").write_text(json.dumps(dict(oci.process, user=user, args=show)))
        seen = oci.call("exec", "--process", oci.path / "p.json", "c").stdout
    must_not("ids " in seen.replace("ids $", ""), f"{field} 4294967295 was taken: {seen}")


# ---- files of the image's that the runtime reads


@pytest.mark.weakened_by("passwd-read-whole")
def test_a_huge_user_file_costs_nothing(oci):
    (oci.rootfs / "etc").mkdir()
    for name in ("passwd", "group"):
        with open(oci.rootfs / "etc" / name, "wb") as f:
            f.truncate(128 << 20)  # more than the limit below, and read in time on a busy machine
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert before < 100 << 10, "another test's child was too big already to measure this one"
    assert attempt(oci, "sh", "-c", "echo home $HOME") == "home /\n"
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    must_not(peak > 100 << 10, f"the runtime took {peak} KiB")


@pytest.mark.weakened_by("passwd-from-anywhere")
@pytest.mark.parametrize("what", ["proc", "fifo"])
def test_the_user_file_is_not_read_with_the_hosts_rights_from_elsewhere(oci, what):
    """A link to a file of /proc that only the host's root may read; a fifo, to see that it is opened."""
    (oci.rootfs / "etc").mkdir()
    passwd = oci.rootfs / "etc" / "passwd"
    oci.process["user"] = {"uid": 77, "gid": 77}
    if what == "fifo":
        os.mkfifo(passwd)
        # Whoever opens the other end meanwhile lets this open succeed.
        writer = subprocess.Popen(["sh", "-c", f"exec 3>{passwd}; echo opened"], stdout=subprocess.PIPE, text=True)
        attempt(oci, "true")
        seen = "" if writer.poll() is None else writer.stdout.read()
        writer.kill()
        writer.wait()
        must_not("opened" in seen, "the runtime opened the image's fifo")
        return
    # Only who has rights over process 1 can read this one; user 77 has not, and the runtime is process 1.
    passwd.symlink_to("/proc/1/environ")
    seen = attempt(oci, "sh", "-c", "echo home $HOME", env={"A": "\nx:x:77:77::/readable:/\n"})
    must_not("home /readable" in seen, "the runtime read its own environment for the image")


# ---- "..", in every field that is a path


DOTS = "../" * 16


def to_outside(outside, name="new"):
    return f"{DOTS}{str(outside.path).lstrip('/')}/{name}"


@pytest.mark.parametrize("field", [
    pytest.param("destination", marks=pytest.mark.weakened_by("resolve-on-host")),
    pytest.param("device", marks=pytest.mark.weakened_by("resolve-on-host")),
    pytest.param("cwd", marks=pytest.mark.weakened_by("resolve-on-host")),
])
def test_dots_in_a_path_stay_in_the_root(oci, outside, field):
    path = "/" + to_outside(outside)
    if field == "destination":
        oci.config["mounts"].append({"destination": path, "type": "tmpfs"})
    elif field == "device":
        oci.linux["devices"] = [{"path": path, "type": "c", "major": 1, "minor": 3}]
    else:
        oci.process["cwd"] = path
    attempt(oci, "true")
    outside.held()


@pytest.mark.parametrize("field", ["maskedPaths", "readonlyPaths"])
@pytest.mark.weakened_by("resolve-on-host")
def test_dots_in_a_mask_do_not_cover_the_hosts(oci, outside, field):
    """The mount would be on the host's file, in the container's mount namespace: the container's own is not masked."""
    inside = oci.rootfs / str(outside.path).lstrip("/") / "new"
    inside.parent.mkdir(parents=True)
    inside.write_text("visible")
    (outside.path / "new").write_text("")
    oci.linux[field] = ["/" + to_outside(outside)]
    usual_capabilities(oci)
    path = str(outside.path / "new")
    seen = attempt(oci, "sh", "-c", f"cat {path}; echo changed >{path}; cat {path}")
    must_not((seen.startswith("visible") if field == "maskedPaths" else "changed" in seen), "the path is not covered")


@pytest.mark.weakened_by("cgroup-dots")
def test_dots_in_the_cgroup_path_are_refused(oci):
    name = f"sampan-escape-{os.getpid()}"
    oci.linux["cgroupsPath"] = f"/sampan-test/../{name}"
    oci.config["hooks"] = {"createRuntime": hook(oci, "look", f"find /sys/fs/cgroup -name {name} >{oci.path}/seen\n")}
    attempt(oci, "true")
    seen = oci.path / "seen"
    must_not(seen.exists() and name in seen.read_text(), "a cgroup was made outside of the path's own part")


@pytest.mark.weakened_by("any-id")
@pytest.mark.parametrize("id", ["../outside/new", "x/../../outside/new"])
def test_an_id_is_a_name(oci, outside, id):
    (oci.root / "x").mkdir(parents=True)
    oci.config["hooks"] = {"createRuntime": hook(oci, "look", f"ls {outside.path} >{oci.path}/seen\n")}
    attempt(oci, "true", id=id)
    seen = oci.path / "seen"
    must_not(seen.exists() and "new" in seen.read_text(), "the state is outside of its directory")
    outside.held()


@pytest.mark.weakened_by("unified-with-slashes")
def test_a_unified_key_is_a_file_of_the_cgroup(oci):
    oci.linux["resources"]["unified"] = {"../memory.max": "max"}
    oci.process["args"] = ["true"]
    must_not("expected a controller's file" not in oci.refused(), "the key was taken for a path")


# ---- annotations and hooks


@pytest.mark.weakened_by("annotations-unquoted")
def test_an_annotation_cannot_forge_the_state(oci):
    evil = 'x"},"pid":1,"bundle":"/etc","y":{"z":"'
    oci.config["annotations"] = {"a": evil, "b\"\\\n\u0001": "\u2028</script>", "c" * 500: "d" * 100000}
    oci.config["hooks"] = {"createRuntime": hook(oci, "state", f"cat >{oci.path}/state.json\n")}
    oci.create("sleep", "1000")
    for read in ((oci.path / "state.json").read_text, lambda: oci.ok("state", "c")):
        forged = json.loads(read())
        must_not(forged["pid"] == 1 or forged["bundle"] == "/etc", "the annotation became part of the state")
        assert forged["annotations"] == oci.config["annotations"]


@pytest.mark.weakened_by("annotations-obeyed")
def test_no_annotation_changes_the_runtime(oci):
    """What crun and others do for an annotation, from handlers to the caller's groups."""
    oci.process["user"] = {"uid": 1000, "gid": 1000}
    show = ["grep", "-E", "^(Uid|Gid|Groups|Cap|Seccomp|NoNew)", "/proc/self/status"]
    plain = attempt(oci, *show)
    oci.config["annotations"] = {
        "run.oci.handler": "krun", "run.oci.keep_original_groups": "1", "run.oci.mount_context_type": "rootcontext",
        "run.oci.hooks.stdout": str(oci.path / "hooked"), "run.oci.pidfd_receiver": str(oci.path / "socket"),
        "run.oci.seccomp.receiver": str(oci.path / "socket"), "run.oci.systemd.subgroup": "x",
        "io.katacontainers.config.hypervisor.path": "/bin/sh", "org.criu.config": "/etc/criu", "module.wasm.image/variant": "compat"}
    seen = attempt(oci, *show, preexec_fn=lambda: os.setgroups([27]))
    must_not(seen != plain, f"an annotation made {seen} of {plain}")
    assert not (oci.path / "hooked").exists()


@pytest.mark.weakened_by("hooks-print-for-the-container")
def test_a_hooks_output_is_not_the_containers(oci):
    """Who parses what a container prints must not be told things by a hook, nor by an image's program that runs as one."""
    oci.config["hooks"] = {"createRuntime": hook(oci, "loud", "echo forged; head -c 200000 /dev/zero\n"),
                           "startContainer": [{"path": "/bin/echo", "args": ["echo", "forged"]}]}
    oci.write("echo", "true")
    r = oci.call("run", "--bundle", oci.bundle, "d")
    must_not("forged" in r.stdout, "a hook wrote to the container's output")
    assert r.stdout == "true\n"


# ---- a state that is not true any more


@pytest.mark.weakened_by("any-process-of-that-number")
@pytest.mark.parametrize("way", ["kill", "delete", "exec"])
def test_a_number_that_was_given_again_is_not_the_container(oci, outside, way):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    victim = subprocess.Popen(["sleep", "1000"])
    state = json.loads((oci.root / "c" / "state.json").read_text())
    oci.ok("kill", "c", "KILL")
    oci.wait_status("stopped")
    state["pid"] = victim.pid
    # Else the one of another start is told from it by its cgroup as well.
    (oci.root / "c" / "state.json").write_text(json.dumps(state))
    try:
        if way == "exec":
            outside.held(oci.call("exec", "c", "cat", outside.path / "marker").stdout)
        else:
            oci.call(way, *(["c", "KILL"] if way == "kill" else ["--force", "c"]))
            end = time.monotonic() + 0.2
            while victim.poll() is None and time.monotonic() < end:
                os.sched_yield()
            must_not(victim.poll() is not None, "another process was killed")
    finally:
        victim.kill()
        victim.wait()


@pytest.mark.weakened_by("exec-into-the-hosts")
def test_exec_enters_the_container_whatever_became_of_its_process(oci, outside):
    """The first process has made namespaces of its own and replaced its program; exec is in there with it."""
    every_capability(oci)
    script = "mount -t tmpfs t /mnt && exec sleep 1000"
    (oci.rootfs / "mnt").mkdir()
    oci.create("unshare", "-m", "-n", "sh", "-c", script)
    oci.ok("start", "c")
    pid = oci.state()["pid"]
    end = time.monotonic() + SECONDS
    while " /mnt " not in pathlib.Path(f"/proc/{pid}/mounts").read_text():
        assert time.monotonic() < end
    look = f"cat {outside.path}/marker; readlink /proc/self/ns/mnt /proc/self/ns/net; grep -c ' /mnt ' /proc/mounts"
    seen = oci.call("exec", "c", "sh", "-c", look).stdout
    outside.held(seen)
    hosts = {os.readlink(f"/proc/self/ns/{n}") for n in ("mnt", "net")}
    must_not(hosts & set(seen.split()), "exec stayed in a namespace of the host's")
    assert seen.split()[-1] == "1"
