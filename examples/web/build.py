#!/usr/bin/python3
"""Builds the default application: BusyBox's web server and one page, as an OCI image.

The result is an OCI layout in a tar file. The same BusyBox gives the same bytes.
"""

import argparse
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CREATED = "2025-01-01T00:00:00Z"
EPOCH = 1735689600  # the same moment
USER = 1000
PORT = 80

# httpd says nothing of its own, and takes port 80 before it becomes an ordinary user.
COMMAND = f"echo 'web: serving on :{PORT}'; exec httpd -f -p {PORT} -u {USER}:{USER} -h /www"


def member(name, kind, mode, size=0, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname, info.mtime = kind, mode, size, link, EPOCH
    return info


def layer(busybox):
    """The root filesystem, as a tar file."""
    files = {
        "bin/busybox": (busybox, 0o755),
        "etc/passwd": (
            b"root:x:0:0:root:/:/bin/sh\nweb:x:%d:%d:web:/www:/bin/sh\n" % (USER, USER),
            0o644,
        ),
        "etc/group": (b"root:x:0:\nweb:x:%d:\n" % USER, 0o644),
        "www/index.html": ((HERE / "index.html").read_bytes(), 0o644),
    }
    links = {f"bin/{applet}": "busybox" for applet in ("cat", "httpd", "id", "ls", "ps", "sh")}
    entries = [(folder, None) for folder in ("bin", "etc", "tmp", "www")]
    entries += [(name, files[name]) for name in files]
    entries += [(name, links[name]) for name in links]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(entries, key=lambda entry: entry[0]):
            if content is None:
                mode = 0o1777 if name == "tmp" else 0o755
                tar.addfile(member(name, tarfile.DIRTYPE, mode))
            elif isinstance(content, str):
                tar.addfile(member(name, tarfile.SYMTYPE, 0o777, link=content))
            else:
                data, mode = content
                tar.addfile(member(name, tarfile.REGTYPE, mode, len(data)), io.BytesIO(data))
    return out.getvalue()


def image_config(architecture, diff_id):
    return {
        "created": CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "ExposedPorts": {f"{PORT}/tcp": {}},
            "Env": ["PATH=/bin"],
            "Entrypoint": ["/bin/sh", "-c", COMMAND],
            "WorkingDir": "/www",
            # httpd is the container's PID 1 and handles no signal: only this one ends it
            "StopSignal": "SIGKILL",
            "Labels": {"org.opencontainers.image.title": "web"},
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": CREATED, "created_by": "examples/web/build.py"}],
    }


class Layout:
    """An OCI layout under construction."""

    def __init__(self):
        self.blobs = {}

    def add(self, media_type, data, **more):
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data), **more}

    def write(self, path, index):
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": encode(index)}
        files.update(self.blobs)
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for folder in ("blobs", "blobs/sha256"):
                tar.addfile(member(folder, tarfile.DIRTYPE, 0o755))
            for name in sorted(files):
                info = member(name, tarfile.REGTYPE, 0o644, len(files[name]))
                tar.addfile(info, io.BytesIO(files[name]))


def encode(value):
    return json.dumps(value, separators=(",", ":")).encode()


def main():
    parser = argparse.ArgumentParser(description="Build the example web server's image.")
    parser.add_argument("out", help="the tar file to write")
    parser.add_argument("--busybox", required=True, help="a static BusyBox with httpd and ash")
    parser.add_argument("--arch", required=True, choices=["amd64", "arm64"])
    args = parser.parse_args()

    layout = Layout()
    plain = layer(Path(args.busybox).read_bytes())
    kind = "application/vnd.oci.image"
    # mtime=0: the header must not carry the moment of the build
    packed = layout.add(f"{kind}.layer.v1.tar+gzip", gzip.compress(plain, 9, mtime=0))
    diff_id = "sha256:" + hashlib.sha256(plain).hexdigest()
    config = layout.add(f"{kind}.config.v1+json", encode(image_config(args.arch, diff_id)))
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": config,
        "layers": [packed],
    }
    entry = layout.add(
        f"{kind}.manifest.v1+json",
        encode(manifest),
        platform={"architecture": args.arch, "os": "linux"},
        annotations={"org.opencontainers.image.ref.name": "latest"},
    )
    index = {"schemaVersion": 2, "mediaType": f"{kind}.index.v1+json", "manifests": [entry]}
    layout.write(args.out, index)


if __name__ == "__main__":
    main()
