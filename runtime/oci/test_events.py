"""sampan-oci events: the lines and when they come. OOM and the controllers: guest_test_update.sh."""

import json
import subprocess

from oci_host import NEEDS, SECONDS

pytestmark = NEEDS


def test_stats_once(oci):
    oci.create("sleep", "1000")
    lines = oci.ok("events", "--stats", "c").splitlines()
    assert len(lines) == 1
    event = json.loads(lines[0])
    assert (event["type"], event["id"]) == ("stats", "c")
    data = event["data"]
    assert data["cpu"]["usage"]["total"] > 0
    assert data["pids"]["current"] == 1
    assert set(data) == {"cpu", "cpuset", "memory", "pids", "blkio", "hugetlb"}


def test_events_come_until_the_container_ends(oci):
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    p = subprocess.Popen(
        oci.command("events", "c", "--interval=20ms"), stdout=subprocess.PIPE, text=True
    )
    first, second = (json.loads(p.stdout.readline()) for _ in range(2))
    assert first["type"] == second["type"] == "stats"
    assert p.poll() is None
    oci.ok("kill", "c", "KILL")
    p.communicate(timeout=SECONDS)
    assert p.returncode == 0


def test_what_events_cannot_do_is_named(oci):
    oci.create("true")
    for time in ("0s", "5", "-1s", "soon"):
        r = oci.call("events", "--interval", time, "c")
        assert r.returncode == 1
        assert r.stderr == (
            f'sampan-oci: --interval: expected a time above 0 as 5s or 500ms, got "{time}"\n'
        )
    oci.ok("start", "c")
    oci.wait_status("stopped")
    r = oci.call("events", "c")
    assert (r.returncode, r.stderr) == (1, "sampan-oci: container c is not running\n")
