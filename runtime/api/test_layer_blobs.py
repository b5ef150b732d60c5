"""The archives of layers: kept for `docker save` and push, and gone with their images."""

import gzip
import os
import signal

import harness
from imagefiles import Image, compress, digest_of, entry, folder, tar


def blobs(engine):
    return {p.name: p.read_bytes() for p in (engine.dir / "root/blobs/sha256").iterdir()}


def load(engine, files):
    archive = tar(*[entry(name, data=data) for name, data in files.items()])
    status, body, _ = engine.request("POST", "/images/load", archive)
    assert status == 200 and b"errorDetail" not in body, body


def small(packing, *layers):
    arch = {"x86_64": "amd64", "arm64": "arm64"}[harness.ARCH]
    return Image(*layers, packing=packing, architecture=arch)


def test_a_plain_layer_is_kept_packed_and_unpacks_to_its_diff_id(engine):
    layers = engine.get("/images/bb:1/json")["RootFS"]["Layers"]
    kept = blobs(engine)
    assert all(digest_of(data) == "sha256:" + name for name, data in kept.items())
    assert {digest_of(gzip.decompress(data)) for data in kept.values()} == set(layers)


def test_a_packed_layer_is_kept_byte_for_byte_and_goes_with_its_image(engine):
    before = blobs(engine)
    for packing in "gzip", "zstd":
        image = small(packing, tar(entry("a", data=packing.encode())), tar(folder("d")))
        load(engine, image.layout())
        kept = blobs(engine)
        assert sorted(kept.items() - before.items()) == sorted(
            (digest_of(data)[7:], data) for data in image.packed
        )
        engine.request("DELETE", "/images/" + digest_of(image.blobs[image.manifest_json["config"]["digest"]]))
        assert blobs(engine) == before


def test_a_blob_that_two_images_have_stays_for_the_second(engine):
    before = blobs(engine)
    shared = tar(entry("shared"))
    ids = []
    # Beneath it lies another layer each time, so its chainID is another one, its blob the same.
    for name in "ab":
        image = small("gzip", tar(entry(name)), shared)
        load(engine, image.layout())
        ids.append(image.manifest_json["config"]["digest"])
    name = digest_of(compress(shared, "gzip"))[7:]
    engine.request("DELETE", f"/images/{ids[0]}")
    assert name in blobs(engine)
    engine.request("DELETE", f"/images/{ids[1]}")
    assert blobs(engine) == before


def test_what_a_killed_engine_left_is_swept(own_engine):
    engine = own_engine
    kept = blobs(engine)
    os.kill(engine.pid(), signal.SIGSTOP)
    (engine.dir / "root/blobs/sha256" / ("0" * 64)).write_bytes(b"no layer has it")
    engine.kill()
    engine.wait_ready()
    assert blobs(engine) == kept
