#!/usr/bin/python3
"""Packs an initramfs: pack.py LIST OUTPUT [NAME=VALUE]...

LIST is rootfs/initramfs.list. The archive is a "newc" cpio, compressed with zstd when OUTPUT ends
in .zst. The same content makes the same bytes: entries are sorted, belong to root, and carry
SOURCE_DATE_EPOCH; modes come from the list or from the executable bit, never from the umask. Device
nodes are only written into the archive, so root is not needed.
"""

import os
import stat
import subprocess
import sys

S_IFMT = {"dir": stat.S_IFDIR, "file": stat.S_IFREG, "link": stat.S_IFLNK}
TRAILER = "TRAILER!!!"


class Error(Exception):
    """A line of the list that cannot be followed."""


class Entry:
    def __init__(self, kind, mode, data=b"", device=(0, 0)):
        self.kind, self.mode, self.data, self.device = kind, mode, data, device


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def tree_entries(top):
    """Everything below a directory: yields (path in the archive, entry)."""
    for folder, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(folder, name)
            inside = "/" + os.path.relpath(path, top)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                yield inside, Entry("link", 0o777, os.readlink(path).encode())
            elif stat.S_ISDIR(status.st_mode):
                yield inside, Entry("dir", 0o755)
            elif stat.S_ISREG(status.st_mode):
                mode = 0o755 if status.st_mode & 0o100 else 0o644
                yield inside, Entry("file", mode, read_file(path))
            else:
                raise Error(f"{path} is neither file, directory nor link")


def line_entries(words):
    """What one line of the list puts into the archive."""
    match words:
        case ["dir", path, mode]:
            yield path, Entry("dir", int(mode, 8))
        case ["file", path, mode, source]:
            yield path, Entry("file", int(mode, 8), read_file(source))
        case ["node", path, mode, ("c" | "b") as kind, major, minor]:
            yield path, Entry(kind, int(mode, 8), device=(int(major), int(minor)))
        case ["tree", source]:
            if not os.path.isdir(source):
                raise Error(f"{source} is not a directory")
            yield from tree_entries(source)
        case _:
            raise Error("not understood")


def read_list(path, variables):
    """All entries by path, without the leading slash, parents included."""
    entries = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            for name, value in variables.items():
                line = line.replace("$" + name, value)
            words = line.split("#", 1)[0].split()
            try:
                for inside, entry in line_entries(words) if words else ():
                    entries[inside.strip("/")] = entry
            except (Error, OSError, ValueError) as error:
                raise Error(f"{path}:{number}: {error}") from error
    for inside in list(entries):
        while inside := os.path.dirname(inside):
            entries.setdefault(inside, Entry("dir", 0o755))
    return entries


def cpio_entry(name, number, mode, mtime, data, device):
    """One header with its name and data, each padded to four bytes (cpio's "newc" format)."""
    fields = [number, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, mtime, len(data), 0, 0]
    fields += [*device, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def archive(entries, mtime):
    """The bytes of the cpio archive."""
    parts = []
    for number, name in enumerate(sorted(entries), 1):
        entry = entries[name]
        kind = S_IFMT.get(entry.kind) or (stat.S_IFCHR if entry.kind == "c" else stat.S_IFBLK)
        parts.append(cpio_entry(name, number, kind | entry.mode, mtime, entry.data, entry.device))
    parts.append(cpio_entry(TRAILER, 0, 0, 0, b"", (0, 0)))
    return b"".join(parts)


def main(arguments):
    list_path, output, *settings = arguments
    variables = dict(setting.split("=", 1) for setting in settings)
    mtime = int(os.environ["SOURCE_DATE_EPOCH"])
    data = archive(read_list(list_path, variables), mtime)
    new = f"{output}.{os.getpid()}.new"
    plain = new + ".cpio" if output.endswith(".zst") else new
    with open(plain, "wb") as file:
        file.write(data)
    if plain != new:
        # from a file, so that zstd knows the size: the kernel then needs no larger window than that
        command = ["zstd", "-19", "--single-thread", "--no-progress", "-q", "-f", "--rm", plain, "-o", new]
        subprocess.run(command, check=True)
    os.rename(new, output)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Error, OSError, subprocess.CalledProcessError, ValueError) as failure:
        sys.exit(f"pack: {failure}")
