"""restore: what CRIU is asked for, and what becomes of its answers."""

import json
import os
import pathlib
import shutil
import signal
import socket

import pytest
from criu_host import CLONE_NEWNET, DEFAULT, DONE, NOTIFY, RESTORE, RESTORED, SLEEP, SOFT, Criu, restorable, running
from oci_host import NEEDS, hook, receive_master

pytestmark = NEEDS


@pytest.fixture
def criu(oci):
    c = Criu(oci)
    yield c


def test_restore_asks_for_what_runc_asks_for(oci, criu):
    (oci.path / "source").mkdir()
    oci.config["mounts"].append({"destination": "/there/deep", "type": "bind", "source": str(oci.path / "source"),
                                 "options": ["rbind"]})
    oci.config["mounts"].append({"destination": "/dev/inside", "type": "bind", "source": str(oci.path / "source"),
                                 "options": ["bind"]})
    restorable(oci, criu)
    criu.answer(*RESTORED)
    r = criu.restore("--detach", "--pid-file", oci.path / "pid")
    assert (r.returncode, r.stderr) == (0, "")
    version, request, *notified = criu.requests()
    assert version["type"] == 10 and request["type"] == RESTORE
    assert [(n["type"], n["notify_success"]) for n in notified] == [(NOTIFY, True)] * 3
    opts = request["opts"]
    external = {mount["key"]: mount["val"] for mount in opts.pop("ext_mnt")}
    cgroup = opts.pop("cg_root", None)
    assert opts == {
        "images_dir_fd": str(criu.images), "ext_unix_sk": False, "tcp_established": False, "evasive_devices": True,
        "shell_job": False, "file_locks": False, "log_level": 4, "log_file": "restore.log", "notify_scripts": True,
        "root": str(oci.root / "r"), "auto_dedup": False, "manage_cgroups": True, "rst_sibling": True,
        "manage_cgroups_mode": DEFAULT, "empty_ns": CLONE_NEWNET, "orphan_pts_master": True,
        "config_file": "/etc/criu/runc.conf"}
    assert external["/there/deep"] == str(oci.path / "source") and external["/dev/null"] == "/dev/null"
    if cgroup:
        assert cgroup == [{"ctrl": "", "path": oci.linux["cgroupsPath"]}]
        assert f"0::{oci.linux['cgroupsPath']}\n" in request["seen"]["cgroup"]
    seen = request["seen"]
    # there CRIU mounts things
    assert seen["images_dir_fd"] is True
    assert seen["root_is_a_mount"] and seen["mounts"] != os.readlink("/proc/self/ns/mnt")
    assert {"there/deep", "proc", "sys"} <= set(seen["root"]) and "dev/inside" not in seen["root"]
    assert str(oci.root / "r") not in pathlib.Path("/proc/self/mountinfo").read_text().split()
    state = oci.state("r")
    assert state["status"] == "running" and (oci.path / "pid").read_text() == str(state["pid"])
    assert pathlib.Path(f"/proc/{state['pid']}/comm").read_text() == "sleep\n"
    oci.ok("delete", "--force", "r")


def test_every_option_of_restore_arrives(oci, criu):
    restorable(oci, criu)
    criu.answer(*RESTORED)
    work = oci.path / "work"
    r = criu.restore("--detach", "--work-path", work, "--tcp-established", "--ext-unix-sk", "--shell-job",
                     "--file-locks", "--manage-cgroups-mode", "soft", "--auto-dedup", "--no-subreaper",
                     "--lsm-profile", "apparmor:other", "--lsm-mount-context", "label")
    assert r.returncode == 0, r.stderr
    opts = criu.requests()[1]["opts"]
    assert all(opts[name] for name in ("tcp_established", "ext_unix_sk", "shell_job", "file_locks", "auto_dedup"))
    assert (opts["work_dir_fd"], opts["manage_cgroups_mode"]) == (str(work), SOFT)
    assert criu.requests()[1]["seen"]["work_dir_fd"] is True
    assert (opts["lsm_profile"], opts["lsm_mount_context"]) == ("apparmor:other", "label")


def test_pipes_of_the_standard_descriptors_get_new_ends(oci, criu):
    old_read, old_write = os.pipe()
    running(oci, stdout=old_write)
    name = os.readlink(f"/proc/self/fd/{old_write}")
    criu.answer(DONE)
    assert criu.checkpoint().returncode == 0
    assert json.loads((criu.images / "descriptors.json").read_text()) == ["", name, ""]
    criu.answer(*RESTORED)
    new_read, new_write = os.pipe()
    done = criu.restore("--detach", id="c", stdout=new_write)
    assert done.returncode == 0, done.stderr
    request = criu.requests()[1]
    assert request["opts"]["inherit_fd"] == [{"key": name, "fd": 1}]
    assert request["seen"]["inherited"]["1"] == os.readlink(f"/proc/self/fd/{new_write}")
    # a second checkpoint knows the new one
    criu.answer(DONE)
    assert criu.checkpoint("--leave-running").returncode == 0
    assert json.loads((criu.images / "descriptors.json").read_text())[1] == os.readlink(f"/proc/self/fd/{new_write}")
    for fd in (old_read, old_write, new_read, new_write):
        os.close(fd)


def test_restore_in_the_foreground_stays_until_the_end(oci, criu):
    restorable(oci, criu)
    criu.answer({"start": ["sh", "-c", "exit 7"]}, *RESTORED[1:])
    assert criu.restore().returncode == 7
    assert oci.call("state", "r").returncode == 1


@pytest.mark.parametrize("readonly, mode", [(True, "ro"), (False, "rw")])
def test_the_root_is_read_only_again(oci, criu, readonly, mode):
    oci.config["root"]["readonly"] = readonly
    restorable(oci, criu)
    criu.answer({"start": ["unshare", "--mount", *SLEEP]}, *RESTORED[1:])
    r = criu.restore("--detach")
    assert r.returncode == 0, r.stderr
    mounts = pathlib.Path(f"/proc/{oci.state('r')['pid']}/mountinfo").read_text().splitlines()
    assert [line.split()[5].split(",")[0] for line in mounts if line.split()[4] == "/"][-1] == mode
    own = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    assert [line.split()[5].split(",")[0] for line in own if line.split()[4] == "/"][-1] == "rw"


def test_hooks_of_the_host_run_when_the_namespaces_are_there(oci, criu):
    oci.config["hooks"] = {kind: hook(oci, kind, f"cat >{oci.path}/said-{kind}") for kind in ("prestart", "createRuntime")}
    restorable(oci, criu)
    criu.answer(*RESTORED)
    assert criu.restore("--detach").returncode == 0
    for kind in oci.config["hooks"]:
        assert json.loads((oci.path / f"said-{kind}").read_text())["pid"] == oci.state("r")["pid"]


def test_a_terminal_goes_to_the_console_socket(oci, criu):
    oci.process["terminal"] = True
    restorable(oci, criu)
    assert "process.terminal: needs --console-socket" in criu.restore("--detach").stderr
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(oci.path / "sock"))
    server.listen()
    terminal = {"type": NOTIFY, "success": True, "notify": {"script": "orphan-pts-master"}, "fd": "/dev/ptmx"}
    criu.answer(RESTORED[0], terminal, *RESTORED[1:])
    r = criu.restore("--detach", "--console-socket", oci.path / "sock")
    assert r.returncode == 0, r.stderr
    assert os.readlink(f"/proc/self/fd/{receive_master(server)}") in ("/dev/ptmx", "/dev/pts/ptmx")


@pytest.mark.parametrize("answers, said", [
    ([{"type": RESTORE, "success": False, "cr_errno": 13}], "restore container r: criu failed: Permission denied"),
    ([{"start": SLEEP}, {"exit": 1}], "restore container r: criu ended without an answer"),
    ([{"type": RESTORE, "success": True, "restore": {"pid": 1}}], "criu: answered before its processes were there"),
], ids=["failed", "ended", "no process"])
def test_a_failed_restore_leaves_nothing(oci, criu, answers, said):
    restorable(oci, criu)
    criu.answer(*answers)
    r = criu.restore("--detach", "--pid-file", oci.path / "pid")
    assert r.returncode == 1 and said in r.stderr
    assert not (oci.root / "r").exists() and not (oci.path / "pid").exists()


def test_what_fails_after_the_process_is_there_ends_it(oci, criu):
    restorable(oci, criu)
    criu.answer(*RESTORED)
    r = criu.restore("--detach", "--pid-file", oci.path / "missing" / "pid")
    assert r.returncode == 1 and "--pid-file: write" in r.stderr
    assert [n["notify_success"] for n in criu.requests()[2:]] == [True, False]
    assert not (oci.root / "r").exists()


def test_restore_wants_images(oci, criu):
    oci.write(*SLEEP)
    assert "--image-path: open" in criu.restore("--detach").stderr
    criu.images.mkdir()
    r = criu.restore("--detach")
    assert r.returncode == 1 and "descriptors.json" in r.stderr
    assert not (oci.root / "r").exists()


@pytest.mark.skipif(not shutil.which("criu"), reason="CRIU is not installed")
def test_criu_itself_understands_us(oci):
    """Up to what this kernel can do: the answer is CRIU's own."""
    running(oci)
    images = oci.path / "images"
    r = oci.call("checkpoint", "--leave-running", "--image-path", images, "c", timeout=60)
    if r.returncode != 0:
        assert "checkpoint container c: criu" in r.stderr and f"(see {images}/dump.log)" in r.stderr
        assert "(criu/" in r.stderr
        return
    oci.ok("kill", "c", signal.SIGKILL)
    oci.wait_status("stopped")
    oci.ok("delete", "c")
    oci.ok("restore", "--detach", "--bundle", oci.bundle, "--image-path", images, "c", timeout=60)
    assert oci.state()["status"] == "running"
