"""Builds images byte by byte, so that tests can make them wrong in one place."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile

KIND = "application/vnd.oci.image"
SUFFIX = {None: "", "gzip": "+gzip", "zstd": "+zstd"}


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def encode(value):
    return json.dumps(value).encode()


def compress(data, how):
    if how == "gzip":
        return gzip.compress(data, 6, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout
    return data


def entry(name, kind=tarfile.REGTYPE, data=b"", link="", **fields):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    info.mode = fields.pop("mode", 0o755 if kind == tarfile.DIRTYPE else 0o644)
    info.mtime = fields.pop("mtime", 1000000000)
    info.pax_headers = {f"SCHILY.xattr.{k}": v for k, v in fields.pop("xattrs", {}).items()}
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def folder(name, **fields):
    return entry(name, tarfile.DIRTYPE, **fields)


def symlink(name, target, **fields):
    return entry(name, tarfile.SYMTYPE, link=target, **fields)


def hardlink(name, target, **fields):
    return entry(name, tarfile.LNKTYPE, link=target, **fields)


def tar(*entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, errors="surrogateescape") as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data) if info.size else None)
    return out.getvalue()


class Image:
    def __init__(self, *layers, packing="gzip", config=None, architecture="amd64", **top):
        """layers: the tar files; config: its "config" part; top: more of the config's members"""
        self.plain = list(layers)
        self.packing = packing
        self.packed = [compress(data, packing) for data in self.plain]
        self.media = [f"{KIND}.layer.v1.tar{SUFFIX[packing]}"] * len(self.plain)
        self.blobs = {}
        self.config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": ["/bin/true"]} if config is None else config,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(data) for data in self.plain]},
            **top,
        }
        self.config_media = f"{KIND}.config.v1+json"
        self.manifest_media = f"{KIND}.manifest.v1+json"

    def blob(self, media, data, **more):
        digest = digest_of(data)
        self.blobs[digest] = data
        return {"mediaType": media, "digest": digest, "size": len(data), **more}

    def manifest(self, **more):
        """The descriptor of this image's manifest, its blobs stored."""
        manifest = {
            "schemaVersion": 2,
            "config": self.blob(self.config_media, encode(self.config)),
            "layers": [self.blob(m, data) for m, data in zip(self.media, self.packed)],
        }
        self.manifest_json = manifest
        return self.blob(self.manifest_media, encode(manifest), **more)

    def layout(self, manifests=None):
        """The files of a layout."""
        manifests = [self.manifest()] if manifests is None else manifests
        files = {
            "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
            "index.json": encode({"schemaVersion": 2, "manifests": manifests}),
        }
        files.update((f"blobs/{d.replace(':', '/')}", data) for d, data in self.blobs.items())
        return files

    def saved(self, *tags):
        """The files of a `docker save` archive as it was before version 25."""
        config = encode(self.config)
        files = {f"{i}/layer.tar": data for i, data in enumerate(self.plain)}
        name = digest_of(config)[7:] + ".json"
        files[name] = config
        files["manifest.json"] = encode(
            [{"Config": name, "RepoTags": list(tags) or None, "Layers": list(files)[:-1]}]
        )
        return files


def write_folder(path, files):
    for name, data in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return path


def write_tar(path, files, packing=None):
    path.write_bytes(compress(tar(*[entry(n, data=d) for n, d in files.items()]), packing))
    return path
