"""Registries to pull from and push to: Debian's, and one of our own that lies as a test wants it to."""

import base64
import http.server
import json
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import harness
from imagefiles import Image, digest_of, encode

ARCH = {"x86_64": "amd64", "arm64": "arm64"}[harness.ARCH]
DOCKER = "application/vnd.docker"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_certificate(folder, name="127.0.0.1"):
    """An authority that is its own server: (certificate, key)."""
    cert, key = Path(folder) / "server.crt", Path(folder) / "server.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName=IP:{name}", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )
    return cert, key


def auth_header(**fields):
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()}


def image(*layers, packing="gzip", **more):
    return Image(*layers, packing=packing, architecture=more.pop("architecture", ARCH), **more)


def pull(engine, name, tag="latest", headers=None, **query):
    """Returns (status, lines)."""
    more = "".join(f"&{key}={value}" for key, value in query.items())
    status, body, _ = engine.request(
        "POST", f"/images/create?fromImage={name}&tag={tag}{more}", headers=headers or {}
    )
    return status, [json.loads(line) for line in body.splitlines()]


def push(engine, name, tag="latest", headers=None):
    status, body, _ = engine.request("POST", f"/images/{name}/push?tag={tag}", headers=headers or {})
    return status, [json.loads(line) for line in body.splitlines()]


def error_of(lines):
    """The error of a stream, which stands in its last line in two ways."""
    assert lines[-1]["error"] == lines[-1]["errorDetail"]["message"]
    return lines[-1]["error"]


class DebianRegistry:
    """docker-registry, as its package installs it."""

    def __init__(self, tls=False, users=None):
        self.dir = Path(tempfile.mkdtemp(prefix="registry-test.", dir="/var/tmp"))
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        config = {
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": str(self.dir / "data")}},
            "http": {"addr": self.host, "secret": "x"},
            "log": {"level": "error"},
        }
        if tls:
            self.cert, key = make_certificate(self.dir)
            config["http"]["tls"] = {"certificate": str(self.cert), "key": str(key)}
        if users:
            lines = [
                subprocess.run(["htpasswd", "-Bbn", user, password], capture_output=True, check=True).stdout.strip()
                for user, password in users.items()
            ]
            (self.dir / "htpasswd").write_bytes(b"\n".join(lines) + b"\n")
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self.dir / "htpasswd")}}
        (self.dir / "config.yml").write_text(json.dumps(config))
        self.log = open(self.dir / "log", "wb")
        self.process = subprocess.Popen(
            ["docker-registry", "serve", self.dir / "config.yml"], stdout=self.log, stderr=self.log
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, (self.dir / "log").read_text()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, message):
        self.answer(status, encode({"errors": [{"code": code, "message": message}]}),
                    Content_Type="application/json")

    def do_GET(self):
        registry = self.server.registry
        registry.requests.append((self.command, self.path, dict(self.headers)))
        for pattern, hook in registry.hooks:
            if re.search(pattern, self.path) and hook(self) is not False:
                return
        self.serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def serve(self):
        """As an honest registry does."""
        registry = self.server.registry
        if self.command in ("POST", "PUT", "DELETE"):
            return self.take()
        kind, ref = self.path.rsplit("/", 2)[-2:]
        if self.path == "/v2/":
            self.answer(200, b"{}")
        elif kind == "manifests" and ref in registry.manifests:
            media, data = registry.manifests[ref]
            self.answer(200, data, Content_Type=media, Docker_Content_Digest=digest_of(data))
        elif kind == "blobs" and ref in registry.blobs:
            self.serve_blob(registry.blobs[ref])
        elif kind == "manifests":
            self.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
        else:
            self.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")

    def take(self):
        """What is pushed."""
        registry = self.server.registry
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind, ref = self.path.partition("?")[0].rsplit("/", 2)[-2:]
        if kind == "manifests":
            registry.add_manifest(self.headers["Content-Type"], body, ref)
            self.answer(201)
        elif self.command == "PUT":
            registry.blobs[digest_of(body)] = body
            self.answer(201)
        else:
            self.answer(202, Location=self.path.partition("?")[0] + "1")

    def serve_blob(self, data):
        begin = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
        at = int(begin[1]) if begin else 0
        headers = {"Content_Range": f"bytes {at}-{len(data) - 1}/{len(data)}"} if begin else {}
        self.answer(206 if begin else 200, data[at:], **headers)


class FakeRegistry:
    """One image; hooks are [(pattern of the path, function of the request)], the first that fits answers."""

    def __init__(self, tls=None):
        self.blobs, self.manifests, self.hooks, self.requests = {}, {}, [], []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.registry = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, one, tag="latest"):
        descriptor = one.manifest()
        self.blobs.update(one.blobs)
        return self.add_manifest(descriptor["mediaType"], one.blobs[descriptor["digest"]], tag), descriptor

    def add_manifest(self, media, data, tag="latest"):
        self.manifests[tag] = self.manifests[digest_of(data)] = (media, data)
        return digest_of(data)

    def asked(self, pattern):
        return [headers for _, path, headers in self.requests if re.search(pattern, path)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def fetch(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read(), dict(answer.headers)
