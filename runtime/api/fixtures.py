"""Engines for tests: of runtime/api and of runtime/cli."""

import os

import pytest

import harness


@pytest.fixture(scope="session", autouse=True)
def _able():
    if os.geteuid() != 0:
        pytest.skip("needs root: containers are made for real")
    if not harness.OCI.exists():
        pytest.skip(f"needs {harness.OCI}: build first")


@pytest.fixture(scope="module")
def shared():
    """An engine for all tests of a module, with the image bb:1 in it."""
    engine = harness.Engine()
    engine.load_image()
    yield engine
    engine.close()


@pytest.fixture
def engine(shared):
    """The same, without containers."""
    yield shared
    for one in shared.get("/containers/json?all=1"):
        shared.request("DELETE", f"/containers/{one['Id']}?force=1")


@pytest.fixture
def own_engine():
    """An engine for one test, which may kill it."""
    engine = harness.Engine()
    engine.load_image()
    yield engine
    engine.close()
