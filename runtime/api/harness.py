"""An engine with an init of its own, and a client that says exactly what the test says."""

import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

# a machine without a docker client gets the one of rootfs/sources.lock
if not shutil.which("docker"):
    sys.path.append(str(Path(__file__).resolve().parents[2] / "qemu-tests"))
    from dockercli import client

    os.environ["PATH"] += f":{client() / 'usr/bin'}"

from imagefiles import digest_of, encode, entry, folder, symlink, tar

TOP = Path(__file__).resolve().parents[2]
INIT = Path(os.environ.get("SAMPAN_INIT", TOP / "out/check/asan/bin/init"))
SAMPAND = Path(os.environ.get("SAMPAN_ENGINE", TOP / "out/check/asan/bin/sampand"))
ARCH = {"x86_64": "x86_64", "aarch64": "arm64"}[os.uname().machine]
OCI = Path(os.environ.get("SAMPAN_OCI", TOP / f"out/{ARCH}/bin/sampan-oci"))
SAMPAN = Path(os.environ.get("SAMPAN_CLI", TOP / "out/check/asan/bin/sampan"))
BUSYBOX = Path("/bin/busybox")
APPLETS = "sh cat echo ls sleep true false id head seq env rm mkdir touch wc tty".split()
TIMEOUT = 120
SLEEP = ("sh", "-c", "while :; do sleep 1; done")


def image(name="bb:1", extra=()):
    """A docker archive of two layers: BusyBox; and one that adds a file and hides an applet. @extra: more of them."""
    passwd = b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"
    base = tar(
        folder("bin"),
        folder("etc"),
        folder("tmp", mode=0o1777),
        entry("bin/busybox", data=BUSYBOX.read_bytes(), mode=0o755),
        *(symlink(f"bin/{name}", "busybox") for name in APPLETS),
        entry("etc/passwd", data=passwd),
        entry("etc/group", data=b"root:x:0:\nuser:x:1000:\nextra:x:77:user\n"),
    )
    top = tar(entry("etc/greeting", data=b"hello\n"), entry("bin/.wh.false"))
    layers = [base, top, *extra]
    config = encode({
        "architecture": {"x86_64": "amd64", "arm64": "arm64"}[ARCH],
        "os": "linux",
        "created": "2024-01-02T03:04:05Z",
        "config": {"Env": ["PATH=/bin", "FROM=image"], "Cmd": ["sh"], "Labels": {"made-by": "test"}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
    })
    file = digest_of(config).split(":")[1] + ".json"
    names = [f"{i}.tar" for i in range(len(layers))]
    manifest = [{"Config": file, "RepoTags": [name], "Layers": names}]
    return tar(
        entry(file, data=config),
        *(entry(f"{i}.tar", data=layer) for i, layer in enumerate(layers)),
        entry("manifest.json", data=encode(manifest)),
    )


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("engine", timeout=TIMEOUT)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    def __init__(self, *options):
        """options: more of sampand's; {root} stands for its --root"""
        self.dir = Path(tempfile.mkdtemp(prefix="engine-test.", dir="/var/tmp"))
        self.socket = self.dir / "docker.sock"
        self.run = self.dir / "run"
        (self.dir / "services").mkdir()
        (self.dir / "services/sampand").write_text(
            f"exec={SAMPAND} --socket {self.socket} --root {self.dir}/root --run {self.run}/sampan"
            f" --oci {OCI} --init {self.run}/init.sock --docker-init {OCI.parent}/docker-init"
            + "".join(f" {option}" for option in options).replace("{root}", f"{self.dir}/root")
            + "\nready=fd\nrestart=always\nbackoff=10ms..1s\n"
            "console=yes\n"
        )
        self.log = open(self.dir / "log", "w+b")
        self.init = subprocess.Popen(
            [INIT, "--subreaper", "--services", self.dir / "services", "--run", self.run,
             "--cgroup", "none"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"),
        )
        self.wait_ready()

    def wait_ready(self):
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                assert self.request("GET", "/_ping")[1] == b"OK"
                return
            except (FileNotFoundError, ConnectionError, http.client.HTTPException):
                assert time.monotonic() < deadline, self.output()
                select.select([], [], [], 0.02)

    def output(self):
        return (self.dir / "log").read_text(errors="replace")

    def request(self, method, path, body=None, headers=None):
        """Returns (status, body bytes, headers)."""
        connection = Connection(self.socket)
        if body is not None and not isinstance(body, bytes):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data, dict(answer.getheaders())

    def get(self, path):
        status, body, _ = self.request("GET", path)
        assert status == 200, (status, body)
        return json.loads(body)

    def post(self, path, body=None, want=(200, 201, 204)):
        status, data, _ = self.request("POST", path, body)
        assert status in want, (status, data)
        return json.loads(data) if data.strip() else None

    def load_image(self):
        status, body, _ = self.request("POST", "/images/load", image())
        assert status == 200 and b"Loaded image: bb:1" in body, (status, body)

    def create(self, *command, name="", host=None, **config):
        body = {"Image": "bb:1", "Cmd": list(command), **config}
        body["HostConfig"] = {"NetworkMode": "none", **(host or {})}
        return self.post(f"/containers/create?name={name}", body)["Id"]

    def start(self, *command, **more):
        container = self.create(*command, **more)
        self.post(f"/containers/{container}/start")
        return container

    def wait(self, container, condition="not-running"):
        return self.post(f"/containers/{container}/wait?condition={condition}")["StatusCode"]

    def state(self, container):
        return self.get(f"/containers/{container}/json")["State"]

    def logs(self, container, options="stdout=1&stderr=1"):
        """What the log has, as [(stream, bytes)] with neighbours of one stream joined."""
        status, data, _ = self.request("GET", f"/containers/{container}/logs?{options}")
        assert status == 200, data
        return frames(data)

    def wait_for_output(self, container, line):
        """Read its standard output as it comes, until it begins with the line."""
        connection = Connection(self.socket)
        connection.request("GET", f"/containers/{container}/logs?stdout=1&follow=1")
        assert connection.getresponse().read(8 + len(line))[8:] == line
        connection.close()

    def run_to_end(self, *command, **more):
        """Returns (exit code, standard output)."""
        container = self.start(*command, **more)
        code = self.wait(container)
        return code, b"".join(data for stream, data in self.logs(container) if stream == 1)

    def events(self, actor):
        """What was told of a container or image so far."""
        _, body, _ = self.request("GET", f"/events?since=1&until={time.time():.6f}")
        told = [json.loads(line) for line in body.splitlines()]
        return [one for one in told if one["Actor"]["ID"] == actor]

    def docker(self, *args, **more):
        """The docker command line against this engine."""
        command = ["docker", "-H", f"unix://{self.socket}", *args]
        return subprocess.run(command, capture_output=True, timeout=TIMEOUT, **more)

    def cli(self, *words, want=0):
        """What the docker CLI prints, its errors included."""
        done = subprocess.run(
            ["docker", "-H", f"unix://{self.socket}", *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT, text=True,
            env=dict(os.environ, DOCKER_CONFIG=str(self.dir / "docker-config")),
        )
        assert done.returncode == want, (words, done.returncode, done.stdout)
        return done.stdout

    def refused(self, method, path, body=None):
        """(status, message) of a request that must not be served."""
        status, data, _ = self.request(method, path, body)
        assert status >= 400, (status, data)
        return status, json.loads(data)["message"]

    def told(self, since, **filters):
        """All events from @since (seconds) until now that fit."""
        query = json.dumps(filters).replace(" ", "")
        status, data, _ = self.request("GET", f"/events?since={since}&until={time.time()}&filters={query}")
        assert status == 200, data
        return [json.loads(line) for line in data.splitlines()]

    def pid(self):
        children = Path(f"/proc/{self.init.pid}/task/{self.init.pid}/children").read_text().split()
        for pid in children:
            if Path(f"/proc/{pid}/comm").read_text().strip() == "sampand":
                return int(pid)
        raise ProcessLookupError("no sampand")

    def kill(self):
        os.kill(self.pid(), signal.SIGKILL)

    def close(self):
        # what the engine said, for whoever reads of a failed test
        print(self.output())
        for one in self.get("/containers/json?all=1"):
            self.request("DELETE", f"/containers/{one['Id']}?force=1")
        self.init.send_signal(signal.SIGTERM)
        self.init.wait(TIMEOUT)
        self.log.close()
        shutil.rmtree(self.dir)


def refused(engine, method, path, body=None):
    """Returns (status, message)."""
    status, data, _ = engine.request(method, path, body)
    return status, json.loads(data)["message"]


def docker(engine, *words, **more):
    """What a person would type."""
    env = dict(os.environ, DOCKER_HOST=f"unix://{engine.socket}")
    return subprocess.run(["docker", *words], capture_output=True, timeout=TIMEOUT, env=env, **more)


needs_docker = pytest.mark.skipif(not shutil.which("docker"), reason="needs the docker CLI")


def frames(data):
    found = []
    while data:
        stream, size = data[0], int.from_bytes(data[4:8], "big")
        part, data = data[8 : 8 + size], data[8 + size :]
        if found and found[-1][0] == stream:
            found[-1] = (stream, found[-1][1] + part)
        else:
            found.append((stream, part))
    return found
