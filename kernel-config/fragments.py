"""Read, merge and compare kernel configuration fragments.

A fragment line is `CONFIG_NAME=value  # reason`; a line that starts with "#" is a heading. The reason is not
optional: whoever meets the symbol later must learn here why it has that value. `n` means "is not set".
"""

import re
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent
COMMON = ("base", "containers", "network", "storage", "console", "virt", "hardening")
ARCHES = ("x86_64", "arm64")
PREPARED = ("cloud", "metal")

LINE = re.compile(r'CONFIG_(?P<name>\w+)=(?P<value>"(?:[^"\\]|\\.)*"|[^\s"#]+)\s+# (?P<reason>\S.*)')
BUILT = re.compile(r"CONFIG_(\w+)=(.*)|# CONFIG_(\w+) is not set")


class FragmentError(Exception):
    """A fragment that cannot be used; the text names the file and the line."""


class Request(NamedTuple):
    """One line of a fragment."""

    value: str
    file: str
    line: int


class Lost(NamedTuple):
    """A request that the built configuration does not fulfil."""

    name: str
    wanted: str
    got: str
    file: str
    line: int

    def __str__(self):
        return f"{self.file}:{self.line}: CONFIG_{self.name}: wanted {self.wanted}, got {self.got}"


def paths(arch, extra=()):
    """The fragments of one architecture.

    @extra: prepared ones to add; NAME brings NAME.config and, when there is one, NAME.ARCH.config
    """
    if arch not in ARCHES:
        raise FragmentError(f"unknown architecture {arch!r}: one of {', '.join(ARCHES)}")
    for name in extra:
        if name not in PREPARED:
            raise FragmentError(f"unknown fragment {name!r}: one of {', '.join(PREPARED)}")
    files = [FOLDER / f"{name}.config" for name in (*COMMON, arch)]
    for name in extra:
        files.append(FOLDER / f"{name}.config")
        files.extend(FOLDER.glob(f"{name}.{arch}.config"))
    return files


def parse(path):
    """Yield (name, Request) for each line of a fragment."""
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        match = LINE.fullmatch(text.rstrip())
        if not match:
            raise FragmentError(f"{path.name}:{number}: not `CONFIG_NAME=value  # reason`: {text}")
        yield match["name"], Request(match["value"], path.name, number)


def merge(files):
    """All requests of the fragments, by name.

    A symbol stands in one place only, so that its reason does too; but a prepared fragment may turn on what is off.
    """
    merged = {}
    for path in files:
        prepared = path.name.split(".")[0] in PREPARED
        for name, request in parse(path):
            if name in merged and not (prepared and merged[name].value in ("n", request.value)):
                first = merged[name]
                raise FragmentError(
                    f"{request.file}:{request.line}: CONFIG_{name} stands in {first.file}:{first.line} already"
                )
            merged[name] = request
    return merged


def allconfig(merged):
    """The text for KCONFIG_ALLCONFIG: Kconfig itself does not understand comments behind a value."""
    return "".join(f"CONFIG_{name}={request.value}\n" for name, request in merged.items())


def built(text):
    """Values of a .config by name; a symbol that is not set is absent."""
    values = {}
    for line in text.splitlines():
        match = BUILT.fullmatch(line)
        if match and match[1]:
            values[match[1]] = match[2]
    return values


def lost(merged, values):
    """Requests that the configuration does not fulfil."""
    return [
        Lost(name, request.value, values.get(name, "n"), request.file, request.line)
        for name, request in merged.items()
        if values.get(name, "n") != request.value
    ]
