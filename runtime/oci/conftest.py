"""Fixtures for the tests of sampan-oci."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from oci_host import Oci  # noqa: E402


@pytest.fixture
def oci(tmp_path):
    o = Oci(tmp_path)
    yield o
    o.destroy()
