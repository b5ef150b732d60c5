"""Fetching: what a person sees of build/sources.py, against a local archive that can misbehave."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from archive_for_tests import Archive

TOOL = Path(__file__).with_name("sources.py")
ORIG = "pool/main/g/greeter/greeter_1.0.orig.tar.gz"


@pytest.fixture(name="archive")
def local_archive(tmp_path):
    archive = Archive(tmp_path)
    yield archive
    archive.stop()


class Machine:
    """A machine with its own apt configuration, cache and lock."""

    def __init__(self, folder, archive):
        self.folder, self.downloads = folder, folder / "cache/sampan/downloads"
        self.etc, self.lock = folder / "etc", folder / "sources.lock"
        (self.etc / "sources.list.d").mkdir(parents=True)
        (self.etc / "sources.list").write_text(f"deb [arch=amd64] {archive.uri} bookworm main\n")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("SAMPAN_") and k != "LOCKED"}
        # apt itself is not to try again: that is slow, and hides what this code does
        (folder / "apt.conf").write_text('Acquire::Retries "0";\n')
        self.env.update(
            APT_CONFIG=str(folder / "apt.conf"),
            XDG_CACHE_HOME=str(folder / "cache"),
            SAMPAN_APT_ETC=str(self.etc),
            SAMPAN_LOCK_FILE=str(self.lock),
            SAMPAN_DEBIAN_KEYRING=str(archive.keyring),
            no_proxy="127.0.0.1",
        )
        self.write_lock()

    def write_lock(self, more=""):
        self.lock.write_text(f"# the lock\n#\n# Date: 0\n\nPackage: greeter\nKind: source\n{more}")

    def run(self, *arguments, **environment):
        return subprocess.run(
            [TOOL, *arguments],
            env={**self.env, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def ok(self, *arguments, **environment):
        done = self.run(*arguments, **environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def refused(self, *arguments, **environment):
        done = self.run(*arguments, **environment)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout


@pytest.fixture(name="machine")
def machine_with_lock(tmp_path, archive):
    """Its lock pins version 1.0-1, nothing is fetched yet."""
    archive.publish("1.0-1")
    machine = Machine(tmp_path, archive)
    machine.ok("lock")
    archive.requests.clear()
    return machine


def times_asked(archive, name):
    return [ranges for asked, ranges in archive.requests if asked == name]


def test_what_was_fetched_needs_no_network_any_more(machine, archive):
    machine.ok("fetch")
    archive.stop()
    assert machine.ok("fetch") == ""
    machine.ok("unpack", "greeter", str(machine.folder / "tree"))


def test_debian_patches_are_applied(machine):
    machine.ok("fetch")
    machine.ok("unpack", "greeter", str(machine.folder / "tree"))
    assert (machine.folder / "tree/greeting").read_text() == "hello, patched\n"


def test_a_truncated_download_is_continued(machine, archive):
    archive.faults[ORIG] = ["truncate"]
    machine.ok("fetch")
    assert (machine.downloads / Path(ORIG).name).read_bytes() == archive.files[ORIG]
    assert times_asked(archive, ORIG)[-1] is not None, "it was loaded from the start"


def test_what_a_broken_build_left_is_continued_by_the_next(machine, archive):
    archive.faults[ORIG] = ["truncate"] + ["cut"] * 50
    machine.refused("fetch")
    assert not (machine.downloads / Path(ORIG).name).exists()
    archive.faults.clear()
    archive.requests.clear()
    machine.ok("fetch")
    assert (machine.downloads / Path(ORIG).name).read_bytes() == archive.files[ORIG]
    assert times_asked(archive, ORIG)[0] is not None, "it was loaded from the start"


def test_a_corrupt_download_is_loaded_again(machine, archive):
    archive.faults[ORIG] = ["corrupt"]
    machine.ok("fetch")
    assert len(times_asked(archive, ORIG)) == 2
    assert (machine.downloads / Path(ORIG).name).read_bytes() == archive.files[ORIG]


def test_a_download_that_stays_corrupt_is_refused(machine, archive):
    archive.faults[ORIG] = ["corrupt"] * 50
    assert "greeter_1.0.orig.tar.gz" in machine.refused("fetch")
    assert not (machine.downloads / Path(ORIG).name).exists()


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"x" + data[1:]])
def test_a_damaged_file_in_the_cache_is_never_used(machine, archive, damage):
    machine.ok("fetch")
    cached = machine.downloads / Path(ORIG).name
    cached.write_bytes(damage(cached.read_bytes()))
    assert "make fetch" in machine.refused("unpack", "greeter", str(machine.folder / "tree"))
    machine.ok("fetch")
    assert cached.read_bytes() == archive.files[ORIG]


def test_a_newer_version_in_the_archive_is_used_and_named(machine, archive):
    pinned = machine.lock.read_text()
    before = machine.ok("key", "greeter")
    archive.publish("1.0-2")
    said = machine.ok("fetch")
    assert "1.0-2 instead of the lock's 1.0-1" in said and "make lock" in said
    assert machine.ok("key", "greeter") != before
    assert machine.lock.read_text() == pinned
    machine.ok("lock")
    assert "Version: 1.0-2" in machine.lock.read_text()


def test_locked_refuses_a_newer_version(machine, archive):
    archive.publish("1.0-2")
    said = machine.refused("fetch", LOCKED="1")
    assert "greeter" in said and "1.0-2" in said and "1.0-1" in said
    assert not list(machine.downloads.glob("*"))


def test_locked_ignores_what_another_build_had_to_take(machine, archive):
    archive.publish("1.0-2")
    machine.ok("fetch")
    assert "LOCKED=1 refuses" in machine.refused("fetch", LOCKED="1")


def test_an_archive_behind_the_lock_is_refused(machine, archive):
    archive.publish("0.9-1")
    assert "older than the lock's 1.0-1" in machine.refused("fetch")


def test_an_index_with_another_signature_is_refused(machine, tmp_path, archive):
    (tmp_path / "other").mkdir()
    stranger = Archive(tmp_path / "other")
    stranger.stop()
    said = machine.refused("fetch", SAMPAN_DEBIAN_KEYRING=str(stranger.keyring))
    assert "debian-archive-keyring" in said
    assert not list(machine.downloads.glob("*"))
    assert archive.requests


def test_without_a_debian_archive_the_message_names_the_variable(machine, archive):
    (machine.etc / "sources.list").write_text("deb http://vendor.example.test/apt noble main\n")
    said = machine.refused("fetch")
    assert "no Debian archive" in said and "SAMPAN_DEBIAN_MIRROR" in said
    machine.ok("fetch", SAMPAN_DEBIAN_MIRROR=archive.uri)


def test_without_a_debian_archive_upstream_is_used_with_its_own_hash(machine, archive):
    upstream = machine.folder / "greeter-1.0.tar.gz"
    upstream.write_bytes(archive.files[ORIG])
    (machine.etc / "sources.list").write_text("")
    text = machine.lock.read_text()
    url = f"Kind: source\nUpstream: file://{machine.folder}/greeter-@VERSION@.tar.gz\n"

    machine.lock.write_text(text.replace("Kind: source\n", url))
    assert "only pinned as Debian's package" in machine.refused("fetch")

    machine.lock.write_text(text.replace("Kind: source\n", url + f"Upstream-SHA256: {'0' * 64}\n"))
    assert "cannot fetch" in machine.refused("fetch")

    right = hashlib.sha256(archive.files[ORIG]).hexdigest()
    machine.lock.write_text(text.replace("Kind: source\n", url + f"Upstream-SHA256: {right}\n"))
    assert "without Debian's patches" in machine.ok("fetch")
    machine.ok("unpack", "greeter", str(machine.folder / "tree"))
    assert (machine.folder / "tree/greeting").read_text() == "hello\n"


def test_the_system_configuration_of_apt_is_left_alone(machine):
    machine.ok("fetch")
    private = machine.folder / "cache/sampan/apt"
    assert (private / "state/lists").is_dir()
    assert list((private / "state/lists").glob("*InRelease"))
    assert not list(machine.etc.glob("**/*.sources"))
