"""Small initramfs archives for tests: added files, and machines that run one program only."""

import subprocess
from pathlib import Path

from guest import TOP

COMPILERS = {"x86_64": "x86_64-linux-musl-gcc", "arm64": "aarch64-linux-musl-gcc"}
# newc header fields: inode, mode, uid, gid, nlink, mtime, size, major, minor, rmajor, rminor,
# name size, check
FIELDS = 13


def _entry(inode, name, mode, data):
    name = name.encode() + b"\0"
    fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
    assert len(fields) == FIELDS
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4)


def write_archive(path, files):
    """Write a cpio archive (newc) that the kernel unpacks as root's.

    files: {"etc/services/x": "text", "bin/program": (bytes, 0o755), …}; folders are made.
    Source: kernel Documentation/driver-api/early-userspace/buffer-format.rst.
    """
    entries, folders = [], set()
    for name, content in files.items():
        data, mode = content if isinstance(content, tuple) else (content, 0o644)
        for folder in reversed(Path(name).parents[:-1]):
            if folder not in folders:
                folders.add(folder)
                entries.append((str(folder), 0o040755, b""))
        entries.append((name, 0o100000 | mode, data.encode() if isinstance(data, str) else data))
    with open(path, "wb") as archive:
        for inode, (name, mode, data) in enumerate(entries, 1):
            archive.write(_entry(inode, name, mode, data))
        archive.write(_entry(0, "TRAILER!!!", 0, b""))
    return path


def compile_program(name, arch, directory, flags=(), sources=()):
    """Compile programs/<name>.c and @sources with the guest's own C library; returns its bytes."""
    source = TOP / "qemu-tests" / "programs" / f"{name}.c"
    return compile_sources([source, *sources], arch, directory, flags)


def compile_sources(sources, arch, directory, flags=()):
    """Compile any C files to one program, as compile_program."""
    compiler = TOP / "out" / arch / "pkg" / "musl" / "bin" / COMPILERS[arch]
    target = Path(directory) / sources[0].stem
    subprocess.run(
        [compiler, "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-s", *flags, "-o", target, *sources], check=True
    )
    return target.read_bytes()
