"""What a container or a user can do to the machine, and PID 1 stays."""

import re

import pytest

from archive import compile_program
from test_containers import SERVING, pid_of

EXITS = 10000


def zombies(guest):
    states = guest.ssh("cat /proc/[0-9]*/stat 2>/dev/null").output
    return re.findall(r"^(\d+ \(.*\)) Z", states, re.MULTILINE)


@pytest.fixture(scope="module")
def orphans(tmp_path_factory):
    return compile_program("orphans", "x86_64", tmp_path_factory.mktemp("programs"))


def test_ten_thousand_rapid_child_exits_leave_none_behind(boot, orphans):
    guest = boot("q35", files={"test/orphans": (orphans, 0o755)}).boot()
    assert guest.ssh(f"/test/orphans {EXITS}", timeout=300).ok() == f"orphans: {EXITS} made"
    # the answer of PID 1 comes after the exits that it was told of before
    guest.ssh("sampan status").ok()
    assert zombies(guest) == []


def test_a_container_killed_among_thousands_of_exits_is_still_noticed(boot, orphans):
    guest = boot("q35", files={"test/orphans": (orphans, 0o755)}).boot()
    killed, since = pid_of(guest), guest.mark()
    guest.ssh(
        f"/test/orphans {EXITS // 2} & a=$!; kill -9 {killed}; /test/orphans {EXITS // 2}; wait $a",
        timeout=300,
    ).ok()
    guest.wait_for(SERVING, since=since)
    assert pid_of(guest) != killed
    assert zombies(guest) == []


def test_a_fork_bomb_in_the_container_leaves_the_machine_usable(boot):
    guest = boot("q35").boot()
    guest.http()
    # sh -c in the container: each one starts two more and waits for them
    bomb = "sampan-oci exec -d web /bin/sh -c 'b() { b | b & wait; }; b'"
    guest.shell(bomb)
    limit = int(guest.shell("cat /sys/fs/cgroup/containers/pids.max").ok())
    guest.shell(
        "until [ $(cat /sys/fs/cgroup/containers/pids.current) -ge"
        f" {limit * 9 // 10} ]; do :; done",
        timeout=300,
    ).ok()
    assert "web" in guest.shell("sampan status", timeout=120).ok()
    assert guest.ssh("cat /proc/1/comm", timeout=120).ok() == "init"
    since = guest.mark()
    guest.shell("sampan restart web", timeout=120).ok()
    guest.wait_for(SERVING, since=since)
    assert "Sampan" in guest.http()
    assert int(guest.ssh("cat /sys/fs/cgroup/containers/pids.current").ok()) < 20


@pytest.mark.parametrize("folder", ["/var", "/run", "/tmp"])
def test_a_full_filesystem_leaves_the_machine_usable(boot, folder):
    guest = boot("q35", memory=256).boot()
    path = f"{folder}/fill"
    filled = guest.ssh(f"dd if=/dev/zero of={path} bs=64k 2>&1", timeout=120)
    assert "No space left on device" in filled.output or "Out of memory" in guest.console.text()
    assert "web" in guest.shell("sampan status").ok()
    assert "Sampan" in guest.http()
    assert guest.ssh(f"rm {path}").ok() == ""
    since = guest.mark()
    guest.shell("sampan restart web").ok()
    guest.wait_for(SERVING, since=since)
    assert "Sampan" in guest.http()


# a megabyte at a time: a shell that asks for half of all memory at once is told no, and ends by itself
EATER = r"b=x; while [ ${#b} -lt 1000000 ]; do b=$b$b; done; n=v; while :; do n=${n}x; eval $n=\$b; done"


def test_a_container_that_eats_memory_is_ended_and_the_machine_stays(boot):
    guest = boot("q35", memory=256).boot()
    guest.http()
    guest.shell(f"sampan-oci exec -d web /bin/sh -c '{EATER}' </dev/null >/dev/null 2>&1").ok()
    # with almost nothing left it only crawls on; it is ended when somebody else needs memory
    need = "dd if=/dev/zero of=/run/need bs=1M count=16 2>/dev/null; rm /run/need"
    for _ in range(100):
        guest.shell(need).ok()
        if "Out of memory: Killed process" in guest.console.text():
            break
    assert "Out of memory: Killed process" in guest.console.text()
    assert "web" in guest.shell("sampan status").ok()
    assert guest.ssh("cat /proc/1/comm").ok() == "init"
    assert "Sampan" in guest.http()
