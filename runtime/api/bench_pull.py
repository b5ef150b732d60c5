#!/usr/bin/python3
"""Measures the pull of an image of six layers from loopback beside a floor: parallel curl | gunzip | tar.

Usage: bench_pull.py [--megabytes N] [--rounds N] [--docker SOCKET] [--json FILE]   (root)

Measured are the programs that were built for this machine; SAMPAN_ENGINE names another sampand.

The layers are this machine's own files. Rounds are interleaved, medians are printed; what each leaves is synced and
removed outside the time. The engine's figures include its fsyncs and the keeping of the packed layers, the floor has
neither. A dockerd that listens on SOCKET takes its turn too. CPU is that of the engine (or dockerd) with its unpackers, or of curl, gunzip and tar; the registry's is in neither.
"""

import argparse
import io
import json
import os
import resource
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE.parents[1] / "out" / {"x86_64": "x86_64", "aarch64": "arm64"}[os.uname().machine] / "bin"
for name, program in ("ENGINE", "sampand"), ("INIT", "init"), ("CLI", "sampan"):
    os.environ.setdefault(f"SAMPAN_{name}", str(BUILT / program))
sys.path[:0] = [str(HERE), str(HERE.parent / "image")]

from harness import Connection, Engine  # noqa: E402  (needs the path above)
from registries import FakeRegistry, error_of, image, pull  # noqa: E402

LAYERS = 6


class Docker:
    """A dockerd, as far as a pull needs it."""

    def __init__(self, path):
        self.path = path

    def pid(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path)
            return struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def request(self, method, path, headers=None):
        connection = Connection(self.path)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body, dict(answer.headers)


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


def cpu_of(pid):
    """Seconds of processor of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def time_floor(registry, one, scratch):
    urls = [f"{registry}/v2/app/blobs/{layer['digest']}" for layer in one.manifest_json["layers"]]
    lines = []
    for i, url in enumerate(urls):
        (scratch / str(i)).mkdir(parents=True)
        lines.append(f"curl -s {url} | gunzip | tar -x -C {scratch}/{i}")
    start, cpu = time.monotonic(), cpu_of_children()
    subprocess.run(["xargs", "-P", "3", "-d", "\n", "-n", "1", "sh", "-c"], input="\n".join(lines).encode(), check=True)
    took = time.monotonic() - start, cpu_of_children() - cpu
    shutil.rmtree(scratch)
    os.sync()
    return took


def time_engine(engine, host):
    pid = engine.pid()
    start, cpu = time.monotonic(), cpu_of(pid)
    status, lines = pull(engine, f"{host}/app")
    took = time.monotonic() - start, cpu_of(pid) - cpu
    if status != 200 or "error" in lines[-1]:
        raise SystemExit(f"bench_pull: {error_of(lines) if status == 200 else lines}")
    engine.request("DELETE", f"/images/{host}/app:latest")
    os.sync()
    return took


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--megabytes", type=int, default=200)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--docker", metavar="SOCKET")
    options.add_argument("--json", type=Path)
    o = options.parse_args()
    one = image(*layers_of(o.megabytes))
    registry = FakeRegistry()
    registry.add(one)
    engine = Engine()
    docker = Docker(o.docker) if o.docker else None
    took = {"engine": [], "floor": [], **({"docker": []} if docker else {})}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        for _ in range(o.rounds):
            took["floor"].append(time_floor(registry.url, one, Path(scratch) / "floor"))
            took["engine"].append(time_engine(engine, registry.host))
            if docker:
                took["docker"].append(time_engine(docker, registry.host))
    result = {
        "packed_bytes": sum(len(data) for data in one.packed),
        "plain_bytes": sum(len(data) for data in one.plain),
    }
    for who, rounds in took.items():
        result[who] = {f"{what}_s": statistics.median(one[i] for one in rounds) for i, what in enumerate(("wall", "cpu"))}
    engine.close()
    registry.close()
    print(f"pull of {LAYERS} layers, {result['plain_bytes'] >> 20} MB ({result['packed_bytes'] >> 20} MB packed), "
          f"medians of {o.rounds}:")
    for who in took:
        print(f"{who:7}" + "".join(
            f" {what} {result[who][f'{what}_s']:6.2f} s {result[who][f'{what}_s'] / result['floor'][f'{what}_s']:5.2f}x"
            for what in ("wall", "cpu")))
    if o.json:
        o.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
