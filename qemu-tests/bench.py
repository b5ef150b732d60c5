#!/usr/bin/python3
"""Measures what was built and prints a table; `make bench` runs this. Never a pass or a failure.

Times are medians of boots that alternate with the floor: the same kernel on the same machine with an
initramfs whose /init prints one line. So the ratios hold on any host, the seconds only on this one.
"""

import argparse
import json
import os
import re
import statistics
import tempfile
from pathlib import Path

from archive import compile_program, write_archive
from guest import MACHINES, TOP, Guest, GuestError, make_ssh_key

IDLE_MEMORY = 256
SMALLEST_TRIED, LARGEST_TRIED, STEP = 16, 256, 2
MB = 1000 * 1000

# every socket that listens, v4 and v6, as address:port
PORTS = "netstat -ltn | sed -n 's/^tcp *[0-9]* *[0-9]* *\\([^ ]*\\).*LISTEN.*/\\1/p'"
SETUID = "find / -xdev -type f \\( -perm -4000 -o -perm -2000 \\)"


def container_name(app):
    """The name of the container that app.cpio declares: its service file's."""
    match = re.search(rb"etc/services/([\w.-]+)\0", app.read_bytes())
    if not match:
        raise SystemExit(f"{app}: no service file in it")
    return match[1].decode()


def kernel_clock_start(guest, ask, pattern):
    """When the kernel's clock was 0, in seconds since QEMU's start: now minus its uptime.

    Answers arrive late, never early, so the smallest of a few is the best.
    """
    starts = []
    for _ in range(3):
        since = guest.mark()
        guest.console.send(ask)
        match = guest.wait_for(pattern, since=since)
        starts.append(guest.time_of(match) - float(match[1]))
    return min(starts)


class Bench:
    def __init__(self, machine, directory, ssh_key, runs):
        self.machine = MACHINES[machine]
        self.directory = Path(directory)
        self.ssh_key = ssh_key
        self.runs = runs
        self.container = container_name(self.machine.app)
        program = compile_program("floor", self.machine.arch, directory)
        self.floor_archive = write_archive(
            self.directory / "floor.cpio", {"init": (program, 0o755)}
        )

    def guest(self, **options):
        return Guest(self.machine.name, self.directory, ssh_key=self.ssh_key, **options)

    def boot_floor(self):
        with self.guest(initrds=[self.floor_archive], shell=False) as guest:
            line = guest.time_of(guest.wait_for(r"^floor: up"))
            kernel = kernel_clock_start(guest, b"\n", r"^floor: uptime ([\d.]+)")
        return {"first_line": line, "kernel": kernel}

    def boot_real(self):
        with self.guest() as guest:
            init = guest.time_of(guest.wait_for(r"init: up"))
            container = guest.time_of(guest.wait_for(rf"\b{self.container} \| "))
            guest.boot()
            guest.shell("true")
            kernel = kernel_clock_start(guest, b"cat /proc/uptime\n", r"^([\d.]+) [\d.]+$")
        return {"first_line": init, "container": container, "kernel": kernel}

    def times(self):
        floors, reals = [], []
        for _ in range(self.runs):
            floors.append(self.boot_floor())
            reals.append(self.boot_real())

        def median(boots, what, start):
            return statistics.median(b[what] - (b[start] if start else 0) for b in boots)

        result = {}
        for start in ("qemu", "kernel"):
            since = "kernel" if start == "kernel" else None
            floor = median(floors, "first_line", since)
            result[f"from_{start}"] = {
                "floor_s": floor,
                "pid1_s": median(reals, "first_line", since),
                "container_s": median(reals, "container", since),
                "pid1_ratio": median(reals, "first_line", since) / floor,
                "container_ratio": median(reals, "container", since) / floor,
            }
        return result

    def idle(self):
        with self.guest(memory=IDLE_MEMORY) as guest:
            guest.boot()
            guest.http()
            guest.ssh("true")
            meminfo = dict(re.findall(r"(\w+): +(\d+) kB", guest.ssh("cat /proc/meminfo").ok()))
            status = dict(re.findall(r"(\w+):\s+(\d+) kB", guest.ssh("cat /proc/1/status").ok()))
            ports = guest.ssh(PORTS).ok().split()
            setuid = guest.ssh(SETUID).output.split()
        return {
            "idle_mb": (int(meminfo["MemTotal"]) - int(meminfo["MemAvailable"])) * 1024 / MB,
            "reserved_mb": (IDLE_MEMORY * 1024 - int(meminfo["MemTotal"])) * 1024 / MB,
            "pid1_rss_kb": int(status["VmRSS"]),
            "ports": sorted({int(port.rsplit(":", 1)[1]) for port in ports}),
            "setuid": setuid,
        }

    def serves_with(self, memory, timeout):
        try:
            with self.guest(memory=memory) as guest:
                guest.boot(timeout)
                guest.http(timeout=timeout)
            return True
        except GuestError:
            return False

    def smallest(self, boot_seconds):
        """The least memory in MiB with which the container's page is served, by bisection."""
        timeout = 10 + 3 * boot_seconds
        fails, serves = SMALLEST_TRIED, LARGEST_TRIED
        while serves - fails > STEP:
            middle = (fails + serves) // 2 // STEP * STEP
            if self.serves_with(middle, timeout):
                serves = middle
            else:
                fails = middle
        return serves

    def sizes(self):
        kernel = (self.machine.out / self.machine.kernel).stat().st_size / MB
        initramfs = self.machine.initramfs.stat().st_size / MB
        return {
            "kernel_mb": kernel,
            "initramfs_mb": initramfs,
            "os_mb": kernel + initramfs,
            "app_mb": self.machine.app.stat().st_size / MB,
        }

    def run(self):
        result = {"machine": self.machine.name, "runs": self.runs, **self.sizes()}
        print(f"{self.machine.name}: {2 * self.runs} boots for times …", flush=True)
        result.update(self.times())
        print(f"{self.machine.name}: idle memory …", flush=True)
        result.update(self.idle())
        print(f"{self.machine.name}: the least memory …", flush=True)
        result["smallest_mib"] = self.smallest(result["from_qemu"]["container_s"])
        return result


def rows(result):
    """(label, value) of one machine's table."""
    yield "kernel", f"{result['kernel_mb']:.2f} MB"
    yield "initramfs", f"{result['initramfs_mb']:.2f} MB"
    yield "kernel + initramfs", f"{result['os_mb']:.2f} MB"
    for start, label in (("qemu", "QEMU's start"), ("kernel", "kernel's start")):
        times = result[f"from_{start}"]
        yield f"{label} to the floor's line", f"{times['floor_s']:.3f} s  1.00×"
        for what, name in (("pid1", "PID 1's first line"), ("container", "container's first line")):
            seconds, ratio = times[f"{what}_s"], times[f"{what}_ratio"]
            yield f"{label} to {name}", f"{seconds:.3f} s  {ratio:.2f}×"
    yield f"idle memory of {IDLE_MEMORY} MiB", f"{result['idle_mb']:.1f} MB"
    yield "… kept by kernel and firmware besides", f"{result['reserved_mb']:.1f} MB"
    yield "least memory that serves the page", f"{result['smallest_mib']} MiB"
    yield "PID 1's resident memory", f"{result['pid1_rss_kb']} KiB"
    ports = " ".join(str(port) for port in result["ports"])
    yield "open ports", f"{len(result['ports'])} ({ports})"
    yield "setuid and setgid files", f"{len(result['setuid'])}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--machine", action="append", choices=sorted(MACHINES))
    parser.add_argument(
        "--arch", default=os.environ.get("ARCH", "x86_64"), choices=("x86_64", "arm64")
    )
    parser.add_argument("--runs", type=int, default=5, help="boots per median (default 5)")
    parser.add_argument("--json", type=Path, default=TOP / "out" / "bench.json")
    options = parser.parse_args()

    machines = options.machine or (["q35", "microvm"] if options.arch == "x86_64" else ["arm64"])
    results = []
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as directory:
        ssh_key = make_ssh_key(directory)
        for machine in machines:
            results.append(Bench(machine, directory, ssh_key, options.runs).run())
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent="\t") + "\n", encoding="utf-8")

    for result in results:
        print(f"\n{result['machine']} (median of {result['runs']} boots)")
        for label, value in rows(result):
            print(f"  {label:<42} {value}")


if __name__ == "__main__":
    main()
