"""Images among themselves: list and its filters, inspect, save and load, prune, events."""

import gzip
import io
import json
import tarfile

import pytest

import harness
from imagefiles import digest_of, encode, entry, tar

ARCH = {"x86_64": "amd64", "arm64": "arm64"}[harness.ARCH]


def load(engine, *layers, tags=(), created="2024-01-01T00:00:00Z", **config):
    """A small image; returns its id."""
    text = encode({
        "architecture": ARCH, "os": "linux", "created": created, "config": config,
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
    })
    name = digest_of(text)[7:] + ".json"
    manifest = [{"Config": name, "RepoTags": list(tags) or None, "Layers": [f"{i}.tar" for i in range(len(layers))]}]
    archive = tar(entry(name, data=text), *(entry(f"{i}.tar", data=layer) for i, layer in enumerate(layers)),
                  entry("manifest.json", data=encode(manifest)))
    status, body, _ = engine.request("POST", "/images/load", archive)
    assert status == 200 and b"errorDetail" not in body, body
    return digest_of(text)


@pytest.fixture(scope="module")
def three(shared):
    """Three images over one layer: two with names, one with none."""
    base = tar(entry("base", data=b"b" * 1000))
    return {
        "old": load(shared, base, tags=["a/one:1", "a/one:2"], created="2020-01-01T00:00:00Z", Labels={"k": "v"}),
        "mid": load(shared, base, tar(entry("m")), tags=["b/two:1"], created="2021-01-01T00:00:00.5+01:00"),
        "new": load(shared, base, tar(entry("n", data=b"12345")), created="2022-01-01T00:00:00Z", Labels={"k": "w"}),
    }


@pytest.mark.parametrize("filters, found", [
    ({"reference": ["a/*"]}, ["old"]),
    ({"reference": ["*/two"]}, ["mid"]),
    ({"reference": ["a/one:1", "b/two:1"]}, ["mid", "old"]),
    ({"label": ["k"]}, ["new", "old"]),
    ({"label": ["k=v"]}, ["old"]),
    ({"label": ["k"], "label!": ["k=v"]}, ["new"]),
    ({"dangling": ["true"]}, ["new"]),
    ({"dangling": {"1": True}}, ["new"]),
    ({"before": ["b/two:1"]}, ["old"]),
    ({"since": ["b/two:1"], "label": ["k"]}, ["new"]),
    ({"since": ["a/one:1"], "before": ["bb:1"]}, ["mid", "new"]),
    ({"until": ["2020-06-01"]}, ["old"]),
    ({"until": ["1600000000"]}, ["old"]),
    ({"until": ["24h"], "label": ["k"]}, ["new", "old"]),
])
def test_filters_pick_images(engine, three, filters, found):
    listed = engine.get("/images/json?filters=" + json.dumps(filters).replace(" ", ""))
    assert sorted(one["Id"] for one in listed) == sorted(three[name] for name in found)


@pytest.mark.parametrize("filters", ['{"nosuch":["x"]}', '{"dangling":["perhaps"]}', '{"until":["never"]}'])
def test_a_bad_filter_is_refused(engine, filters):
    assert engine.request("GET", f"/images/json?filters={filters}")[0] == 400


def test_a_filter_by_an_image_that_is_not_there_is_a_404(engine):
    assert engine.request("GET", '/images/json?filters={"before":["no/such"]}')[0] == 404


def test_shared_sizes_are_counted_when_asked(engine, three):
    def sizes(options):
        return {one["Id"]: (one["Size"], one["SharedSize"]) for one in engine.get(f"/images/json?{options}")}

    assert sizes("")[three["old"]] == (1000, -1)
    assert sizes("shared-size=1")[three["old"]] == (1000, 1000)
    assert sizes("shared-size=1")[three["new"]] == (1005, 1000)


def test_fields_depend_on_the_version(engine, three):
    def nameless(version):
        (one,) = [i for i in engine.get(f"/v1.{version}/images/json") if i["Id"] == three["new"]]
        return one["RepoTags"], one["RepoDigests"]

    assert nameless(42) == (["<none>:<none>"], ["<none>@<none>"]) and nameless(43) == ([], [])
    found = engine.get("/v1.51/images/a/one:1/json")
    assert {"Id", "RepoTags", "RepoDigests", "Created", "Config", "Architecture", "Os", "Size", "GraphDriver",
            "RootFS", "Metadata"} <= set(found)
    assert "VirtualSize" not in found and "Container" not in found
    old = engine.get("/v1.40/images/a/one:1/json")
    assert old["VirtualSize"] == old["Size"] == 1000 and "Container" in old


def test_what_was_saved_is_an_archive_and_a_layout_at_once(engine, three):
    status, body, headers = engine.request("GET", f"/images/get?names=a/one:1&names={three['new']}&names=b/two:1")
    assert status == 200 and headers["Content-Type"] == "application/x-tar"
    archive = tarfile.open(fileobj=io.BytesIO(body))
    names = archive.getnames()
    assert len(names) == len(set(names)) and "oci-layout" in names
    read = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}
    blobs = {name: data for name, data in read.items() if name.startswith("blobs/")}
    assert all(digest_of(data) == "sha256:" + name.split("/")[2] for name, data in blobs.items())
    # three configs, three manifests, and three layers: the base once
    assert len(blobs) == 9
    manifest = json.loads(read["manifest.json"])
    assert [m["RepoTags"] for m in manifest] == [["a/one:1"], None, ["b/two:1"]]
    assert [digest_of(read[m["Config"]]) for m in manifest] == [three[n] for n in ("old", "new", "mid")]
    index = json.loads(read["index.json"])["manifests"]
    assert [m.get("annotations", {}).get("io.containerd.image.name") for m in index] == [
        "docker.io/a/one:1", None, "docker.io/b/two:1"]
    for one in index:
        layers = json.loads(read["blobs/" + one["digest"].replace(":", "/")])["layers"]
        assert all(len(read["blobs/" + layer["digest"].replace(":", "/")]) == layer["size"] for layer in layers)


def test_a_repositorys_name_saves_all_its_tags(engine, three):
    _, body, _ = engine.request("GET", "/images/a/one/get")
    archive = tarfile.open(fileobj=io.BytesIO(body))
    (manifest,) = json.loads(archive.extractfile("manifest.json").read())
    assert manifest["RepoTags"] == ["a/one:1", "a/one:2"]
    assert engine.request("GET", "/images/a/three/get")[0] == 404
    assert engine.request("GET", "/images/get")[0] == 400


def test_a_saved_image_is_the_same_image_when_it_is_loaded(own_engine):
    engine = own_engine
    box = engine.start("sh", "-c", "echo mine >/file; rm /etc/greeting")
    engine.wait(box)
    image = engine.post(f"/commit?container={box}&repo=made&tag=1")["Id"]
    ids = {one["Id"] for one in engine.get("/images/json")}
    saved = engine.docker("save", "bb:1", "made:1")
    assert saved.returncode == 0, saved.stderr
    engine.request("DELETE", f"/containers/{box}")
    for name in "made:1", "bb:1":
        assert engine.request("DELETE", f"/images/{name}")[0] == 200
    assert engine.get("/images/json") == [] and list((engine.dir / "root/blobs/sha256").iterdir()) == []
    for archive in saved.stdout, gzip.compress(saved.stdout, 1):
        loaded = engine.docker("load", input=archive)
        assert loaded.stdout.decode().splitlines() == ["Loaded image: bb:1", "Loaded image: made:1"], loaded.stderr
        assert {one["Id"] for one in engine.get("/images/json")} == ids
    code, out = engine.run_to_end("sh", "-c", "cat /file; ls /etc", Image="made:1")
    assert (code, out) == (0, b"mine\ngroup\nhostname\nhosts\npasswd\nresolv.conf\n")
    assert engine.get("/images/made:1/json")["Id"] == image


def test_events_tell_of_images_with_their_labels(own_engine):
    engine = own_engine
    image = load(engine, tar(entry("e")), tags=["ev:1"], Labels={"l": "x"})
    engine.post("/images/ev:1/tag?repo=ev&tag=2")
    engine.request("GET", "/images/ev:1/get")
    engine.request("DELETE", "/images/ev:1")
    engine.request("DELETE", "/images/ev:2")
    told = [(one["Action"], one["Actor"]["Attributes"]) for one in engine.events(image)]
    assert told == [
        ("load", {"l": "x", "name": image}), ("tag", {"l": "x", "name": "ev:2"}), ("save", {"l": "x", "name": image}),
        ("untag", {"l": "x", "name": image}), ("untag", {"l": "x", "name": image}),
        ("delete", {"l": "x", "name": image}),
    ]


def test_prune_takes_what_has_no_name_and_then_what_no_container_is_of(own_engine):
    engine = own_engine
    base = tar(entry("base", data=b"b" * 1000))
    load(engine, base, tags=["kept:1"], Labels={"keep": ""})
    nameless = load(engine, base, tar(entry("n", data=b"12345")))
    load(engine, tar(entry("u", data=b"u" * 77)), tags=["unused:1"])
    engine.create("true")
    pruned = engine.post("/images/prune")
    assert pruned == {"ImagesDeleted": [{"Deleted": nameless}], "SpaceReclaimed": 5}
    assert engine.post("/images/prune") == {"ImagesDeleted": None, "SpaceReclaimed": 0}
    pruned = engine.post('/images/prune?filters={"dangling":["false"],"label!":["keep"]}')
    assert pruned["SpaceReclaimed"] == 77 and pruned["ImagesDeleted"][0] == {"Untagged": "unused:1"}
    assert sorted(one["RepoTags"][0] for one in engine.get("/images/json")) == ["bb:1", "kept:1"]
    assert [one["Action"] for one in engine.events("")][:1] == ["prune"]
    done = engine.docker("image", "prune", "-af")
    assert b"untagged: kept:1" in done.stdout and b"Total reclaimed space: 1kB" in done.stdout, done
