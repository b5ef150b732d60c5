"""The networks none and host, and what containers show of them."""

import json
import os

import pytest


def names(engine, **filters):
    query = json.dumps(filters).replace(" ", "")
    return [n["Name"] for n in engine.get(f"/networks?filters={query}")]


def settings(engine, container):
    return engine.get(f"/containers/{container}/json")["NetworkSettings"]


def test_two_are_listed_with_dockers_fields(engine):
    none, host = engine.get("/networks")
    assert none == {
        "Name": "none", "Id": none["Id"], "Created": none["Created"], "Scope": "local", "Driver": "null",
        "EnableIPv4": True, "EnableIPv6": False, "IPAM": {"Driver": "default", "Options": None, "Config": None},
        "Internal": False, "Attachable": False, "Ingress": False, "ConfigFrom": {"Network": ""},
        "ConfigOnly": False, "Containers": {}, "Options": {}, "Labels": {},
    }
    assert (host["Name"], host["Driver"]) == ("host", "host") and host["Id"] != none["Id"]
    assert len(none["Id"]) == 64
    for ref in ("none", none["Id"], none["Id"][:12]):
        assert engine.get(f"/networks/{ref}") == none
    assert "EnableIPv4" not in engine.get("/v1.47/networks")[0]
    assert engine.refused("GET", "/networks/nosuch") == (404, "network nosuch not found")


def test_ids_outlive_the_engine(own_engine):
    before = own_engine.get("/networks")
    own_engine.kill()
    own_engine.wait_ready()
    assert own_engine.get("/networks") == before


def test_filters_of_the_list(engine):
    host = engine.get("/networks/host")["Id"]
    assert names(engine) == ["none", "host"]
    assert names(engine, driver=["null"]) == ["none"] and names(engine, driver=["bridge"]) == []
    assert names(engine, name=["hos"]) == ["host"] and names(engine, id=[host[:10]]) == ["host"]
    assert names(engine, scope=["local"]) == ["none", "host"] and names(engine, scope=["swarm"]) == []
    assert names(engine, type=["builtin"]) == ["none", "host"] and names(engine, type=["custom"]) == []
    assert names(engine, dangling=["true"]) == [] and names(engine, dangling=["false"]) == ["none", "host"]
    assert names(engine, label=["a"]) == []
    assert engine.refused("GET", '/networks?filters={"type":["x"]}')[0] == 400
    assert engine.refused("GET", '/networks?filters={"nosuch":["x"]}')[0] == 400


@pytest.mark.parametrize("method, path, body, status, message", [
    ("POST", "/networks/create", {"Name": "mine"}, 501, 'network "mine" cannot be created'),
    ("POST", "/networks/create", {"Name": "host"}, 403, "operation is not permitted on predefined host network"),
    ("DELETE", "/networks/none", None, 403, "none is a pre-defined network and cannot be removed"),
    ("DELETE", "/networks/mine", None, 404, "network mine not found"),
    ("POST", "/networks/none/connect", {"Container": "x"}, 501, 'network "none"'),
    ("POST", "/networks/host/disconnect", {"Container": "x"}, 501, 'network "host"'),
    ("POST", "/networks/mine/connect", {"Container": "x"}, 404, "network mine not found"),
])
def test_what_comes_with_networking_is_refused(engine, method, path, body, status, message):
    got, why = engine.refused(method, path, body)
    assert got == status and message in why


def test_prune_removes_nothing(engine):
    assert engine.post("/networks/prune") == {"NetworksDeleted": None}


@pytest.mark.parametrize("mode", ["none", "host"])
def test_a_container_shows_its_network_while_it_runs(engine, mode):
    network = engine.get(f"/networks/{mode}")["Id"]
    container = engine.create("sleep", "1000", host={"NetworkMode": mode}, name=f"in-{mode}")
    one = settings(engine, container)["Networks"][mode]
    assert one == {
        "IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "", "DriverOpts": None, "GwPriority": 0,
        "NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "",
        "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "DNSNames": None,
    }
    engine.post(f"/containers/{container}/start")
    shown = settings(engine, container)
    endpoint = shown["Networks"][mode]["EndpointID"]
    assert shown["Networks"][mode] == dict(one, NetworkID=network, EndpointID=endpoint)
    assert len(endpoint) == 64 and len(shown["SandboxID"]) == 64
    assert shown["SandboxKey"].endswith("/ns/net") and shown["Ports"] == {}
    (listed,) = engine.get("/containers/json")
    assert listed["NetworkSettings"] == {"Networks": shown["Networks"]}
    assert engine.get(f"/networks/{mode}")["Containers"] == {container: {
        "Name": f"in-{mode}", "EndpointID": endpoint, "MacAddress": "", "IPv4Address": "", "IPv6Address": "",
    }}
    engine.post(f"/containers/{container}/stop?t=0")
    shown = settings(engine, container)
    assert shown["Networks"][mode] == dict(one, NetworkID=network)
    assert shown["SandboxID"] == "" and engine.get(f"/networks/{mode}")["Containers"] == {}


@pytest.mark.parametrize("field, kind", [("NetworkMode", "net"), ("PidMode", "pid"), ("IpcMode", "ipc")])
def test_a_namespace_of_another_container(engine, field, kind):
    other = engine.start("sleep", "1000", name="other", host={"IpcMode": "shareable"})
    script = f"busybox readlink /proc/self/ns/{kind}"
    code, out = engine.run_to_end("sh", "-c", script, host={field: "container:other"})
    pid = engine.state(other)["Pid"]
    with open(f"/proc/{pid}/cmdline") as f:
        assert "sleep" in f.read()
    assert (code, out.decode().strip()) == (0, os.readlink(f"/proc/{pid}/ns/{kind}"))
    engine.post(f"/containers/{other}/stop?t=0")
    joining = engine.create("true", host={field: "container:other"})
    status, message = engine.refused("POST", f"/containers/{joining}/start")
    assert status == 409 and other in message and "not running" in message


def test_the_docker_cli_lists_them(engine):
    assert engine.cli("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}") == (
        "host host local\nnone null local\n"
    )
    assert json.loads(engine.cli("network", "inspect", "none"))[0]["Driver"] == "null"
    assert engine.cli("network", "prune", "-f") == ""
    assert "cannot be created" in engine.cli("network", "create", "mine", want=1)
