"""Healthchecks: what probes say of a container."""

import json
import select
import time

import pytest

import harness
from harness import SLEEP, docker, needs_docker, refused

MS = 1_000_000


def check(test, **more):
    return {"Test": test, "Interval": 200 * MS, "Timeout": 20_000 * MS, "Retries": 2, **more}


def health(engine, container):
    return engine.state(container)["Health"]


def wait_health(engine, container, fits):
    deadline = time.monotonic() + harness.TIMEOUT
    while not fits(found := health(engine, container)):
        assert time.monotonic() < deadline, found
        select.select([], [], [], 0.02)
    return found


def status_is(word):
    return lambda found: found["Status"] == word


def listed(engine, **filters):
    found = engine.get(f"/containers/json?all=1&filters={json.dumps(filters)}".replace(" ", ""))
    return [one["Id"] for one in found]


def test_from_starting_to_healthy_to_unhealthy(engine):
    since = int(time.time())
    script = "echo looked; test -e /tmp/well"
    container = engine.start(*SLEEP, name="h1", Healthcheck=check(["CMD-SHELL", script], Interval=2000 * MS))
    assert health(engine, container) == {"Status": "starting", "FailingStreak": 0, "Log": []}
    (one,) = engine.get("/containers/json")
    assert one["Status"].endswith(" (health: starting)")
    assert listed(engine, health=["starting"]) == [container] and listed(engine, health=["healthy"]) == []
    engine.post(f"/containers/{container}/exec", {"Cmd": ["touch", "/tmp/well"]})
    exec_id = engine.get(f"/containers/{container}/json")["ExecIDs"][0]
    engine.post(f"/exec/{exec_id}/start", {"Detach": True})
    found = wait_health(engine, container, status_is("healthy"))
    assert found["FailingStreak"] == 0
    assert found["Log"][-1]["ExitCode"] == 0 and found["Log"][-1]["Output"] == "looked\n"
    assert found["Log"][-1]["Start"] < found["Log"][-1]["End"]
    assert engine.get("/containers/json")[0]["Status"].endswith(" (healthy)")
    removed = engine.post(f"/containers/{container}/exec", {"Cmd": ["rm", "/tmp/well"]})["Id"]
    engine.post(f"/exec/{removed}/start", {"Detach": True})
    found = wait_health(engine, container, status_is("unhealthy"))
    assert found["FailingStreak"] >= 2 and found["Log"][-1]["ExitCode"] == 1
    assert listed(engine, health=["unhealthy"]) == [container]
    filters = json.dumps({"event": ["health_status"], "container": ["h1"]}).replace(" ", "")
    _, body, _ = engine.request("GET", f"/events?since={since}&until={int(time.time()) + 1}&filters={filters}")
    assert [json.loads(line)["Action"] for line in body.splitlines()] == [
        "health_status: healthy", "health_status: unhealthy"]


def test_output_is_cut_and_five_results_are_kept(engine):
    container = engine.start(*SLEEP, Healthcheck=check(
        ["CMD", "sh", "-c", "seq 1 2000; printf '\\377'"], Interval=20 * MS))
    found = wait_health(engine, container, lambda h: len(h["Log"]) == 5)
    first = found["Log"][0]["Start"]
    found = wait_health(engine, container, lambda h: h["Log"][0]["Start"] > first)
    assert len(found["Log"]) == 5
    whole = "".join(f"{i}\n" for i in range(1, 2001))
    assert found["Log"][0]["Output"] == whole[:4096] + "..."


def test_a_probe_that_takes_too_long_is_killed(engine):
    container = engine.start(*SLEEP, Healthcheck=check(
        ["CMD-SHELL", "echo waits; sleep 1000; true"], Timeout=1500 * MS, Retries=1))
    found = wait_health(engine, container, status_is("unhealthy"))
    assert found["Log"][0]["ExitCode"] == -1
    assert found["Log"][0]["Output"] == "Health check exceeded timeout (1.5s): waits\n"
    # with what it had started, or the next one would find it
    engine.post(f"/containers/{container}/pause")
    rows = engine.get(f"/containers/{container}/top?ps_args=-o%20pid,args")["Processes"]
    assert not [row for row in rows if "sleep 1000" in row[-1]], rows


def test_failures_in_the_start_period_do_not_count(engine):
    container = engine.start(*SLEEP, Healthcheck=check(
        ["CMD", "sh", "-c", "exit 1"], Interval=3600_000 * MS, Retries=1, StartPeriod=600_000 * MS,
        StartInterval=100 * MS))
    found = wait_health(engine, container, lambda h: len(h["Log"]) >= 3)
    assert (found["Status"], found["FailingStreak"]) == ("starting", 0)


def test_what_cannot_be_run_is_a_failure_too(engine):
    container = engine.start(*SLEEP, Healthcheck=check(["CMD", "nosuch"], Retries=1))
    found = wait_health(engine, container, status_is("unhealthy"))
    assert found["Log"][0]["ExitCode"] == -1
    assert "executable file not found" in found["Log"][0]["Output"]


@pytest.mark.parametrize("test", [["NONE"], [], None])
def test_none_is_none(engine, test):
    container = engine.start(*SLEEP, Healthcheck={"Test": test} if test is not None else None)
    assert "Health" not in engine.state(container)
    assert listed(engine, health=["none"]) == [container]


@pytest.mark.parametrize("field", ["Interval", "Timeout", "StartPeriod", "StartInterval"])
def test_less_than_a_millisecond_is_refused(engine, field):
    body = {"Image": "bb:1", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"},
            "Healthcheck": {"Test": ["CMD", "true"], field: MS - 1}}
    assert refused(engine, "POST", "/containers/create", body) == (
        400, f"{field} in Healthcheck cannot be less than 1ms")
    body["Healthcheck"] = {"Retries": -1}
    assert refused(engine, "POST", "/containers/create", body) == (
        400, "Retries in Healthcheck cannot be negative")


def test_who_is_stopped_is_unhealthy_and_starts_anew(engine):
    container = engine.start(*SLEEP, Healthcheck=check(["CMD", "true"], Interval=50 * MS))
    wait_health(engine, container, status_is("healthy"))
    engine.post(f"/containers/{container}/stop?t=0")
    assert health(engine, container)["Status"] == "unhealthy"
    engine.post(f"/containers/{container}/start")
    wait_health(engine, container, status_is("healthy"))


def test_probes_go_on_after_the_engine_was_killed(own_engine):
    engine = own_engine
    container = engine.start(*SLEEP, Healthcheck=check(["CMD", "sh", "-c", "sleep 0.3"], Interval=300 * MS))
    before = wait_health(engine, container, status_is("healthy"))
    for _ in range(2):
        engine.kill()
        engine.wait_ready()
        after = health(engine, container)
        assert after["Status"] == "healthy" and after["Log"]
        last = after["Log"][-1]["End"]
        wait_health(engine, container, lambda h: h["Log"][-1]["End"] > last)
    assert health(engine, container)["Log"][-1]["End"] > before["Log"][-1]["End"]


def test_a_health_that_there_is_not_is_refused_as_a_filter(engine):
    assert refused(engine, "GET", '/containers/json?filters={"health":["well"]}') == (
        400, "Unrecognised filter value for health: well")


@needs_docker
def test_docker_ps_shows_it(engine):
    engine.start(*SLEEP, name="h1", Healthcheck=check(["CMD", "true"], Interval=50 * MS))
    wait_health(engine, "h1", status_is("healthy"))
    done = docker(engine, "ps", "--filter", "health=healthy", "--format", "{{.Names}} {{.Status}}")
    assert done.stdout.startswith(b"h1 Up ") and done.stdout.rstrip().endswith(b"(healthy)"), done
