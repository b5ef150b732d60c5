"""Log drivers and their options, and what `docker logs` shows of them."""

import json
import re
from pathlib import Path

import pytest

from harness import frames


def log_config(driver, **options):
    config = {key.replace("_", "-"): value for key, value in options.items()}
    return {"LogConfig": {"Type": driver, "Config": config}}


def refused(engine, driver, **options):
    """What a container with such a log is refused with: (status, message)."""
    body = {"Image": "bb:1", "HostConfig": {"NetworkMode": "none", **log_config(driver, **options)}}
    status, data, _ = engine.request("POST", "/containers/create", body)
    return status, json.loads(data)["message"]


@pytest.mark.parametrize(
    "driver,options,status,message",
    [
        ("journald", {}, 501, "logger \"journald\" is not served"),
        ("json-file", {"size": "1"}, 400, "unknown log opt 'size' for json-file log driver"),
        ("local", {"max": "1"}, 400, "unknown log opt 'max' for local log driver"),
        ("json-file", {"max_size": "big"}, 400, 'max-size: "big" is no size like 10m'),
        ("json-file", {"max_size": "0"}, 400, 'max-size: "0" is no size like 10m'),
        ("json-file", {"max_size": "infinity"}, 400, 'max-size: "infinity" is no size like 10m'),
        ("local", {"max_size": "-1"}, 400, 'max-size: "-1" is no size like 10m'),
        ("json-file", {"max_file": "0"}, 400, "max-file cannot be less than 1"),
        ("json-file", {"max_file": "2x"}, 400, 'max-file: "2x" is no number up to 1000'),
        ("json-file", {"compress": "true"}, 501, "compress: compressed log files are not served"),
        ("json-file", {"compress": "yes"}, 400, 'compress: "yes" is neither true nor false'),
        ("json-file", {"mode": "fast"}, 400, 'mode: "fast" is neither blocking nor non-blocking'),
        ("json-file", {"labels_regex": "a("}, 400, '"a(" is no regular expression'),
        ("json-file", {"tag": "{{.Pid}}"}, 400, 'tag: "{{.Pid}}" is none of {{.ID}}, '),
    ],
)
def test_what_a_driver_does_not_know_is_refused_by_name(engine, driver, options, status, message):
    got, said = refused(engine, driver, **options)
    assert (got, message in said) == (status, True), said


def test_what_drivers_there_are_is_told(engine):
    assert engine.get("/info")["Plugins"]["Log"] == ["none", "json-file", "local"]


def files_of(engine, container):
    folder = engine.dir / "root/containers" / container
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.log*"))


def run(engine, script, driver, config=None, **options):
    container = engine.start("sh", "-c", script, host=log_config(driver, **options), **(config or {}))
    engine.wait(container)
    return container


def test_a_size_is_decimal_and_so_many_files_are_kept(engine):
    # 100 records of 100 bytes and a bit
    script = "for i in $(seq 100); do echo 12345678901234567890; done"
    container = run(engine, script, "json-file", max_size="1kb", max_file="3")
    folder = engine.dir / "root/containers" / container
    files = files_of(engine, container)
    assert files == [f"{container}-json.log{end}" for end in ("", ".1", ".2")]
    assert all(0 < (folder / file).stat().st_size <= 1000 for file in files)
    (_, kept), = engine.logs(container)
    assert 10 <= len(kept.splitlines()) <= 30


def test_local_keeps_its_log_where_nobody_looks(engine):
    container = run(engine, "echo out; echo err >&2", "local", max_size="1.5m", compress="true")
    assert sorted(engine.logs(container)) == [(1, b"out\n"), (2, b"err\n")]
    assert engine.get(f"/containers/{container}/json")["LogPath"] == ""
    assert files_of(engine, container) == ["local-logs/container.log"]


def test_json_file_has_a_path(engine):
    container = run(engine, "echo out", "json-file", max_size="-1", mode="non-blocking", max_buffer_size="4m")
    path = Path(engine.get(f"/containers/{container}/json")["LogPath"])
    assert json.loads(path.read_text())["log"] == "out\n"


def test_none_keeps_nothing_and_says_so(engine):
    container = run(engine, "echo out", "none", max_size="10m")
    status, data, _ = engine.request("GET", f"/containers/{container}/logs?stdout=1")
    assert (status, json.loads(data)["message"]) == (
        501, "configured logging driver does not support reading"
    )
    assert files_of(engine, container) == []


SUBJECT = {
    "Labels": {"tier": "web", "team.name": "a b", "other": "x"},
    "Env": ["STAGE=test,1", "SECRET=s"],
}


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_each_record_carries_what_was_asked_for(engine, driver):
    container = run(
        engine, "echo out", driver, SUBJECT, labels="tier,missing", labels_regex="^team", env="STAGE",
        env_regex="^STA", tag="{{.Name}}/{{.ID}}",
    )
    name = engine.get(f"/containers/{container}/json")["Name"][1:]
    (file,) = files_of(engine, container)
    record = (engine.dir / "root/containers" / container / file).read_text()
    attrs = {"STAGE": "test,1", "tag": f"{name}/{container[:12]}", "team.name": "a b", "tier": "web"}
    assert json.loads(record)["attrs"] == attrs
    # Docker's order
    assert list(json.loads(record)) == ["log", "stream", "attrs", "time"]
    expected = f"STAGE=test%2C1,tag={name}%2F{container[:12]},team.name=a+b,tier=web out\n"
    assert engine.docker("logs", "--details", container, text=True).stdout == expected
    assert engine.docker("logs", container, text=True).stdout == "out\n"


def test_details_of_a_record_without_any_are_empty(engine):
    container = run(engine, "echo out", "json-file")
    assert engine.logs(container, "stdout=1&details=1") == [(1, b" out\n")]


def test_times_have_nine_digits_and_come_first(engine):
    container = run(engine, "echo out", "json-file")
    path = Path(engine.get(f"/containers/{container}/json")["LogPath"])
    records = {
        "2024-01-02T03:04:05Z": "2024-01-02T03:04:05.000000000Z",
        "2024-01-02T03:04:05.12Z": "2024-01-02T03:04:05.120000000Z",
        "2024-01-02T03:04:05.123456789Z": "2024-01-02T03:04:05.123456789Z",
    }
    path.write_text("".join(
        json.dumps({"log": "line\n", "stream": "stdout", "time": time}) + "\n" for time in records
    ))
    _, data, _ = engine.request("GET", f"/containers/{container}/logs?stdout=1&timestamps=1&details=1")
    (_, text), = frames(data)
    assert text.decode().splitlines() == [f"{time}  line" for time in records.values()]


def test_a_live_log_has_such_times(engine):
    container = run(engine, "echo out", "json-file")
    (_, text), = engine.logs(container, "stdout=1&timestamps=1")
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z out\n", text)
