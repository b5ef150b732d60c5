"""checkpoint: what CRIU is asked for, and what becomes of its answers."""

import os
import shutil
import subprocess

import pytest
from criu_host import CLONE_NEWNET, DEFAULT, DONE, DUMP, PRE_DUMP, RESTORED, SLEEP, SOFT, Criu, running
from oci_host import NEEDS

pytestmark = NEEDS


@pytest.fixture
def criu(oci):
    c = Criu(oci)
    yield c


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
