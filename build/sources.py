#!/usr/bin/python3
"""Third-party sources: fetch them, check them, pin them (rootfs/sources.lock), unpack them.

  sources.py fetch [NAME]...     all files of the lock into the cache; only what is missing is loaded
  sources.py lock                pin the newest versions that the Debian archive has
  sources.py files NAME [KIND]   paths of a source's files in the cache
  sources.py key NAME [KIND]     a hash over them
  sources.py unpack NAME DIR [KIND]   a source tree with Debian's patches, or what a .deb holds

LOCKED=1 refuses versions other than the lock's.
"""

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

import apt
from apt import Error

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
CACHE += "/sampan"
DOWNLOADS = CACHE + "/downloads"
LOCK = os.environ.get("SAMPAN_LOCK_FILE", TOP + "/rootfs/sources.lock")


class Source:
    """One stanza of the lock."""

    def __init__(self, text):
        self.fields, self.files = {}, []
        for line in text.splitlines():
            if line.startswith(" "):
                sha256, size, name = line.split()
                self.files.append((name, int(size), sha256))
            elif not line.startswith("#") and ":" in line:
                name, value = line.split(":", 1)
                self.fields[name] = value.strip()

    name = property(lambda self: self.fields["Package"])
    kind = property(lambda self: self.fields["Kind"])
    version = property(lambda self: self.fields.get("Version"))
    backport = property(lambda self: self.fields.get("Backport") == "yes")
    id = property(lambda self: self.name + ("" if self.kind == "source" else ":" + self.kind))

    def upstream_version(self):
        """1:1.37.0+ds-6 is upstream's 1.37.0."""
        return re.sub(r"[+~].*", "", re.sub(r"-[^-]*$", "", self.version.split(":")[-1]))

    def upstream_url(self):
        url = self.fields.get("Upstream", "none").replace("@VERSION@", self.upstream_version())
        return None if url == "none" else url

    def upstream_sha256(self):
        value = self.fields.get("Upstream-SHA256")
        if value == "orig":
            return next(sha for name, _, sha in self.files if re.search(r"\.orig\.tar\.\w+$", name))
        return value

    def text(self):
        lines = [f"{name}: {value}" for name, value in self.fields.items()]
        if self.files:
            lines += ["Files:", *(f" {sha256} {size} {name}" for name, size, sha256 in self.files)]
        return "\n".join(lines) + "\n"

    def moved(self, version, found):
        """The same source at another version."""
        new = Source("")
        new.fields = {}
        for name, value in self.fields.items():
            if name not in ("Version", "Files"):
                new.fields[name] = value
            if name == "Kind":
                new.fields["Version"] = version
        new.files = [
            (name, size, sha256)
            for _, name, size, sha256 in found
            if ".debian.tar." not in name or self.fields.get("Patches") != "no"
        ]
        # A hash of upstream's own file is for one version only; "orig" is a statement about all.
        if new.fields.get("Upstream-SHA256", "orig") != "orig" and (
            new.upstream_version() != self.upstream_version()
        ):
            del new.fields["Upstream-SHA256"]
        return new


def read_lock(path=None):
    """Returns (comment at the top, sources)."""
    with open(path or LOCK, encoding="utf-8") as file:
        head, *stanzas = re.split(r"\n\n+", file.read().strip())
    if not head.startswith("#"):
        head, stanzas = "", [head, *stanzas]
    return head, [Source(text) for text in stanzas]


def write_lock(path, head, sources):
    parts = ([head + "\n"] if head else []) + [source.text() for source in sources]
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write("\n".join(parts))
    os.rename(path + ".new", path)


def moved_path():
    """Where fetch notes what it took instead of this very lock file."""
    with open(LOCK, "rb") as file:
        return f"{CACHE}/moved/{hashlib.sha256(file.read()).hexdigest()[:16]}.lock"


def effective(locked=None):
    """The sources of a build: the lock's, with what fetch had to take instead (unless LOCKED=1)."""
    locked = os.environ.get("LOCKED") == "1" if locked is None else locked
    _, sources = read_lock()
    if not locked and os.path.exists(moved_path()):
        instead = {source.id: source for source in read_lock(moved_path())[1]}
        sources = [instead.get(source.id, source) for source in sources]
    return sources


def select(sources, name, kind=None):
    found = [s for s in sources if s.name == name and kind in (None, s.kind)]
    if not found:
        raise Error(f"{name} is not in {LOCK}")
    return found[0]


def file_sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@functools.lru_cache(maxsize=None)
def known_sha256(path, _size, _mtime_ns):
    """file_sha256(), once per process for a file that does not change."""
    return file_sha256(path)


def is_good(name, size, sha256):
    path = f"{DOWNLOADS}/{name}"
    if not os.path.exists(path):
        return False
    status = os.stat(path)
    return status.st_size == size and known_sha256(path, size, status.st_mtime_ns) == sha256


def upstream_name(source):
    return source.upstream_url().rsplit("/", 1)[1]


def from_upstream(source):
    """The upstream file that stands in for a source, if it was fetched: [(name, size, sha256)]."""
    if not source.upstream_url() or not source.upstream_sha256():
        return []
    name = f"{source.name}-upstream-{upstream_name(source)}"
    path = f"{DOWNLOADS}/{name}"
    size = os.path.getsize(path) if os.path.exists(path) else 0
    return [(name, size, source.upstream_sha256())] if size else []


def present(source):
    """The files to build from, all in the cache and right; [] if something is missing."""
    for files in (source.files, from_upstream(source)):
        if files and all(is_good(*file) for file in files):
            return files
    return []


def load_file(load, name, sha256):
    """One file through load(path): resumed if it was cut off, started again if it is wrong."""
    part, problem = f"{DOWNLOADS}/{name}.part", None
    for _ in range(3):
        problem = load(part)
        if os.path.exists(part) and file_sha256(part) == sha256:
            os.rename(part, f"{DOWNLOADS}/{name}")
            return
        if problem and re.search(r"\b404\s+Not Found", problem):
            break
        # What is cut off is kept and continued, also by the next build; what is wrong is not.
        if problem is None or re.search("mismatch|Cannot resume|416", problem):
            for left in (part, part + ".FAILED"):
                if os.path.exists(left):
                    os.remove(left)
            problem = problem or "  what came has another SHA-256"
        print(f"        {name}: fetched again after:\n{problem}", flush=True)
    raise Error(f"cannot fetch {name} with SHA-256 {sha256}:\n{problem}")


def load_by_curl(url):
    def load(path):
        command = ["curl", "-fsSL", "--retry", "3", "-C", "-", "-o", path, url]
        result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        return None if result.returncode == 0 else apt.last_lines(result.stderr)

    return load


def fetch_from_upstream(source, why):
    url, sha256 = source.upstream_url(), source.upstream_sha256()
    if not url or not sha256:
        raise Error(f"{source.id} is only pinned as Debian's package, and {why}")
    print(f"fetch   {source.name} from {url} (without Debian's patches: {why})", flush=True)
    load_file(load_by_curl(url), f"{source.name}-upstream-{upstream_name(source)}", sha256)


def fetch_from_archive(archive, source, locked):
    """Load one source; returns what was taken: the source itself, or the same at a newer version."""
    found = archive.find(source.name, source.kind, backport=source.backport)
    if found and found[0] != source.version and locked:
        newest = found[0]
        found = archive.find(source.name, source.kind, source.version, source.backport)
        if not found:
            raise Error(
                f"{source.id}: the archive has {newest}, the lock says {source.version}, and LOCKED=1"
                " refuses another one. `make lock` records what the archive has."
            )
    if not found:
        raise Error(f"{source.id}: not in Debian {apt.SUITE}")
    version, files = found
    if apt.is_newer(source.version, version):
        raise Error(
            f"{source.id}: the archive has {version}, which is older than the lock's {source.version};"
            " try again later or set SAMPAN_DEBIAN_MIRROR"
        )
    if version != source.version:
        print(
            f"note    {source.id}: the archive has {version} instead of the lock's {source.version};"
            " it is used. `make lock` records it.",
            flush=True,
        )
        source = source.moved(version, files)
    uris = {name: uri for uri, name, _, _ in files}
    for name, size, sha256 in source.files:
        if is_good(name, size, sha256):
            continue
        if name not in uris:
            raise Error(f"{source.id}: the archive has no {name}")
        print(f"fetch   {name} ({size / 1e6:.1f} MB)", flush=True)
        load_file(lambda path, name=name, sha=sha256: archive.download(uris[name], path, sha), name, sha256)
    return source


def fetch(names):
    locked = os.environ.get("LOCKED") == "1"
    sources = [s for s in effective(locked) if not names or s.name in names]
    if names and {s.name for s in sources} != set(names):
        raise Error(f"not in {LOCK}: {' '.join(set(names) - {s.name for s in sources})}")
    archive, no_archive, moved = apt.Apt(CACHE + "/apt"), None, []
    for source in sources:
        if present(source):
            continue
        if no_archive is None:
            try:
                archive.update()
            except Error as error:
                no_archive = error
        if no_archive is not None:
            try:
                fetch_from_upstream(source, "there is no usable Debian archive")
            except Error as error:
                raise Error(f"{error}\n{no_archive}") from error
            continue
        taken = fetch_from_archive(archive, source, locked)
        if taken.version != source.version:
            moved.append(taken)
    if moved:
        path = moved_path()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        old = read_lock(path)[1] if os.path.exists(path) else []
        ids = {source.id for source in moved}
        write_lock(path, "", [s for s in old if s.id not in ids] + moved)


def fetch_guarded(names):
    """fetch(), by one process at a time."""
    os.makedirs(DOWNLOADS, exist_ok=True)
    with open(CACHE + "/fetch.lock", "w", encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        fetch(names)


def lock():
    head, sources = read_lock()
    archive, result = apt.Apt(CACHE + "/apt"), []
    for source in sources:
        found = archive.find(source.name, source.kind, backport=source.backport)
        if not found:
            raise Error(f"{source.id}: not in Debian {apt.SUITE}")
        new = source.moved(*found)
        if new.version != source.version or new.files != source.files:
            print(f"lock    {source.id} {source.version or '(new)'} -> {new.version}")
        result.append(new)
    if [(s.id, s.files) for s in result] != [(s.id, s.files) for s in sources]:
        today = int(time.time()) // 86400 * 86400
        head = re.sub(r"(?m)^# Date: \d+", f"# Date: {today}", head)
    write_lock(LOCK, head, result)


def files_of(name, kind=None):
    source = select(effective(), name, kind)
    files = present(source)
    if not files:
        raise Error(f"{source.id} is not fetched: run `make fetch`")
    return source, [f"{DOWNLOADS}/{file[0]}" for file in files]


def key(name, kind=None):
    source = select(effective(), name, kind)
    files = present(source) or source.files
    return hashlib.sha256("\n".join(sorted(sha256 for _, _, sha256 in files)).encode()).hexdigest()


def run(*command):
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        raise Error(f"{' '.join(command)} failed:\n{apt.last_lines(result.stdout)}")


def apply_series(tree):
    """Debian's patches, as dpkg-source does for format 3.0 (quilt)."""
    series = tree + "/debian/patches/series"
    if os.path.exists(series):
        with open(series, encoding="utf-8") as file:
            for line in file:
                name = line.split("#", 1)[0].strip()
                if name:
                    run("patch", "-s", "-p1", "-d", tree, "-i", f"{tree}/debian/patches/{name}")


def unpack(target, name, kind=None):
    """Into target/: appears complete or not at all."""
    _, paths = files_of(name, kind)
    work = f"{target.rstrip('/')}.new"
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    os.makedirs(work)
    if paths[0].endswith(".deb"):
        run("dpkg-deb", "-x", paths[0], work)
    else:
        patches = [path for path in paths if ".debian.tar." in path]
        for path in paths:
            if path not in patches:
                run("tar", "-xf", path, "-C", work, "--strip-components=1", "--no-same-owner")
        for path in patches:
            run("tar", "-xf", path, "-C", work, "--no-same-owner")
            apply_series(work)
    shutil.rmtree(target, ignore_errors=True)
    os.rename(work, target)


def main(arguments):
    command, *rest = arguments or ["help"]
    os.makedirs(DOWNLOADS, exist_ok=True)
    if command == "fetch":
        fetch_guarded(rest)
    elif command == "lock" and not rest:
        lock()
    elif command == "files" and len(rest) in (1, 2):
        print("\n".join(files_of(*rest)[1]))
    elif command == "key" and len(rest) in (1, 2):
        print(key(*rest))
    elif command == "unpack" and len(rest) in (2, 3):
        unpack(rest[1], rest[0], *rest[2:])
    else:
        raise Error(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Error as error:
        sys.exit(f"sources: {error}")
