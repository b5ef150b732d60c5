"""What is said of a bad configuration, and where."""

import json
import os

import pytest

from oci_host import NEEDS

pytestmark = NEEDS


def test_config_errors_are_one_line(oci):
    cases = [
        (("process", "cwd"), "x", "process.cwd: expected an absolute path"),
        (("linux", "resources", "memory"), {"limit": "64M"},
         "linux.resources.memory.limit: expected an integer, got a string"),
        (("process", "selinuxLabel"), "x", "process.selinuxLabel: SELinux is not available in this kernel"),
        (("process", "apparmorProfile"), "x", "process.apparmorProfile"),
        (("root", "path"), "nowhere", "root.path: open"),
        (("ociVersion",), "2.0.0", "ociVersion: expected 1.x"),
        (("linux", "intelRdt"), {"closID": "x"}, "linux.intelRdt: is not supported"),
    ]
    oci.process["args"] = ["true"]
    good = json.dumps(oci.config)
    for path, value, message in cases:
        oci.config = json.loads(good)
        place = oci.config
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        (oci.bundle / "config.json").write_text(json.dumps(oci.config))
        r = oci.call("run", "--bundle", oci.bundle, "c")
        assert r.returncode == 1
        if path[-1] == "apparmorProfile" and os.path.exists("/proc/self/attr/apparmor/exec"):
            continue
        assert r.stderr.startswith(f"sampan-oci: {message}"), r.stderr
        assert r.stderr.count("\n") == 1


def test_unknown_keys_warn_and_run(oci):
    oci.config["somethingNew"] = {}
    oci.write("true")
    r = oci.call("run", "--bundle", oci.bundle, "c")
    assert r.returncode == 0
    assert r.stderr == "sampan-oci: warning: somethingNew: unknown key, ignored\n"


def test_the_log_is_runcs(oci):
    log = oci.path / "log"
    r = oci.call("--log", log, "--log-format", "json", "state", "none")
    assert r.returncode == 1
    record = json.loads(log.read_text())
    assert record["level"] == "error" and record["msg"] == "container none does not exist"
    assert "time" in record
    for option in ("--systemd-cgroup",):
        assert option in oci.call(option, "list").stderr
    assert "--no-pivot" in oci.call("create", "--no-pivot", "c").stderr


def test_features_are_valid_json(oci):
    features = json.loads(oci.ok("features"))
    assert features["linux"]["seccomp"]["enabled"] is True
    assert "rro" in features["mountOptions"]


def test_a_limit_without_its_controller_is_refused(oci):
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        pytest.skip("this machine has cgroup v2 controllers")
    oci.linux["resources"]["pids"] = {"limit": 10}
    oci.process["args"] = ["true"]
    assert "linux.resources.pids.limit: the cgroup has no pids.max" in oci.refused()
