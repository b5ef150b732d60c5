#!/usr/bin/python3
"""Measures sampan-oci beside a floor, crun and runc, by turns; `make bench-oci` runs this. Never a pass or a failure.

The floor (programs/oci-floor.c) makes the same container with the system calls alone. In the guest, which is the
default, the clock counts the emulated processor's instructions, so that the figures are the same on any host however
busy it is; --clock real takes the host's time instead. --host measures on this machine, as root, in a mount namespace.
"""

import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import oci_floor
from archive import compile_program, write_archive
from guest import TOP, Guest, make_ssh_key

GUEST_FILES = "test/oci-bench"
# seconds that one call may take on a busy host
TIMEOUT = 3600
INSTRUCTION_CLOCK = ("-icount", "shift=1,sleep=off", "-cpu", "max,-erms,-fsrm")
# how many were kept when a container was made
KEPT = (1, 100, 500, 1000)
PEERS = {"crun": "/usr/bin/crun", "runc": "/usr/sbin/runc"}
SCENARIOS = {
    "run": "run",
    "cycle": "create, start, delete",
    "exec": "exec",
}
SETUP = """set -e
d=/run/oci-bench
mkdir -p $d && mount -t tmpfs -o mode=755 tmpfs $d && cp -r {files}/. $d && cd $d && mkdir floor ro
mount -t tmpfs tmpfs ro && cp {sampan} ro/sampan-oci && mount -o remount,ro $d/ro
ro/sampan-oci --root $d/setup create --bundle $d/true x </dev/null >/dev/null 2>&1
cp setup/x/seccomp floor/filter
ro/sampan-oci --root $d/setup delete --force x
"""
# a host's version 1 hierarchy stays where it is
HOST_MOUNTS = """set -e
mount --make-rprivate /
umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
"""


def make_files(directory, arch, nofile=None):
    """Bundles and programs. nofile: the highest limit of descriptors that this host lets anyone have"""
    directory.mkdir()
    with tempfile.TemporaryDirectory() as work:
        bundles = [oci_floor.make_bundle(work, name, arch, [name]) for name in ("true", "sleep")]
        for bundle in bundles:
            path = bundle / "config.json"
            config = json.loads(path.read_text(encoding="utf-8"))
            for limit in config["process"]["rlimits"]:
                limit["hard"] = min(limit["hard"], nofile or limit["hard"])
            path.write_text(json.dumps(config), encoding="utf-8")
            shutil.copytree(bundle, directory / bundle.name)
        programs = {"oci-floor": oci_floor.compile_floor(bundles[0], arch, work)}
        programs["oci-bench"] = compile_program("oci-bench", arch, work)
    for name, program in programs.items():
        (directory / name).write_bytes(program)
        (directory / name).chmod(0o755)


class Host:
    """This machine. Every script runs in a mount namespace of its own."""

    name = "this host"

    def __init__(self, directory, arch):
        self.files = Path(directory) / "files"
        self.sampan = TOP / "out" / arch / "bin" / "sampan-oci"
        make_files(self.files, arch, resource.getrlimit(resource.RLIMIT_NOFILE)[1])

    def run(self, script):
        setup = HOST_MOUNTS + SETUP.format(files=self.files, sampan=self.sampan)
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", setup + script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )
        return done.returncode, done.stdout


class Peers:
    """Our machine with a Debian userland in it (peers.py)."""

    name = "our machine under QEMU"

    def __init__(self, directory, arch, instruction_clock, memory):
        import peers

        files = Path(directory) / "files"
        make_files(files, arch)
        if instruction_clock:
            os.environ["SAMPAN_ACCEL"] = "tcg,thread=single"
        key = make_ssh_key(directory)

        def boot(machine, files=None, initrds=(), extra=(), **options):
            added = write_archive(Path(directory) / "files.cpio", files)
            extra = (*extra, *(INSTRUCTION_CLOCK if instruction_clock else ()))
            return Guest(machine, directory, initrds=[*initrds, added], extra=extra, ssh_key=key, **options)

        added = {
            f"{GUEST_FILES}/{path.relative_to(files)}": (path.read_bytes(), path.stat().st_mode & 0o777)
            for path in files.rglob("*")
            if path.is_file()
        }
        self.peers = peers.boot_peers(boot, files=added, memory=memory)
        status, output = self.run(SETUP.format(files=f"/{GUEST_FILES}", sampan="/usr/bin/sampan-oci"))
        if status != 0:
            raise SystemExit(f"bench-oci: {output}")

    def run(self, script):
        done = self.peers.run("cd /run/oci-bench 2>/dev/null\n" + script, timeout=TIMEOUT)
        return done.status, done.output

    def close(self):
        self.peers.guest.close()


def measure(place, scenario, rounds, contenders):
    """{contender: [(number, wall_ns, cpu_ns, peak_kb)]}"""
    words = [f"{name}=$PWD/{name}={program}" for name, program in contenders.items()]
    script = f"./oci-bench {scenario} {rounds} $PWD/true $PWD/sleep {' '.join(words)}\n"
    status, output = place.run(script)
    if status != 0:
        raise SystemExit(f"bench-oci: {scenario}: {output}")
    samples = {name: [] for name in contenders}
    for name, *numbers in re.findall(rf"^{scenario} (\S+) (\d+) (\d+) (\d+) (\d+)$", output, re.MULTILINE):
        samples[name].append(tuple(map(int, numbers)))
    return samples


def median(samples, field):
    return statistics.median(sample[field] for sample in samples)


def summary(samples):
    """wall and processor time in ms, peak in kB, and the ratios to the floor's"""
    result = {
        name: {
            "wall_ms": median(values, 1) / 1e6,
            "cpu_ms": median(values, 2) / 1e6,
            "peak_kb": median(values, 3),
        }
        for name, values in samples.items()
    }
    floor = result["floor"]
    for values in result.values():
        values["wall_ratio"] = values["wall_ms"] / floor["wall_ms"]
        values["cpu_ratio"] = values["cpu_ms"] / floor["cpu_ms"]
    return result


def kept_costs(samples, n):
    """Wall ms of the n-th container: the median of it and its neighbours, as single ones are interrupted."""
    near = [s for s in samples if abs(s[0] - n) <= 5]
    return median(near, 1) / 1e6 if near else None


def working(place, contenders):
    """Those that can make the container here. A host may deny what a runtime insists on."""
    result = {}
    for name, program in contenders.items():
        try:
            measure(place, "run", 1, {name: program})
        except SystemExit as why:
            print(f"{name} is left out: {str(why).strip().splitlines()[0]}")
            continue
        result[name] = program
    return result


def run(place, options):
    contenders = working(
        place, {"floor": "$PWD/oci-floor", "sampan-oci": "$PWD/ro/sampan-oci", **PEERS}
    )
    result = {"place": place.name, "clock": "host" if options.host else options.clock, "rounds": options.rounds}
    for scenario in SCENARIOS:
        print(f"{scenario} …", flush=True)
        result[scenario] = summary(measure(place, scenario, options.rounds, contenders))
    if not options.host:
        print("memory …", flush=True)
        samples = measure(place, "memory", 3, contenders)
        result["memory"] = {name: {"cgroup_peak_kb": median(v, 3)} for name, v in samples.items()}
    print(f"keep {options.keep} …", flush=True)
    keepers = {name: program for name, program in contenders.items() if name != "runc"}
    kept = measure(place, "keep", options.keep, keepers)
    result["keep"] = {
        name: {n: kept_costs(samples, n) for n in KEPT if n <= options.keep} for name, samples in kept.items()
    }
    return result


def rows(result):
    names = list(result["run"])
    yield ["", *names]
    for scenario, label in SCENARIOS.items():
        values = result[scenario]
        yield [f"{label}: CPU", *(f"{values[n]['cpu_ms']:.2f} ms {values[n]['cpu_ratio']:.2f}×" for n in names)]
        yield [f"{label}: wall", *(f"{values[n]['wall_ms']:.2f} ms {values[n]['wall_ratio']:.2f}×" for n in names)]
    peaks = {n: max(result[s][n]["peak_kb"] for s in SCENARIOS) for n in names}
    yield ["largest resident set of a process", *(f"{peaks[n]:.0f} kB" for n in names)]
    if "memory" in result:
        yield ["peak of the runtime's cgroup", *(f"{result['memory'][n]['cgroup_peak_kb']:.0f} kB" for n in names)]
    for count in result["keep"]["floor"]:
        costs = (result["keep"].get(n, {}).get(count) for n in names)
        yield [f"create and start number {count}: wall", *("—" if c is None else f"{c:.2f} ms" for c in costs)]


def print_table(result):
    print(f"\n{result['place']}, clock: {result['clock']}, medians of {result['rounds']}\n")
    for number, row in enumerate(rows(result)):
        print("| " + " | ".join(row) + " |")
        if number == 0:
            print("| --- |" + " ---: |" * (len(row) - 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--host", action="store_true", help="on this machine, as root")
    parser.add_argument("--clock", choices=("instructions", "real"), default="instructions", help="of the guest")
    parser.add_argument("--rounds", type=int, default=20, help="samples per median (default 20)")
    parser.add_argument("--keep", type=int, default=1000, help="containers kept running (default 1000)")
    parser.add_argument("--memory", type=int, default=3072, help="MiB of the guest")
    parser.add_argument("--json", type=Path, default=TOP / "out" / "bench-oci.json")
    options = parser.parse_args()

    arch = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine) if options.host else "x86_64"
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as directory:
        if options.host:
            result = run(Host(directory, arch), options)
        else:
            with contextlib.closing(
                Peers(directory, arch, options.clock == "instructions", options.memory)
            ) as place:
                result = run(place, options)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent="\t") + "\n", encoding="utf-8")
    print_table(result)


if __name__ == "__main__":
    main()
