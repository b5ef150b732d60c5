"""Binary packages with all they depend on, from a local archive."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from archive_for_tests import Archive

FETCH = """
import sys, apt
for path in apt.Apt(sys.argv[1]).download_closure(sys.argv[2:], "amd64"):
    print(open(path, encoding="utf-8").read(), end="")
"""
PACKAGES = {
    "engine": {"Depends": "library (>= 1.0)", "Recommends": "manual"},
    "library": {},
    "manual": {},
    "broken": {"Depends": "nowhere"},
}


@pytest.fixture(name="fetch")
def fetch_from_local_archive(tmp_path):
    archive = Archive(tmp_path)
    archive.publish_binaries(PACKAGES)
    (tmp_path / "apt.conf").write_text('Acquire::Retries "0";\n')
    env = {key: value for key, value in os.environ.items() if not key.startswith("SAMPAN_")}
    env.update(
        APT_CONFIG=str(tmp_path / "apt.conf"),
        SAMPAN_DEBIAN_MIRROR=archive.uri,
        SAMPAN_DEBIAN_KEYRING=str(archive.keyring),
        PYTHONPATH=str(Path(__file__).parent),
        no_proxy="127.0.0.1",
    )

    def run(*names):
        command = [sys.executable, "-c", FETCH, tmp_path / "private", *names]
        return subprocess.run(
            [str(word) for word in command], env=env, capture_output=True, text=True, timeout=120, check=False
        )

    yield run
    archive.stop()


def test_a_package_comes_with_what_it_depends_on_and_not_what_it_recommends(fetch):
    for _ in ("fetched", "already there"):
        done = fetch("engine")
        assert sorted(done.stdout.splitlines()) == ["the file of engine", "the file of library"], done.stderr


def test_a_missing_dependency_is_named(fetch):
    done = fetch("broken")
    assert done.returncode != 0
    assert "nowhere" in done.stderr
