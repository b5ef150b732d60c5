"""That the weakenings and the attacks still belong together; weaken.py is what runs them."""

import pathlib
import re

import pytest

from weakenings import TOP, WEAKENINGS, weaken

HERE = pathlib.Path(__file__).parent


def named_in_tests():
    text = "".join(p.read_text() for p in HERE.glob("test_*.py"))
    return {name for call in re.findall(r"weakened_by\(([^)]*)\)", text) for name in re.findall(r'"([^"]+)"', call)}


@pytest.mark.parametrize("name", WEAKENINGS)
def test_what_a_weakening_takes_out_is_still_there(name):
    assert weaken(name)


def test_every_weakening_has_an_attack_and_the_other_way_round():
    assert named_in_tests() == set(WEAKENINGS)


def test_the_table_in_the_docs_is_complete():
    rows = [line for line in (TOP / "docs/security.md").read_text().splitlines() if line.startswith("|")]
    last = {name for row in rows for name in re.findall("`([a-z0-9-]+)`", row.split("|")[-2])}
    assert last >= set(WEAKENINGS)
    tests = {name for row in rows for name in re.findall(r"`(test_\w+)`", row)}
    there = "".join(p.read_text() for p in HERE.glob("test_*.py"))
    assert tests == set(re.findall(r"^def (test_\w+)", there, re.M)) - {
        "test_what_a_weakening_takes_out_is_still_there", "test_every_weakening_has_an_attack_and_the_other_way_round",
        "test_the_table_in_the_docs_is_complete"}
