"""The specification's own schemas and test cases (testdata/, see its README) against what the runtime
reads and prints. The unit tests of config.c go through the cases of config.json once more."""

import json
import pathlib

import pytest

from oci_host import NEEDS

jsonschema = pytest.importorskip("jsonschema", reason="the package python3-jsonschema")

pytestmark = NEEDS

DATA = pathlib.Path(__file__).parent / "testdata"
SCHEMAS = {p.name: json.loads(p.read_text()) for p in (DATA / "schema").glob("*.json")}


class Resolver(jsonschema.RefResolver):
    """The schemas name each other's files, some that are for other systems."""

    def resolve_remote(self, uri):
        return SCHEMAS.get(uri.rpartition("/")[2], {})


def validate(kind, value):
    schema = SCHEMAS[f"{kind}-schema.json"]
    jsonschema.Draft4Validator(schema, resolver=Resolver("", schema)).validate(value)


@pytest.mark.parametrize("kind,folder", [
    ("config", ""), ("features", "features"), ("state", "state")])
def test_the_schemas_tell_good_from_bad(kind, folder):
    """That the validator here sees what the specification's does."""
    good = sorted((DATA / folder / "good").glob("*.json"))
    bad = sorted((DATA / folder / "bad").glob("*.json"))
    assert good and bad
    for path in good:
        validate(kind, json.loads(path.read_text()))
    for path in bad:
        with pytest.raises((jsonschema.ValidationError, json.JSONDecodeError)):
            validate(kind, json.loads(path.read_text()))


def test_features_are_valid(oci):
    features = json.loads(oci.ok("features"))
    validate("features", features)
    # Every name that the schemas allow for seccomp is known.
    allowed = {k: set(SCHEMAS["defs-linux.json"]["definitions"][k]["enum"])
               for k in ("SeccompAction", "SeccompOperators", "SeccompArch", "SeccompFlag")}
    seccomp = features["linux"]["seccomp"]
    assert set(seccomp["actions"]) == allowed["SeccompAction"]
    assert set(seccomp["operators"]) == allowed["SeccompOperators"]
    assert set(seccomp["archs"]) == allowed["SeccompArch"]
    assert set(seccomp["knownFlags"]) == allowed["SeccompFlag"]
    assert features["linux"]["netDevices"] == {"enabled": True}


def test_the_state_is_valid_at_every_moment(oci):
    oci.config["annotations"] = {"myKey": "myValue", "org.opencontainers.x": ""}
    names = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart",
             "poststop")
    log = oci.path / "states"
    log.touch()
    log.chmod(0o666)
    (oci.rootfs / "states").touch()
    oci.config["hooks"] = {n: [{"path": "/bin/sh", "args": ["sh", "-c", f"(cat; echo) >>{log}"],
                                "env": ["PATH=/bin:/usr/bin"]}] for n in names}
    oci.config["hooks"]["startContainer"][0]["args"][2] = "(cat; echo) >>/states"
    oci.create("sleep", "1000")
    states = [oci.state()]
    oci.ok("start", "c")
    states.append(oci.state())
    oci.ok("kill", "c", "KILL")
    oci.wait_status("stopped")
    states.append(oci.state())
    oci.ok("delete", "c")
    assert [s["status"] for s in states] == ["created", "running", "stopped"]
    lines = log.read_text().splitlines() + (oci.rootfs / "states").read_text().splitlines()
    assert len(lines) == 6
    states += map(json.loads, lines)
    for state in states:
        validate("state", state)
        assert state["annotations"] == oci.config["annotations"]


def test_the_default_configuration_is_valid(oci):
    validate("config", oci.config)
