"""build/tidy.sh: what passed is not looked at again, what fails or changed is."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
CLEAN = "int twice(int n);\nint twice(int n)\n{\n\treturn 2 * n;\n}\n"
# a dead store
WRONG = CLEAN.replace("return 2 * n;", "int m = 0;\n\n\tm = 2 * n;\n\treturn 2 * n;")


@pytest.fixture(name="tree")
def _tree(tmp_path):
    """A folder with the project's rules, a file.c, and a cache of its own."""
    shutil.copy(TOP / ".clang-tidy", tmp_path)
    (tmp_path / "file.c").write_text(CLEAN)
    return tmp_path


def tidy(tree, path="/usr/bin:/bin"):
    """The status; with another path, clang-tidy may be one that the test made."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tree / "cache"), "PATH": path}
    command = [TOP / "build/tidy.sh", "file.c", "-std=gnu17"]
    return subprocess.run(command, cwd=tree, env=environment, check=False, capture_output=True).returncode


def entries(tree):
    return sorted(os.listdir(tree / "cache/sampan/tidy"))


def never(tree):
    """A path on which clang-tidy is one of the same size and date that fails."""
    folder = tree / "bin"
    folder.mkdir()
    script = folder / "clang-tidy"
    real = os.stat("/usr/bin/clang-tidy")
    script.write_text("#!/bin/sh\nexit 9\n")
    os.truncate(script, real.st_size)
    script.chmod(0o755)
    os.utime(script, ns=(real.st_atime_ns, real.st_mtime_ns))
    return f"{folder}:/usr/bin:/bin"


def test_what_passed_is_not_looked_at_again(tree):
    assert tidy(tree) == 0
    assert tidy(tree, never(tree)) == 0
    assert len(entries(tree)) == 1


def test_a_finding_is_found_each_time(tree):
    (tree / "file.c").write_text(WRONG)
    assert tidy(tree) != 0
    assert tidy(tree) != 0
    assert not (tree / "cache/sampan/tidy").exists()


@pytest.mark.parametrize("changed", ["file.c", ".clang-tidy"])
def test_a_change_is_looked_at(tree, changed):
    assert tidy(tree) == 0
    with open(tree / changed, "a", encoding="utf-8") as file:
        file.write("// a comment may be a NOLINT\n" if changed == "file.c" else "# \n")
    assert tidy(tree, never(tree)) == 9


def test_a_change_in_a_header_is_looked_at(tree):
    (tree / "file.h").write_text("int twice(int n);\n")
    (tree / "file.c").write_text('#include "file.h"\n' + CLEAN.split("\n", 1)[1])
    assert tidy(tree) == 0
    (tree / "file.h").write_text("int twice(int number);\n")
    assert tidy(tree, never(tree)) == 9


def test_another_clang_tidy_looks_again(tree):
    assert tidy(tree) == 0
    path = never(tree)
    os.utime(tree / "bin/clang-tidy", (1, 1))
    assert tidy(tree, path) == 9
