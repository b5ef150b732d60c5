"""checkpoint and restore: what CRIU is asked for, and what becomes of its answers."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from oci_host import NEEDS, SECONDS, hook, receive_master

pytestmark = NEEDS

DUMP, RESTORE, PRE_DUMP, NOTIFY = 1, 2, 4, 6
SOFT, DEFAULT = 3, 6
CLONE_NEWNET = 0x40000000
DONE = {"type": DUMP, "success": True}
SLEEP = ["sleep", "1000"]
RESTORED = [
    {"start": SLEEP},
    {"type": NOTIFY, "success": True, "notify": {"script": "setup-namespaces", "pid": "started"}},
    {"type": NOTIFY, "success": True, "notify": {"script": "post-restore", "pid": "started"}},
    {"type": NOTIFY, "success": True, "notify": {"script": "network-unlock"}},
    {"type": RESTORE, "success": True, "restore": {"pid": "started"}},
]


class Criu:
    """A directory with a program "criu" that stands in for CRIU, and what it was asked."""

    def __init__(self, oci):
        self.oci = oci
        self.folder = oci.path / "criu"
        self.images = oci.path / "images"
        self.script = self.folder / "script"
        self.folder.mkdir()
        program = self.folder / "criu"
        program.write_text(f"#!/bin/sh\nexec {sys.executable} {pathlib.Path(__file__).parent}/criu_stand_in.py \"$@\"\n")
        program.chmod(0o755)
        self.answer()

    def answer(self, *answers, **more):
        self.script.write_text(json.dumps({"version": [3, 17, 1], "answers": list(answers), **more}))
        pathlib.Path(f"{self.script}.requests").unlink(missing_ok=True)

    def requests(self):
        path = pathlib.Path(f"{self.script}.requests")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def env(self):
        return {**os.environ, "PATH": f"{self.folder}:/usr/bin:/bin", "CRIU_SCRIPT": str(self.script)}

    def call(self, *words):
        return self.oci.call(*words, env=self.env())

    def checkpoint(self, *words, id="c"):
        return self.call("checkpoint", "--image-path", self.images, *words, id)

    def restore(self, *words, id="r", stdout=subprocess.DEVNULL):
        """As Oci.create: what runs on keeps our descriptors, and no pipe of ours may be among them."""
        command = self.oci.command("restore", "--bundle", self.oci.bundle, "--image-path", self.images, *words, id)
        with open(self.folder / "err", "w+", encoding="utf-8") as err:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=err, env=self.env(),
                                  timeout=SECONDS, check=False)
            err.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, "", err.read())

    def refused(self, *words, id="c"):
        r = self.checkpoint(*words, id=id)
        assert r.returncode == 1 and r.stderr.count("\n") == 1, r.stderr
        return r.stderr.strip()


@pytest.fixture
def criu(oci):
    c = Criu(oci)
    yield c


def running(oci, *words, **options):
    oci.create(*(words or SLEEP), **options)
    oci.ok("start", "c")
    return oci.state()["pid"]


def restorable(oci, criu):
    """Images as far as the runtime looks into them."""
    oci.write(*SLEEP)
    criu.images.mkdir()
    (criu.images / "descriptors.json").write_text('["", "", ""]')


def test_checkpoint_asks_for_what_runc_asks_for(oci, criu):
    (oci.path / "source").mkdir()
    (oci.rootfs / "real").mkdir()
    (oci.rootfs / "link").symlink_to("real")
    oci.config["mounts"].append({"destination": "/link/there", "type": "bind", "source": str(oci.path / "source"),
                                 "options": ["rbind"]})
    pid = running(oci)
    criu.answer(DONE)
    r = criu.checkpoint("--leave-running")
    assert (r.returncode, r.stderr) == (0, "")
    version, dump = criu.requests()
    assert set(version) == {"type", "seen"} and version["type"] == 10
    assert dump["type"] == DUMP
    opts = dump["opts"]
    external = [(mount["key"], mount["val"]) for mount in opts.pop("ext_mnt")]
    freezer = opts.pop("freeze_cgroup", None)
    assert opts == {
        "images_dir_fd": str(criu.images), "pid": pid, "leave_running": True, "ext_unix_sk": False,
        "tcp_established": False, "shell_job": False, "file_locks": False, "log_level": 4, "log_file": "dump.log",
        "notify_scripts": True, "root": str(oci.rootfs), "auto_dedup": False, "link_remap": False,
        "manage_cgroups": True, "manage_cgroups_mode": DEFAULT, "empty_ns": CLONE_NEWNET,
        "tcp_skip_in_flight": False, "orphan_pts_master": True, "config_file": "/etc/criu/runc.conf"}
    assert ("/real/there", "/link/there") in external
    masked = [key for key, value in external if value == "/dev/null" and key != "/dev/null"]
    files = [path for path in oci.linux["maskedPaths"] if os.path.isfile(path)]
    assert masked == files and files
    assert {(f"/dev/{name}",) * 2 for name in ("null", "zero", "full", "random", "urandom", "tty")} <= set(external)
    if freezer:
        assert freezer.endswith(oci.linux["cgroupsPath"]) and os.path.isdir(freezer)
    assert dump["seen"]["stdio"] == ["/dev/null"] * 3
    assert oci.state()["status"] == "running"


def test_every_option_of_checkpoint_arrives(oci, criu):
    running(oci)
    (criu.images / "before").mkdir(parents=True)
    criu.answer(DONE)
    work = oci.path / "work"
    r = criu.checkpoint("--work-path", work, "--parent-path", "before", "--leave-running", "--tcp-established",
                        "--ext-unix-sk", "--shell-job", "--file-locks", "--manage-cgroups-mode", "soft",
                        "--empty-ns", "network", "--auto-dedup", "--tcp-skip-in-flight", "--link-remap")
    assert (r.returncode, r.stderr) == (0, "")
    opts = criu.requests()[-1]["opts"]
    for name in ("leave_running", "tcp_established", "ext_unix_sk", "shell_job", "file_locks", "auto_dedup",
                 "track_mem", "tcp_skip_in_flight", "link_remap"):
        assert opts[name] is True, name
    assert (opts["work_dir_fd"], opts["parent_img"]) == (str(work), "before")
    assert opts["manage_cgroups_mode"] == SOFT


def test_checkpoint_ends_the_container(oci, criu):
    pid = running(oci)
    criu.answer(DONE)
    assert criu.checkpoint().returncode == 0
    assert not os.path.exists(f"/proc/{pid}/exe") and oci.call("state", "c").returncode == 1


def test_pre_dump_is_memory_alone(oci, criu):
    running(oci)
    criu.answer({"type": PRE_DUMP, "success": True}, status=1)
    r = criu.checkpoint("--pre-dump")
    assert (r.returncode, r.stderr) == (0, "")
    _, check, dump = criu.requests()
    assert (check["type"], check["features"]) == (9, {"mem_track": True})
    assert dump["type"] == PRE_DUMP and dump["opts"]["track_mem"] and "ext_mnt" not in dump["opts"]
    assert not (criu.images / "descriptors.json").exists()
    assert oci.state()["status"] == "running"
    criu.answer(mem_track=False)
    assert "does not tell which memory has changed" in criu.refused("--pre-dump")


def test_joined_namespaces_are_only_named(oci, criu):
    holder = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
    try:
        path = f"/proc/{holder.pid}/ns/net"
        while os.readlink(path) == os.readlink("/proc/self/ns/net"):
            os.sched_yield()
        for space in oci.linux["namespaces"]:
            if space["type"] == "network":
                space["path"] = path
        running(oci)
        criu.answer(DONE)
        assert criu.checkpoint().returncode == 0
        assert criu.requests()[-1]["opts"]["external"] == [f"net[{os.stat(path).st_ino}]:extRootNetNS"]
        criu.answer(*RESTORED)
        r = criu.restore("--detach")
        assert r.returncode == 0, r.stderr
        request = criu.requests()[1]
        assert {"key": "extRootNetNS", "fd": 5} in request["opts"]["inherit_fd"]
        assert request["seen"]["inherited"]["5"] == os.readlink(path)
    finally:
        holder.kill()
        holder.wait()


def test_the_annotation_names_criu_s_configuration(oci, criu):
    oci.config["annotations"] = {"org.criu.config": "/etc/criu/mine.conf"}
    running(oci)
    criu.answer(DONE)
    assert criu.checkpoint("--leave-running").returncode == 0
    assert criu.requests()[-1]["opts"]["config_file"] == "/etc/criu/mine.conf"


def test_only_what_runs_can_be_checkpointed(oci, criu):
    oci.create(*SLEEP)
    assert criu.refused() == "sampan-oci: container c cannot be checkpointed: it is created"
    assert criu.requests() == []


@pytest.mark.parametrize("words, said", [
    (["--lazy-pages"], "--lazy-pages: is not supported"),
    (["--page-server", "1.2.3.4:5"], "--page-server: is not supported"),
    (["--manage-cgroups-mode", "some"], '--manage-cgroups-mode: expected soft, full, strict or ignore, got "some"'),
    (["--empty-ns", "mount"], '--empty-ns: expected network, got "mount"'),
    (["--parent-path", "/before"], "--parent-path: expected a path from"),
    (["--parent-path", "missing"], "--parent-path: open"),
])
def test_what_cannot_be_done_is_refused_by_name(oci, criu, words, said):
    running(oci)
    criu.answer(DONE)
    assert said in criu.refused(*words)
    assert oci.state()["status"] == "running"


def test_without_criu_there_is_one_clear_line(oci, criu):
    running(oci)
    (criu.folder / "criu").unlink()
    assert criu.refused() == ("sampan-oci: criu: there is no program criu: this needs CRIU 3.15 or newer"
                              if not shutil.which("criu", path="/usr/bin:/bin") else criu.refused())
    r = criu.call("--criu", "/nowhere/criu", "checkpoint", "--image-path", criu.images, "c")
    assert r.stderr == "sampan-oci: criu: there is no program /nowhere/criu: this needs CRIU 3.15 or newer\n"
    assert oci.state()["status"] == "running"


@pytest.mark.parametrize("version, said", [
    ([3, 14, 9], "criu: criu is version 3.14: expected 3.15 or newer"),
    ([2, 99, 0], "criu: criu is version 2.99: expected 3.15 or newer"),
    (None, "criu: criu does not tell its version: expected 3.15 or newer"),
])
def test_a_criu_that_is_too_old_is_refused(oci, criu, version, said):
    running(oci)
    criu.answer(DONE, version=version)
    assert said in criu.refused()


@pytest.mark.parametrize("version", [[3, 15, 0], [4, 0, 0]])
def test_newer_ones_will_do(oci, criu, version):
    running(oci)
    criu.answer(DONE, version=version)
    assert criu.checkpoint("--leave-running").returncode == 0


def test_the_reason_stands_in_criu_s_log(oci, criu):
    running(oci)
    log = "(00.1) Error (criu/a.c:1): first\n(00.2) Error (criu/b.c:7): Can\'t dump it\n(00.3) Unlock network\n"
    criu.images.mkdir()
    criu.answer({"log": str(criu.images / "dump.log"), "text": log}, {"type": DUMP, "success": False, "cr_errno": 22})
    assert criu.refused() == ("sampan-oci: checkpoint container c: criu failed: Invalid argument: "
                              f"Error (criu/b.c:7): Can't dump it (see {criu.images}/dump.log)")
    assert oci.state()["status"] == "running"


@pytest.mark.parametrize("answers, said", [
    ([{"exit": 1}], "criu ended without an answer"),
    ([{"raw": "08"}], "criu: its answer is no message of its protocol"),
    ([{"type": DUMP, "success": False, "cr_errmsg": "what it says\n"}], "checkpoint container c: criu: what it says"),
])
def test_an_answer_that_is_none_is_a_failure(oci, criu, answers, said):
    running(oci)
    criu.answer(*answers)
    assert said in criu.refused()
    assert oci.state()["status"] == "running"


def test_an_answer_before_a_failure_is_a_failure(oci, criu):
    running(oci)
    criu.answer(DONE, status=3)
    assert "criu answered and then failed" in criu.refused()


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


