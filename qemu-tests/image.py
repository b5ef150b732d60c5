"""A small container image for tests, as `docker save` writes it: a static BusyBox and a few files."""

import hashlib
import io
import json
import tarfile

TAG = "bb:latest"
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000:web:/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\nweb:x:1000:\naudio:x:63:web\n",
    "etc/motd": "welcome\n",
    "etc/folder/file": "file\n",
    "usr/share/file": "file\n",
}
FOLDERS = {"tmp": 0o1777, "root": 0o700, "mnt": 0o755, "sys": 0o555, "proc": 0o555, "dev": 0o755}


def _member(name, kind, mode, size=0, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname = kind, mode, size, link
    return info


def _layer(busybox, applets, files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, mode in FOLDERS.items():
            tar.addfile(_member(name, tarfile.DIRTYPE, mode))
        for name, (data, mode) in {"bin/busybox": (busybox, 0o755), **files}.items():
            tar.addfile(_member(name, tarfile.REGTYPE, mode, len(data)), io.BytesIO(data))
        for applet in applets:
            tar.addfile(_member(f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox"))
    return out.getvalue()


def docker_archive(busybox, applets, programs, architecture="amd64"):
    """The archive's bytes. programs: {path in the image: bytes}, executable files beside BusyBox."""
    files = {name: (text.encode(), 0o644) for name, text in FILES.items()}
    files.update({name: (data, 0o755) for name, data in programs.items()})
    layer = _layer(busybox, applets, files)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [TAG], "Layers": ["layer.tar"]}]
    parts = {
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in parts.items():
            tar.addfile(_member(name, tarfile.REGTYPE, 0o644, len(data)), io.BytesIO(data))
    return out.getvalue()
