"""Fixtures; and with SAMPAN_WEAKENED_BY only the attacks that this weakening lets through, for weaken.py."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from attack import Outside, Programs  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "weakened_by(*names): the weakenings that let this attack through")


def weakenings_of(item):
    return [name for mark in item.iter_markers("weakened_by") for name in mark.args]


def pytest_collection_modifyitems(items):
    wanted = os.environ.get("SAMPAN_WEAKENED_BY")
    if wanted:
        items[:] = [item for item in items if wanted in weakenings_of(item)]


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    return Programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture
def outside(tmp_path):
    return Outside(tmp_path / "outside")
