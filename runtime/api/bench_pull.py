#!/usr/bin/python3
"""Measures the pull of an image of six layers from loopback beside a floor: parallel curl | gunzip | tar.

Usage: bench_pull.py [--megabytes N] [--rounds N] [--json FILE]   (root; SAMPAN_ENGINE names another sampand)

The layers are this machine's own files. Rounds are interleaved, the median is printed; what each leaves is synced and
removed outside the time. The engine's figure includes its fsyncs, the floor has none.
"""

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "image")]

from harness import Engine  # noqa: E402  (needs the path above)
from registries import FakeRegistry, error_of, image, pull  # noqa: E402

LAYERS = 6


def layers_of(megabytes):
    """Tar files of about as many bytes in all, of the files below /usr."""
    left, archives = (megabytes << 20), []
    out = io.BytesIO()
    archive = tarfile.open(fileobj=out, mode="w")
    for folder, _, names in os.walk("/usr"):
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_symlink() or not path.is_file() or path.stat().st_nlink > 1 or path.stat().st_size > 8 << 20:
                continue
            archive.add(path, recursive=False)
            if out.tell() > (megabytes << 20) / LAYERS:
                archive.close()
                left -= out.tell()
                archives.append(out.getvalue())
                out = io.BytesIO()
                archive = tarfile.open(fileobj=out, mode="w")
            if len(archives) == LAYERS:
                return archives
    raise SystemExit(f"bench_pull: /usr has less than {megabytes} MB ({left >> 20} MB short)")


def time_floor(registry, one, scratch):
    urls = [f"{registry}/v2/app/blobs/{layer['digest']}" for layer in one.manifest_json["layers"]]
    lines = []
    for i, url in enumerate(urls):
        (scratch / str(i)).mkdir(parents=True)
        lines.append(f"curl -s {url} | gunzip | tar -x -C {scratch}/{i}")
    start = time.monotonic()
    subprocess.run(["xargs", "-P", "3", "-d", "\n", "-n", "1", "sh", "-c"], input="\n".join(lines).encode(), check=True)
    took = time.monotonic() - start
    shutil.rmtree(scratch)
    os.sync()
    return took


def time_engine(engine, host):
    start = time.monotonic()
    status, lines = pull(engine, f"{host}/app")
    took = time.monotonic() - start
    if status != 200 or "error" in lines[-1]:
        raise SystemExit(f"bench_pull: {error_of(lines) if status == 200 else lines}")
    engine.request("DELETE", f"/images/{host}/app:latest")
    os.sync()
    return took


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--megabytes", type=int, default=200)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--json", type=Path)
    o = options.parse_args()
    one = image(*layers_of(o.megabytes))
    registry = FakeRegistry()
    registry.add(one)
    engine = Engine()
    engine_s, floor_s = [], []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        for _ in range(o.rounds):
            floor_s.append(time_floor(registry.url, one, Path(scratch) / "floor"))
            engine_s.append(time_engine(engine, registry.host))
    result = {
        "packed_bytes": sum(len(data) for data in one.packed),
        "plain_bytes": sum(len(data) for data in one.plain),
        "floor_s": statistics.median(floor_s),
        "engine_s": statistics.median(engine_s),
    }
    result["ratio"] = result["engine_s"] / result["floor_s"]
    engine.close()
    registry.close()
    print(f"pull of {LAYERS} layers, {result['plain_bytes'] >> 20} MB ({result['packed_bytes'] >> 20} MB packed): "
          f"{result['engine_s']:.2f} s, floor {result['floor_s']:.2f} s, {result['ratio']:.2f}x")
    if o.json:
        o.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
