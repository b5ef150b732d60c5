"""linux.netDevices: interfaces of a host move into containers. The host here is a network namespace
of its own, so that the machine's interfaces are left alone."""

import ctypes
import json
import os
import subprocess

import pytest

from oci_host import NEEDS, SECONDS, hook

CLONE_NEWNET = 0x40000000


def ip(*args):
    return subprocess.run(["ip", *args], check=True, capture_output=True, text=True,
                          timeout=SECONDS).stdout


def veth_works():
    r = subprocess.run(["unshare", "--net", "ip", "link", "add", "v0", "type", "veth", "peer", "v1"],
                       capture_output=True)
    return r.returncode == 0


pytestmark = [*NEEDS, pytest.mark.skipif(os.geteuid() != 0 or not veth_works(),
                                         reason="this machine makes no veth devices")]


@pytest.fixture
def host(oci):
    """This process and its children in a network namespace with v0, which has addresses and is up,
    v1, its other end, and w0, which has none and is down."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(CLONE_NEWNET) == 0
    try:
        ip("link", "add", "v0", "type", "veth", "peer", "v1")
        ip("link", "add", "w0", "type", "veth", "peer", "w1")
        ip("link", "set", "v0", "mtu", "1400", "address", "02:00:00:00:00:01")
        ip("addr", "add", "192.0.2.1/24", "brd", "192.0.2.255", "dev", "v0", "label", "v0:x")
        ip("addr", "add", "192.0.2.2/24", "dev", "v0")
        ip("-6", "addr", "add", "2001:db8::1/64", "dev", "v0", "nodad")
        # These stay behind: link scope, and a lifetime.
        ip("addr", "add", "203.0.113.3/24", "scope", "link", "dev", "v0")
        ip("addr", "add", "198.51.100.1/24", "valid_lft", "1000", "preferred_lft", "900",
           "dev", "v0")
        ip("link", "set", "v0", "up")
        ip("link", "set", "v1", "up")
        yield oci
    finally:
        # After the containers: their veth ends are destroyed with the namespaces.
        oci.destroy()
        assert libc.setns(own, CLONE_NEWNET) == 0
        os.close(own)


def names():
    return {x["ifname"] for x in json.loads(ip("-j", "link"))}


def details(name, *, pid=None):
    enter = ["nsenter", "--target", str(pid), "--net"] if pid else []
    out = subprocess.run([*enter, "ip", "-j", "addr", "show", "dev", name], check=True,
                         capture_output=True, text=True).stdout
    return json.loads(out)[0]


def addresses(d):
    return {f"{a['local']}/{a['prefixlen']}" for a in d["addr_info"]
            if a["scope"] == "global"}


KEPT = {"192.0.2.1/24", "192.0.2.2/24", "2001:db8::1/64"}


def test_a_device_moves_with_its_addresses(host):
    host.linux["netDevices"] = {"v0": {"name": "eth0"}, "w0": {}}
    host.create("sleep", "1000")
    pid = host.state()["pid"]
    seen = details("eth0", pid=pid)
    assert addresses(seen) == KEPT
    assert "UP" in seen["flags"] and seen["mtu"] == 1400
    assert seen["address"] == "02:00:00:00:00:01"
    first = next(a for a in seen["addr_info"] if a["local"] == "192.0.2.1")
    assert first["broadcast"] == "192.0.2.255"
    assert "UP" in details("w0", pid=pid)["flags"]
    assert names() == {"lo", "v1", "w1"}
    host.ok("start", "c")
    # It works: the other end reaches it.
    ip("addr", "add", "192.0.2.9/24", "dev", "v1")
    subprocess.run(["ip", "route", "get", "192.0.2.1"], check=True, capture_output=True)
    assert host.ok("exec", "c", "cat", "/sys/class/net/eth0/carrier").strip() == "1"


def test_a_template_finds_a_number(host):
    host.linux["netDevices"] = {"v0": {"name": "eth%d"}, "w0": {"name": "eth%d"}}
    out = host.run("ls", "/sys/class/net")
    assert out.split() == ["eth0", "eth1", "lo"]


def test_a_namespace_that_exists(host):
    ip("netns", "add", "sampan-test")
    try:
        path = "/run/netns/sampan-test"
        next(n for n in host.linux["namespaces"] if n["type"] == "network")["path"] = path
        host.linux["netDevices"] = {"v0": {}}
        host.run("true")
        # It is not the runtime's: the device stays in it, up and with its addresses.
        out = ip("netns", "exec", "sampan-test", "ip", "-j", "addr", "show", "dev", "v0")
        assert addresses(json.loads(out)[0]) == KEPT
    finally:
        ip("netns", "del", "sampan-test")


def test_a_name_that_is_taken_is_refused_before_anything_moves(host):
    host.process["args"] = ["true"]
    host.linux["netDevices"] = {"w0": {}, "v0": {"name": "lo"}}
    assert host.refused() == ("sampan-oci: linux.netDevices.v0: the container already has a "
                              '"lo"')
    host.linux["netDevices"] = {"v0": {}, "x9": {}}
    assert host.refused() == "sampan-oci: linux.netDevices.x9: No such device"
    assert names() == {"lo", "v0", "v1", "w0", "w1"}
    assert addresses(details("v0")) == KEPT | {"198.51.100.1/24"}


def test_what_fails_later_puts_them_back(host):
    host.config["hooks"] = {"createRuntime": hook(host, "look", "ip -j link >$0.seen; exit 1\n")}
    host.config["hooks"]["createRuntime"][0]["env"] = ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"]
    host.linux["netDevices"] = {"v0": {"name": "eth0"}, "w0": {"name": "eth1"}}
    host.process["args"] = ["true"]
    assert "hooks.createRuntime[0]" in host.refused()
    there = json.loads((host.path / "hook-look.seen").read_text())
    assert {x["ifname"] for x in there} == {"lo", "v1", "w1"}
    assert names() == {"lo", "v0", "v1", "w0", "w1"}
    seen = details("v0")
    assert addresses(seen) == KEPT and "UP" in seen["flags"]
    assert "UP" not in details("w0")["flags"]


def test_a_device_that_cannot_stay_there_puts_the_others_back(host):
    # A bridge keeps to its namespace: the move of the second one fails.
    r = subprocess.run(["ip", "link", "add", "zbr", "type", "bridge"], capture_output=True)
    if r.returncode:
        pytest.skip("this machine makes no bridge")
    host.linux["netDevices"] = {"v0": {}, "zbr": {}}
    host.process["args"] = ["true"]
    line = host.refused()
    assert line.startswith("sampan-oci: linux.netDevices.zbr: move it into the container: ")
    assert addresses(details("v0")) == KEPT


def test_many_addresses(host):
    for i in range(120):
        ip("addr", "add", f"10.0.{i}.1/24", "dev", "w0")
    host.linux["netDevices"] = {"w0": {}}
    host.create("true")
    assert len(addresses(details("w0", pid=host.state()["pid"]))) == 120
