"""The step runner and its cache, with recipes made for the purpose."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BUILD = Path(__file__).parent


class Tree:
    """A checkout with two recipes: "top" needs "base", which reads input.txt."""

    def __init__(self, folder, cache):
        self.folder, self.cache = folder, cache
        (folder / "build").mkdir(parents=True)
        for name in ("steps.py", "sources.py", "apt.py", "recipe.sh"):
            shutil.copy2(BUILD / name, folder / "build" / name)
        (folder / "rootfs/recipes").mkdir(parents=True)
        (folder / "rootfs/sources.lock").write_text("# Date: 0\n\nPackage: none\nKind: source\n")
        (folder / "input.txt").write_text("one\n")
        self.recipe("base", "# files: input.txt", 'cp "$TOP/input.txt" "$RESULT/copy"')
        self.recipe("top", "# needs: base", 'tr a-z A-Z <"$DEP_BASE/copy" >"$RESULT/upper"')

    def recipe(self, name, head, body):
        path = self.folder / f"rootfs/recipes/{name}.sh"
        path.write_text(f"{head}\n\nbuild() {{\n\techo ran >>\"$TOP/ran-{name}\"\n\t{body}\n}}\n")

    def run(self, *names, **environment):
        done = subprocess.run(
            [self.folder / "build/steps.py", *names],
            env={**os.environ, "ARCH": "x86_64", "V": "", "XDG_CACHE_HOME": str(self.cache), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    def ran(self, name):
        path = self.folder / f"ran-{name}"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def result(self):
        return (self.folder / "out/x86_64/pkg/top/upper").read_text()


@pytest.fixture(name="tree")
def checkout(tmp_path):
    return Tree(tmp_path / "first", tmp_path / "cache")


def test_steps_run_in_order_and_say_what_is_left(tree):
    status, said = tree.run("top")
    assert status == 0, said
    assert tree.result() == "ONE\n"
    assert re.fullmatch(r"\[1/2\] base x86_64 … \d+ s, 1 left\n\[2/2\] top x86_64 … \d+ s\n", said)


def test_a_second_checkout_builds_nothing(tree, tmp_path):
    tree.run("top")
    second = Tree(tmp_path / "second", tree.cache)
    status, said = second.run("top")
    assert status == 0 and said.count("cached") == 2
    assert second.ran("base") == 0 and second.ran("top") == 0
    assert second.result() == "ONE\n"


def test_a_changed_input_builds_it_and_what_needs_it_again(tree):
    tree.run("top")
    (tree.folder / "input.txt").write_text("two\n")
    tree.run("top")
    assert tree.result() == "TWO\n"
    assert (tree.ran("base"), tree.ran("top")) == (2, 2)


def test_going_back_finds_the_old_result(tree):
    tree.run("top")
    for text in ("two\n", "one\n"):
        (tree.folder / "input.txt").write_text(text)
        tree.run("top")
    assert tree.result() == "ONE\n"
    assert tree.ran("base") == 2


def test_the_other_architecture_is_another_step(tree):
    tree.run("base")
    shutil.rmtree(tree.folder / "out")
    status, said = tree.run("base", ARCH="arm64")
    assert status == 0 and "base arm64" in said and "cached" not in said


def test_a_failing_step_shows_its_end_and_leaves_nothing(tree):
    tree.recipe("base", "", 'seq 100; echo half >"$RESULT/half"; false')
    status, said = tree.run("top")
    assert status != 0
    assert "\n100\n" in said and "\n50\n" not in said
    log = re.search(r"the whole log: (\S+)", said)
    assert "\n1\n" in Path(log[1]).read_text()
    assert not list((tree.cache / "sampan").glob("store/*"))
    assert tree.ran("top") == 0


def test_a_command_that_fails_in_the_middle_fails_the_step(tree):
    tree.recipe("base", "", 'false; echo x >"$RESULT/copy"')
    assert tree.run("top")[0] != 0
