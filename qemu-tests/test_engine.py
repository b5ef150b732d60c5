"""The stock docker client drives a booted machine over ssh: nothing on it listens but sshd."""

import json
import re
import sys

import pytest

import image
from dockercli import Docker
from guest import MACHINES, TOP

sys.path[1:1] = [str(TOP / "runtime/api"), str(TOP / "runtime/image")]

import imagefiles  # noqa: E402
import registries  # noqa: E402

APPLETS = "cat chmod dd echo false kill ls mkdir mount printenv ps rm sh sleep stat touch true".split()
SAMPAND = "/sys/fs/cgroup/services/sampand"
CERTIFICATES = "/var/lib/sampan/certs.d"
HOST = "10.0.2.2"  # as a guest sees it


def archive(arch):
    busybox = MACHINES[arch].out / "pkg/busybox/bin/busybox"
    architecture = {"q35": "amd64", "arm64": "arm64"}[arch]
    return image.docker_archive(busybox.read_bytes(), APPLETS, {}, architecture)


def connect(guest, directory):
    docker = Docker(guest, directory)
    assert "Loaded image: bb:latest" in docker("load", stdin=archive(guest.machine.name), timeout=180).ok()
    return docker


@pytest.fixture(scope="module")
def _clients():
    made = {}
    yield made
    for docker in made.values():
        docker.close()


@pytest.fixture
def docker(q35, _clients, tmp_path_factory):
    """A client of the shared machine, which has the image bb and no containers."""
    if _clients.get(q35) is None:
        _clients[q35] = connect(q35, tmp_path_factory.mktemp("docker"))
    client = _clients[q35]
    yield client
    for name in client("ps", "-a", "--format", "{{.Names}}").ok().split():
        if name != "web":  # declared by the machine's image
            client("rm", "-f", name).ok()


def run(docker, *words):
    return docker("run", "--network", "none", *words)


def test_version_tells_the_engine_and_the_machine(docker):
    told = json.loads(docker("version", "-f", "{{json .Server}}").ok())
    assert (told["Platform"]["Name"], told["ApiVersion"], told["MinAPIVersion"]) == ("Sampan", "1.51", "1.24")
    assert told["KernelVersion"].startswith("6.12.")
    info = json.loads(docker("info", "-f", "{{json .}}").ok())
    assert (info["CgroupVersion"], info["CgroupDriver"], info["OperatingSystem"]) == ("2", "cgroupfs", "Sampan")
    assert info["NCPU"] == 1 and 200e6 < info["MemTotal"] < 256 * 2**20


def test_run_tells_output_and_exit_status(docker):
    assert run(docker, "--rm", "bb", "echo", "hi").ok() == "hi"
    assert run(docker, "--rm", "bb", "sh", "-c", "exit 7").status == 7
    assert docker("run", "--rm", "-i", "--network", "none", "bb", "cat", stdin=b"through\n").ok() == "through"
    assert docker("ps", "-a", "--format", "{{.Names}}").ok() == "web"


def test_limits_are_the_kernels(docker):
    limits = ["-m", "32m", "--memory-swap", "32m", "--pids-limit", "20", "--cpus", "0.5", "--cpu-shares", "512"]
    files = [f"/sys/fs/cgroup/{name}" for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max", "cpu.weight")]
    told = run(docker, "--rm", *limits, "bb", "cat", *files).ok().splitlines()
    assert told == ["33554432", "0", "20", "50000 100000", "20"]


def test_a_container_out_of_memory_is_killed_and_said_so(docker):
    done = run(docker, "--name", "greedy", "-m", "16m", "--memory-swap", "16m", "bb",
               "sh", "-c", "mount; dd if=/dev/zero of=/dev/shm/x bs=1048576 count=40")  # fmt: skip
    assert done.status == 137
    state = json.loads(docker("inspect", "-f", "{{json .State}}", "greedy").ok())
    assert (state["OOMKilled"], state["ExitCode"], state["Status"]) == (True, 137, "exited")


def test_what_a_container_may_not_do(docker):
    status = run(docker, "--rm", "bb", "cat", "/proc/self/status").ok()
    assert re.search(r"CapEff:\s+00000000a80425fb", status)
    assert re.search(r"Seccomp:\s+2", status)
    assert run(docker, "--rm", "bb", "mount", "-t", "tmpfs", "none", "/mnt").status != 0
    assert run(docker, "--rm", "bb", "sh", "-c", "echo 1 >/proc/sys/kernel/panic").status != 0
    assert run(docker, "--rm", "--read-only", "bb", "touch", "/x").status != 0
    assert run(docker, "--rm", "-u", "1000:63", "bb", "sh", "-c", "stat -L -c %u:%g /proc/self").ok() == "1000:63"


def test_ps_logs_stop_and_start(docker):
    run(docker, "-d", "--name", "loop", "bb", "sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 1; done").ok()
    assert re.search(r"Up .*\bloop$", docker("ps").ok(), re.M)
    assert docker("stop", "-t", "20", "loop").ok() == "loop"
    assert docker("wait", "loop").ok() == "3"
    assert docker("logs", "loop").ok().splitlines() == ["up", "bye"]
    docker("start", "loop").ok()
    assert docker("inspect", "-f", "{{.State.Status}}", "loop").ok() == "running"
    docker("rm", "-f", "loop").ok()


def test_the_consoles_own_command_is_docker_and_sampan(q35, docker):
    assert q35.ssh("docker run --rm --network none -m 32m bb cat /sys/fs/cgroup/memory.max").ok() == "33554432"
    assert q35.ssh("docker run --rm --network none bb sh -c 'exit 7'").status == 7
    name = q35.ssh("sampan run -d --name here --network none bb sleep 1000").ok()
    assert docker("ps", "-q", "--no-trunc", "--filter", "name=here").ok() == name
    assert re.search(r"^\w{12} +here +\d", q35.ssh("sampan stats --no-stream here").ok(), re.M)
    assert q35.ssh("sampan exec here cat /proc/1/comm").ok() == "sleep"
    assert q35.ssh("sampan pause here").ok() == "here"
    assert "(Paused)" in q35.ssh("docker ps").ok()
    assert q35.ssh("sampan rm -f here").ok() == "here"
    assert "web: serving" in q35.ssh("sampan logs web").ok()
    assert q35.ssh("sampan stop nobody").status == 1


def test_paused_is_frozen(q35, docker):
    name = run(docker, "-d", "bb", "sleep", "1000").ok()
    docker("pause", name).ok()
    assert "frozen 1" in q35.ssh(f"cat /sys/fs/cgroup/containers/{name}/cgroup.events").ok()
    docker("unpause", name).ok()
    assert "frozen 0" in q35.ssh(f"cat /sys/fs/cgroup/containers/{name}/cgroup.events").ok()


def test_a_killed_engine_is_back_and_no_container_noticed(q35, docker):
    name = run(docker, "-d", "bb", "sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 1; done").ok()
    pid = docker("inspect", "-f", "{{.State.Pid}}", name).ok()
    since = q35.mark()
    q35.ssh("kill -9 $(cat /sys/fs/cgroup/services/sampand/cgroup.procs)").ok()
    q35.wait_for("sampand: ready", since=since)
    assert docker("inspect", "-f", "{{.State.Pid}}", name).ok() == pid
    docker("stop", "-t", "0", name).ok()
    numbers = [int(line) for line in docker("logs", name).ok().splitlines()]
    assert numbers == list(range(len(numbers))) and len(numbers) > 1


def test_an_engine_at_rest_is_small(q35, docker):
    """Its own memory, without the pages of files that it read; the goal is 6 MB with init."""
    docker("ps").ok()
    stat = q35.ssh(f"cat {SAMPAND}/memory.stat").ok()
    anonymous, kernel = (int(re.search(rf"^{name} (\d+)", stat, re.M)[1]) for name in ("anon", "kernel"))
    assert anonymous + kernel < 4 * 2**20, stat


def test_nothing_is_left_of_a_removed_container(q35, docker):
    def traces():
        return q35.ssh(
            "ls /sys/fs/cgroup/containers /var/lib/sampan/containers /run/sampan; cat /proc/mounts; "
            "ls -l /proc/$(cat /sys/fs/cgroup/services/sampand/cgroup.procs)/fd | grep -v socket:"
        ).ok()

    before = traces()
    for _ in range(3):
        run(docker, "--rm", "bb", "true").ok()
        run(docker, "-d", "--name", "gone", "bb", "sleep", "1000").ok()
        docker("rm", "-f", "gone").ok()
    assert traces() == before


def test_exec_runs_beside_the_program_and_tells_its_status(docker):
    run(docker, "-d", "--name", "host", "-m", "32m", "bb", "sleep", "1000").ok()
    assert docker("exec", "host", "sh", "-c", "echo $0 in; exit 3").status == 3
    assert docker("exec", "-i", "-e", "A=b", "host", "sh", "-c", "cat; echo $A", stdin=b"x\n").ok() == "x\nb"
    assert docker("exec", "host", "cat", "/sys/fs/cgroup/memory.max").ok() == "33554432"
    assert docker("exec", "host", "no-such-program").status == 127
    assert "sleep 1000" in docker("top", "host").ok()


def test_update_changes_the_kernels_limits(docker):
    run(docker, "-d", "--name", "limited", "-m", "32m", "--memory-swap", "32m", "bb", "sleep", "1000").ok()
    docker("update", "-m", "48m", "--memory-swap", "48m", "--pids-limit", "30", "--cpus", "0.25", "limited").ok()
    files = [f"/sys/fs/cgroup/{name}" for name in ("memory.max", "pids.max", "cpu.max")]
    assert docker("exec", "limited", "cat", *files).ok().splitlines() == ["50331648", "30", "25000 100000"]
    assert docker("inspect", "-f", "{{.HostConfig.Memory}}", "limited").ok() == "50331648"


def test_stats_are_those_of_the_cgroup(docker):
    run(docker, "-d", "--name", "busy", "-m", "32m", "bb", "sh", "-c", "sleep 1000 & while :; do :; done").ok()
    told = json.loads(docker("stats", "--no-stream", "--format", "json", "busy").ok())
    assert told["PIDs"] == "2" and told["MemUsage"].endswith("/ 32MiB")
    assert float(told["CPUPerc"].rstrip("%")) > 5, told


def test_volumes_outlive_their_containers(q35, docker):
    run(docker, "--rm", "-v", "data:/data", "bb", "sh", "-c", "echo kept >/data/file").ok()
    assert run(docker, "--rm", "-v", "data:/data:ro", "bb", "cat", "/data/file").ok() == "kept"
    assert run(docker, "--rm", "-v", "data:/data:ro", "bb", "touch", "/data/x").status != 0
    assert docker("volume", "inspect", "-f", "{{.Mountpoint}}", "data").ok() == "/var/lib/sampan/volumes/data/_data"
    docker("volume", "rm", "data").ok()
    assert "data" not in docker("volume", "ls", "-q").ok().split()


def test_files_are_copied_both_ways_and_become_an_image(docker, tmp_path):
    run(docker, "-d", "--name", "box", "bb", "sleep", "1000").ok()
    (tmp_path / "in").write_text("through\n")
    docker("cp", tmp_path / "in", "box:/tmp/in").ok()
    assert docker("exec", "box", "cat", "/tmp/in").ok() == "through"
    docker("cp", "box:/etc/motd", tmp_path / "motd").ok()
    assert (tmp_path / "motd").read_text() == "welcome\n"
    assert "A /tmp/in" in docker("diff", "box").ok().splitlines()
    docker("commit", "box", "made:1").ok()
    assert run(docker, "--rm", "made:1", "cat", "/tmp/in").ok() == "through"
    docker("rmi", "made:1").ok()


@pytest.fixture
def registry(q35, tmp_path):
    """One on the host with TLS, whose authority the guest does not know: (registry, its name, its certificate)."""
    certificate, key = registries.make_certificate(tmp_path, HOST)
    made = registries.FakeRegistry(tls=(certificate, key))
    yield made, f"{HOST}:{made.port}", certificate.read_text()
    made.close()
    q35.ssh(f"rm -rf {CERTIFICATES}").ok()


def test_an_image_is_pulled_from_a_registry_run_and_pushed_back(q35, docker, registry):
    registry, name, certificate = registry
    busybox = (MACHINES["q35"].out / "pkg/busybox/bin/busybox").read_bytes()
    one = imagefiles.Image(
        imagefiles.tar(imagefiles.folder("bin"), imagefiles.entry("bin/busybox", data=busybox, mode=0o755),
                       imagefiles.symlink("bin/cat", "busybox"), imagefiles.entry("told", data=b"lower\n")),
        imagefiles.tar(imagefiles.entry("told", data=b"upper\n")),
        imagefiles.tar(imagefiles.folder("etc", uid=7), imagefiles.entry("etc/file", data=b"x")),
        config={"Env": ["PATH=/bin"], "Cmd": ["cat", "/told"]},
    )  # fmt: skip
    digest, _ = registry.add(one, "1")
    refused = docker("pull", f"{name}/app:1")
    assert refused.status == 1 and "certificate" in refused.output, refused.output
    q35.ssh(f"mkdir -p {CERTIFICATES}/{name}; echo '{certificate}' >{CERTIFICATES}/{name}/ca.crt").ok()
    told = run(docker, "--rm", f"{name}/app:1").ok()
    assert f"Downloaded newer image for {name}/app:1" in told and told.splitlines()[-1] == "upper"
    docker("tag", f"{name}/app:1", f"{name}/copy:2").ok()
    registry.blobs.clear()
    assert f"2: digest: {digest}" in docker("push", f"{name}/copy:2").ok()
    assert registry.manifests["2"] == registry.manifests["1"]
    parts = [one.manifest_json["config"], *one.manifest_json["layers"]]
    assert set(registry.blobs) == {part["digest"] for part in parts}
    docker("rmi", f"{name}/app:1", f"{name}/copy:2").ok()


def test_a_healthcheck_is_run_and_shown(docker):
    run(docker, "-d", "--name", "well", "--health-cmd", "test -e /tmp/ok || touch /tmp/ok", "--health-interval", "1s",
        "bb", "sleep", "1000").ok()  # fmt: skip
    with docker.popen("events", "--since", "0", "--filter", "container=well", "--filter", "event=health_status") as told:
        assert "health_status: healthy" in told.stdout.readline()
        told.kill()
    assert "(healthy)" in docker("ps").ok()


def test_init_reaps_in_a_container(docker):
    run(docker, "-d", "--init", "--name", "reaped", "bb", "sh", "-c", "sh -c 'true &'; sleep 1000").ok()
    assert docker("exec", "reaped", "cat", "/proc/1/comm").ok() == "docker-init"


def test_the_images_own_container_is_shown_and_can_be_handled(q35, docker):
    assert re.search(r"\bweb +\"/bin/sh -c .* Up .* web$", docker("ps").ok(), re.M)
    told = json.loads(docker("inspect", "web").ok())[0]
    assert told["State"]["Pid"] == int(q35.ssh("cat /run/containers/web/pid").ok())
    assert told["Config"]["Labels"]["org.sampan.declared"] == "true"
    assert "web: serving on :80" in docker("logs", "--tail", "50", "web").ok()
    docker("stop", "web").ok()
    assert docker("inspect", "-f", "{{.State.Status}}", "web").ok() == "exited"
    assert "web" not in docker("ps", "--format", "{{.Names}}").ok().split()
    docker("start", "web").ok()
    assert "Sampan" in q35.http()
    refused = docker("rm", "-f", "web")
    assert refused.status == 1 and "declared in the machine's image" in refused.output
    taken = run(docker, "-d", "--name", "web", "bb", "true")
    assert taken.status == 125 and 'name "/web" is already in use' in taken.output


def test_a_restart_policy_outlives_a_reboot(boot, tmp_path):
    disk = tmp_path / "data.raw"
    with open(disk, "wb") as file:
        file.truncate(512 * 2**20)
    guest = boot("q35", disks=[disk], append="sampan.data=/dev/vda").boot()
    docker = connect(guest, tmp_path / "docker")
    try:
        run(docker, "-d", "--name", "always", "--restart", "always", "bb", "sh", "-c", "echo up; sleep 1000").ok()
        run(docker, "-d", "--name", "once", "--stop-signal", "USR1", "bb", "sh", "-c",
            "trap 'echo bye; exit 5' USR1; while :; do sleep 1; done").ok()  # fmt: skip
        gone = run(docker, "-d", "--rm", "bb", "sleep", "1000").ok()
        docker.close()
        since = guest.mark()
        guest.ssh("sampan reboot")
        guest.boot(since=since)
        assert docker("inspect", "-f", "{{.State.Status}}", "always").ok() == "running"
        assert docker("logs", "always").ok().splitlines() == ["up", "up"]
        assert docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "once").ok() == "exited 5"
        assert docker("logs", "once").ok() == "bye"
        assert gone not in docker("ps", "-aq", "--no-trunc").ok()
    finally:
        docker.close()


def test_the_engine_on_arm64(arm64, tmp_path):
    docker = connect(arm64, tmp_path / "docker")
    try:
        assert run(docker, "--rm", "bb", "echo", "hi").ok() == "hi"
        assert run(docker, "--rm", "-m", "32m", "bb", "cat", "/sys/fs/cgroup/memory.max").ok() == "33554432"
    finally:
        docker.close()
