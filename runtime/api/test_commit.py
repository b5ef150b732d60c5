"""What a container changed: diff, and images made of it or of a tar file: commit, import."""

import io
import json
import tarfile
import threading

import pytest

from imagefiles import compress, digest_of, entry, folder, tar


def made(engine, script, **more):
    """A container that did something and ended."""
    container = engine.start("sh", "-c", script, **more)
    assert engine.wait(container) == 0, engine.logs(container)
    return container


def changes(engine, container):
    return [(one["Kind"], one["Path"]) for one in engine.get(f"/containers/{container}/changes") or []]


def layers_on_disk(engine):
    return sorted(p.name for name in ("layers", "blobs/sha256") for p in (engine.dir / "root" / name).iterdir())


CHANGE = ("mkdir /new; echo a >/new/a; echo more >>/etc/greeting; rm /bin/wc; rm -r /tmp; mkdir /tmp; "
          "ln -s x /new/link; ln /new/a /new/hard")


def test_a_container_that_changed_nothing_has_no_changes(engine):
    assert engine.get(f"/containers/{engine.create('true')}/changes") is None
    assert changes(engine, made(engine, "true")) == []


def test_changes_are_listed_sorted_with_their_parents(engine):
    assert changes(engine, made(engine, CHANGE + "; touch /tmp/t")) == [
        (0, "/bin"), (2, "/bin/wc"), (0, "/etc"), (0, "/etc/greeting"),
        (1, "/new"), (1, "/new/a"), (1, "/new/hard"), (1, "/new/link"), (0, "/tmp"), (1, "/tmp/t"),
    ]


def test_what_a_new_directory_hides_is_deleted(engine):
    box = made(engine, "mkdir -p /data/sub; echo 1 >/data/one; echo 2 >/data/sub/two")
    image = engine.post(f"/commit?container={box}&repo=data")["Id"]
    box = made(engine, "rm -r /data; mkdir /data; echo 3 >/data/three; mkdir /data/sub", Image=image)
    assert changes(engine, box) == [
        (0, "/data"), (2, "/data/one"), (0, "/data/sub"), (2, "/data/sub/two"), (1, "/data/three")]
    second = engine.post(f"/commit?container={box}")["Id"]
    code, out = engine.run_to_end("sh", "-c", "ls -a /data /data/sub", Image=second)
    assert (code, out.split()) == (0, b"/data: . .. sub three /data/sub: . ..".split())


def test_the_docker_cli_shows_changes(engine):
    done = engine.docker("diff", made(engine, "echo >/one; rm /etc/greeting"))
    assert done.stdout.decode().splitlines() == ["C /etc", "D /etc/greeting", "A /one"]


def test_a_commit_runs_as_the_container_left_it(engine):
    box = made(engine, CHANGE)
    layers = engine.get("/images/bb:1/json")["RootFS"]["Layers"]
    done = engine.docker("commit", "-m", "why", "-a", "who", box, "made/of:it")
    assert done.returncode == 0, done.stderr
    image = engine.get("/images/made/of:it/json")
    assert done.stdout.decode().strip() == image["Id"]
    assert image["RootFS"]["Layers"][:-1] == layers and len(image["RootFS"]["Layers"]) == 3
    assert (image["Author"], image["Comment"]) == ("who", "why")
    assert image["Config"]["Cmd"] == ["sh", "-c", CHANGE]
    assert image["Config"]["Labels"] == {"made-by": "test"}
    code, out = engine.run_to_end(
        "sh", "-c", "cat /new/a /etc/greeting; ls /new; ls /bin; ls -id /new/a /new/hard", Image="made/of:it")
    assert out.startswith(b"a\nhello\nmore\na\nhard\nlink\nbusybox\n") and b"\nwc\n" not in out
    numbers = [line.split()[0] for line in out.splitlines()[-2:]]
    assert numbers[0] == numbers[1]
    told = [(one["Action"], one["Actor"]["Attributes"]) for one in engine.events(box)]
    action, attributes = told[-1]
    assert action == "commit" and attributes["comment"] == "why"
    assert (attributes["imageID"], attributes["imageRef"]) == (image["Id"], "made/of:it")
    assert [one["Action"] for one in engine.events(image["Id"])] == ["tag"]


def test_history_tells_who_made_which_layer(engine):
    box = made(engine, "echo big >/file")
    image = engine.post(f"/commit?container={box}&repo=hist&tag=1&comment=top")["Id"]
    first, *rest = engine.get("/images/hist:1/history")
    assert (first["Id"], first["Tags"], first["Comment"], first["Size"]) == (image, ["hist:1"], "top", 4)
    assert first["CreatedBy"] == "sh -c echo big >/file" and rest == []
    assert engine.docker("history", "-q", "hist:1").stdout.decode().split() == [image[7:19]]


def test_a_commit_of_nothing_adds_no_layer(engine):
    image = engine.post(f"/commit?container={engine.create('true')}")["Id"]
    found = engine.get(f"/images/{image}/json")
    assert found["RootFS"] == engine.get("/images/bb:1/json")["RootFS"]


@pytest.mark.parametrize("line, field, want", [
    ('CMD ["a", "b"]', "Cmd", ["a", "b"]),
    ("cmd echo hi", "Cmd", ["/bin/sh", "-c", "echo hi"]),
    ('ENTRYPOINT ["/x"]', "Entrypoint", ["/x"]),
    ("ENV A=1 B='two words' C=$FROM", "Env", ["PATH=/bin", "FROM=image", "A=1", "B=two words", "C=image"]),
    ("ENV PATH=/more:${PATH}", "Env", ["PATH=/more:/bin", "FROM=image"]),
    ("ENV OLD the rest of it", "Env", ["PATH=/bin", "FROM=image", "OLD=the rest of it"]),
    ("EXPOSE 80 53/udp 90-91", "ExposedPorts", {"80/tcp": {}, "53/udp": {}, "90/tcp": {}, "91/tcp": {}}),
    ('LABEL a=1 "b c"="d e"', "Labels", {"a": "1", "b c": "d e", "made-by": "test"}),
    ("ONBUILD RUN make", "OnBuild", ["RUN make"]),
    ("USER 5:6", "User", "5:6"),
    ('VOLUME ["/v w", "/x"]', "Volumes", {"/v w": {}, "/x": {}}),
    ("VOLUME /v /w", "Volumes", {"/v": {}, "/w": {}}),
    ("WORKDIR sub", "WorkingDir", "/sub"),
    ("STOPSIGNAL SIGQUIT", "StopSignal", "SIGQUIT"),
    ("HEALTHCHECK --interval=1m30s --retries=4 CMD test -e /x", "Healthcheck",
     {"Test": ["CMD-SHELL", "test -e /x"], "Interval": 90000000000, "Retries": 4}),
    ('HEALTHCHECK CMD ["a", "b"]', "Healthcheck", {"Test": ["CMD", "a", "b"]}),
    ("HEALTHCHECK NONE", "Healthcheck", {"Test": ["NONE"]}),
])
def test_instructions_change_the_config(engine, line, field, want):
    box = engine.create("true")
    done = engine.docker("commit", "--change", line, box)
    assert done.returncode == 0, done.stderr
    assert engine.get(f"/images/{done.stdout.decode().strip()}/json")["Config"][field] == want


@pytest.mark.parametrize("line, why", [
    ("RUN rm -rf /", "RUN is not a valid change command"), ("EXPOSE 99999", "Invalid containerPort"),
    ("ENV lonely", "ENV must have two arguments"), ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
    ("LABEL a='open", "is not closed"), ("HEALTHCHECK --interval=x CMD y", "bad flag"), ("USER", "requires"),
])
def test_bad_instructions_are_refused_and_leave_nothing(engine, line, why):
    before = layers_on_disk(engine)
    status, body, _ = engine.request(
        "POST", f"/commit?container={made(engine, 'echo >/x')}&changes={line.replace(' ', '%20').replace('=', '%3D')}")
    assert status == 400 and why in json.loads(body)["message"]
    assert layers_on_disk(engine) == before


def test_a_config_in_the_body_counts_before_the_containers(engine):
    body = {"Env": ["FROM=body"], "Cmd": ["x"], "Labels": {"l": "1"}, "User": "7"}
    image = engine.post(f"/commit?container={engine.create('true')}", body)["Id"]
    config = engine.get(f"/images/{image}/json")["Config"]
    assert (config["Cmd"], config["User"]) == (["x"], "7")
    assert sorted(config["Env"]) == ["FROM=body", "PATH=/bin"] and config["Labels"] == {"l": "1", "made-by": "test"}
    assert engine.request("POST", "/commit?container=nosuch")[0] == 404


@pytest.mark.parametrize("packing", [None, "gzip", "zstd"])
def test_an_import_is_an_image_of_one_layer(engine, packing):
    plain = tar(folder("bin"), entry("bin/tool", data=b"#!"), entry("etc/.wh.x"))
    done = engine.docker("import", "-m", "said", "-c", "CMD tool", "-", f"imp:{packing}".lower(),
                         input=compress(plain, packing))
    assert done.returncode == 0, done.stderr
    image = engine.get(f"/images/imp:{packing}/json".lower())
    assert done.stdout.decode().strip() == image["Id"]
    assert image["RootFS"]["Layers"] == [digest_of(plain)]
    assert image["Config"]["Cmd"] == ["/bin/sh", "-c", "tool"] and image["Comment"] == "said"
    assert [one["Action"] for one in engine.events(image["Id"])] == ["import", "tag"]
    (step,) = engine.get(f"/images/{image['Id']}/history")
    assert step["Comment"] == "said" and step["Size"] == 2
    engine.request("DELETE", f"/images/{image['Id']}?force=1")


def test_an_import_of_what_is_no_tar_leaves_nothing(engine):
    before = layers_on_disk(engine)
    status, body, _ = engine.request("POST", "/images/create?fromSrc=-", b"no tar at all" * 100)
    assert status >= 400 and json.loads(body)["message"]
    status, body, _ = engine.request("POST", "/images/create?fromSrc=http://x/y.tar")
    assert status == 501 and b"fromSrc" in body
    status, body, _ = engine.request("POST", "/images/create?fromSrc=-&platform=plan9/mips", b"")
    assert status == 400 and b"platform" in body
    assert layers_on_disk(engine) == before


def test_a_killed_engine_leaves_no_half_made_image(own_engine):
    """Killed again and again at another moment of a commit and of an import."""
    engine = own_engine
    box = made(engine, "seq 1 200000 >/numbers; mkdir -p /a/b/c; seq 1 1000 >/a/b/c/d")
    sent = tar(entry("numbers", data=b"0123456789" * 200000))
    before = layers_on_disk(engine)
    images = [one["Id"] for one in engine.get("/images/json")]
    finished = 0
    for wait in range(14):
        import_it = wait % 2
        answer = []

        def ask():
            try:
                if import_it:
                    answer.append(engine.request("POST", "/images/create?fromSrc=-&repo=half", sent)[0])
                else:
                    answer.append(engine.request("POST", f"/commit?container={box}&repo=half")[0])
            except Exception:  # noqa: BLE001  (the engine went away, in whichever way)
                pass

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(0.02 * 1.5**wait)
        engine.kill()
        thread.join()
        engine.wait_ready()
        found = [one["Id"] for one in engine.get("/images/json")]
        assert len(found) - len(images) in (0, 1)
        # What was acknowledged is there, and what is there is whole.
        assert not (answer and answer[0] in (200, 201)) or len(found) > len(images)
        for extra in set(found) - set(images):
            finished += 1
            status, body, _ = engine.request("GET", f"/images/{extra}/get")
            assert status == 200 and tarfile.open(fileobj=io.BytesIO(body)).getnames()
            assert engine.request("DELETE", f"/images/{extra}?force=1")[0] == 200
        assert layers_on_disk(engine) == before
        assert list((engine.dir / "root/spool").iterdir()) == []
    assert 0 < finished < 14


def test_a_commit_beside_a_running_container_reads_it_as_it_is(engine):
    box = engine.start("sh", "-c", "echo run >/state; touch /ready; while :; do echo x >/flip; rm /flip; done")
    while engine.request("HEAD", f"/containers/{box}/archive?path=/ready")[0] != 200:
        pass
    for _ in range(5):
        image = engine.post(f"/commit?container={box}&pause=0")["Id"]
    assert engine.run_to_end("cat", "/state", Image=image) == (0, b"run\n")
    assert engine.state(box)["Running"]
