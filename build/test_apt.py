"""Finding the machine's Debian archive in apt's two formats."""

import apt
import pytest

DEB822 = """\
# what an image builder wrote
Types: deb
URIs: http://mirror.example.test/debian/
Suites: bookworm bookworm-updates
Components: main
  contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example.test/security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example.test/debian
Suites: bookworm bookworm-updates
Components: main
"""
ONE_LINE = """\
# deb http://comment.example.test/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://vendor.example.test/wine bookworm main
deb cdrom:[Debian]/ bookworm main
deb http://mirror.example.test/debian bookworm main non-free  # the one
deb-src http://mirror.example.test/debian bookworm-updates main
deb http://sec.example.test/debian-security bookworm-security main
deb http://vendor.example.test/db bookworm-pgdg main
deb http://vendor.example.test/flat ./
"""


def machine(folder, **files):
    (folder / "sources.list.d").mkdir()
    for name, text in files.items():
        place = "sources.list" if name == "list" else f"sources.list.d/debian.{name}"
        (folder / place).write_text(text)
    return str(folder)


def test_deb822_sources_are_read(tmp_path):
    assert apt.find_archives(machine(tmp_path, sources=DEB822), {}) == (
        ["http://mirror.example.test/debian"],
        ["http://mirror.example.test/security"],
    )


def test_one_line_sources_are_read_and_a_vendor_is_not_taken_for_debian(tmp_path):
    archives, security = apt.find_archives(machine(tmp_path, list=ONE_LINE), {})
    assert archives[0] == "http://mirror.example.test/debian"
    assert security == ["http://sec.example.test/debian-security"]
    assert all("cdrom" not in uri and "comment" not in uri and "db" not in uri for uri in archives)


def test_without_a_security_entry_its_usual_neighbour_is_tried(tmp_path):
    etc = machine(tmp_path, list="deb http://m.example.test/debian trixie main\n")
    assert apt.find_archives(etc, {})[1] == ["http://m.example.test/debian-security"]


def test_the_variable_wins_over_what_is_configured(tmp_path):
    etc = machine(tmp_path, sources=DEB822)
    environ = {"SAMPAN_DEBIAN_MIRROR": "http://mine.example.test/debian/"}
    archives, security = apt.find_archives(etc, environ)
    assert archives == ["http://mine.example.test/debian"]
    assert security == ["http://mine.example.test/debian-security"]


def test_an_ubuntu_machine_is_told_what_to_set(tmp_path):
    etc = machine(tmp_path, list="deb http://archive.example.test/ubuntu noble main universe\n")
    with pytest.raises(apt.Error, match="SAMPAN_DEBIAN_MIRROR"):
        apt.find_archives(etc, {})


def test_a_missing_keyring_names_its_package(monkeypatch):
    monkeypatch.setattr(apt, "KEYRINGS", ("/nonexistent",))
    with pytest.raises(apt.Error, match="debian-archive-keyring"):
        apt.find_keyring({})
