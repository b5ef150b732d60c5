"""Tests run as root or under fakeroot: fakeroot /usr/bin/python3 -m pytest runtime/image"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _as_root():
    assert os.geteuid() == 0, "run as root or under fakeroot"


@pytest.fixture
def place(tmp_path):
    """A directory in which nothing but what a test expects may be left."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"
