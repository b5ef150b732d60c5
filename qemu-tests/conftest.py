"""Fixtures of the boot tests.

boot          function: boot("q35", memory=128, …) starts a Guest that ends with the test; for tests
              that harm the machine, reboot it or need it in a special shape; files={"path": content}
              adds files to its root (archive.write_archive), other options are Guest's
q35, microvm, arm64
              booted machines with the default application, shared by all tests that leave them as
              they found them
ssh_key       private key file that may log in to every guest of these fixtures
log_directory out/qemu-tests/<test>/, for files that matter only when the test fails

A failed test keeps the console logs of its guests in out/qemu-tests/<test>/ and shows the last
lines; a passed one leaves nothing.
"""

import re
import shutil
import tempfile

import pytest

from archive import write_archive
from guest import MACHINES, TAIL_LINES, TOP, Guest, keep_log, make_ssh_key

LOGS = TOP / "out" / "qemu-tests"
FAILED = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption(
        "--arch",
        default="x86_64,arm64",
        help="architectures to test, comma-separated; tests of the others are left out",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "arch(name): needs the files of out/<name>/")


def arch_of(item):
    """The architecture a test is about: its marker, its machine, or the shared guest it uses."""
    marker = item.get_closest_marker("arch")
    if marker:
        return marker.args[0]
    callspec = getattr(item, "callspec", None)
    if callspec and callspec.params.get("machine") in MACHINES:
        return MACHINES[callspec.params["machine"]].arch
    return "arm64" if "arm64" in item.fixturenames else "x86_64"


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("--arch").split(",")
    left_out = [item for item in items if arch_of(item) not in wanted]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if arch_of(item) in wanted]


def directory_of(item):
    return LOGS / re.sub(r"[^\w.-]+", "_", item.nodeid.split("::", 1)[1]).strip("_")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    item.stash[FAILED] = True
    for value in getattr(item, "funcargs", {}).values():
        guests = [value] if isinstance(value, Guest) else getattr(value, "guests", [])
        for guest in guests:
            log = keep_log(guest, directory_of(item) / guest.directory.name)
            report.sections.append((f"last lines of {log}", guest.console.tail(TAIL_LINES)))


@pytest.fixture(scope="session")
def ssh_key():
    directory = tempfile.mkdtemp(prefix="sampan-key-")
    yield make_ssh_key(directory)
    shutil.rmtree(directory)


@pytest.fixture
def log_directory(request):
    directory = directory_of(request.node)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    yield directory
    if not request.node.stash.get(FAILED, False):
        shutil.rmtree(directory)


class Boots:
    """Starts guests for one test and ends them with it."""

    def __init__(self, directory, ssh_key):
        self.guests = []
        self._directory = directory
        self._ssh_key = ssh_key

    def __call__(self, machine, files=None, **options):
        directory = self._directory / f"{len(self.guests)}-{machine}"
        directory.mkdir()
        options.setdefault("ssh_key", self._ssh_key)
        if files:
            added = write_archive(directory / "files.cpio", files)
            given = options.get("initrds") or [MACHINES[machine].initramfs, MACHINES[machine].app]
            options["initrds"] = [*given, added]
        self.guests.append(Guest(machine, directory, **options))
        return self.guests[-1]

    def close(self):
        for guest in self.guests:
            guest.close()


@pytest.fixture
def boot(log_directory, ssh_key):
    boots = Boots(log_directory, ssh_key)
    yield boots
    boots.close()


class Pool:
    """One booted guest per machine; a dead one is replaced, so that one failure stays one."""

    def __init__(self, directory, ssh_key):
        self._directory = directory
        self._ssh_key = ssh_key
        self._guests = {}

    def get(self, machine):
        guest = self._guests.get(machine)
        if guest is None or not guest.alive():
            self.end(machine)
            directory = self._directory / machine
            directory.mkdir(parents=True, exist_ok=True)
            guest = self._guests[machine] = Guest(machine, directory, ssh_key=self._ssh_key)
            try:
                guest.boot()
            except BaseException:
                self.end(machine)
                raise
        return guest

    def end(self, machine):
        if machine in self._guests:
            self._guests.pop(machine).close()

    def close(self):
        for machine in list(self._guests):
            self.end(machine)


@pytest.fixture(scope="session")
def pool(ssh_key, request):
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    directory = LOGS / f"shared-{worker}"
    shutil.rmtree(directory, ignore_errors=True)
    shared = Pool(directory, ssh_key)
    yield shared
    shared.close()
    if not request.session.testsfailed:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def q35(pool):
    return pool.get("q35")


@pytest.fixture
def microvm(pool):
    return pool.get("microvm")


@pytest.fixture
def arm64(pool):
    return pool.get("arm64")
