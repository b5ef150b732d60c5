"""Which image sampan-image picks, the config.json it writes, and what happens when it is interrupted."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from imagefiles import KIND, Image, encode, entry, folder, symlink, tar, write_folder, write_tar
from imagerun import LOWER, TOOL, VARIETY, content, layout, names, refused, run, snapshot, unpack

# --- which image ------------------------------------------------------------------------------------


def two_images():
    """Two images in one layout: app:1 with one file "a", app:2 with "b"."""
    first, second = Image(tar(entry("a"))), Image(tar(entry("b")))
    manifests = [
        first.manifest(annotations={"org.opencontainers.image.ref.name": "app:1"}),
        second.manifest(annotations={"org.opencontainers.image.ref.name": "2",
                                     "io.containerd.image.name": "docker.io/library/app:2"}),
    ]
    first.blobs.update(second.blobs)
    return first.layout(manifests)


@pytest.mark.parametrize("ref, file", [("app:1", "a"), ("app:2", "b"), ("docker.io/library/app:2", "b")])
def test_an_image_is_picked_by_its_name(tmp_path, place, ref, file):
    image = write_folder(tmp_path / "l", two_images())
    assert names(unpack(image, place / "b", "--ref", ref)) == [file]


def test_without_a_name_several_images_are_refused_and_listed(tmp_path, place):
    image = write_folder(tmp_path / "l", two_images())
    line = refused(image, place)
    assert "app:1" in line and "docker.io/library/app:2" in line
    assert "has no image named app:3" in refused(image, place, "--ref", "app:3")


def test_a_layout_that_keeps_the_tag_alone_is_found_by_the_name(tmp_path, place):
    image = Image(tar(entry("a")))
    manifest = image.manifest(annotations={"org.opencontainers.image.ref.name": "latest"})
    image = write_folder(tmp_path / "l", image.layout([manifest]))
    assert names(unpack(image, place / "b", "--ref", "anything")) == ["a"]


def test_a_saved_image_is_picked_by_its_tag(tmp_path, place):
    image = write_tar(tmp_path / "a.tar", Image(tar(entry("a"))).saved("app:latest"))
    assert names(unpack(image, place / "b", "--ref", "docker.io/library/app")) == ["a"]
    shutil.rmtree(place / "b")
    assert "app:latest" in refused(image, place, "--ref", "other")


def multi_arch():
    arm, amd = Image(tar(entry("arm")), architecture="arm64"), Image(tar(entry("amd")))
    manifests = [
        arm.manifest(platform={"os": "linux", "architecture": "arm64", "variant": "v8"}),
        amd.manifest(platform={"os": "linux", "architecture": "amd64"}),
        amd.blob(f"{KIND}.manifest.v1+json", b"{}", platform={"os": "unknown", "architecture": "unknown"}),
    ]
    nested = amd.blob(f"{KIND}.index.v1+json", encode({"schemaVersion": 2, "manifests": manifests}))
    amd.blobs.update(arm.blobs)
    return amd.layout([nested])


def test_the_platform_picks_a_manifest_in_nested_indexes(tmp_path, place):
    image = write_folder(tmp_path / "l", multi_arch())
    assert names(unpack(image, place / "1", "--platform", "linux/amd64")) == ["amd"]
    assert names(unpack(image, place / "2", "--platform", "linux/arm64")) == ["arm"]


def test_an_image_for_another_platform_is_refused(tmp_path, place):
    image = layout(tmp_path, tar(entry("a")), architecture="arm64")
    assert "linux/arm64, not for linux/amd64" in refused(image, place)
    files = multi_arch()
    index = json.loads(files["index.json"])
    manifest = f"blobs/{index['manifests'][0]['digest'].replace(':', '/')}"
    files[manifest] = files[manifest].replace(b"arm64", b"armXX")
    refused(write_folder(tmp_path / "n", files), place)  # a changed nested index


# --- config.json ------------------------------------------------------------------------------------


def spec(tmp_path, place, *options, config=None, layers=(tar(*VARIETY),), **top):
    config = {"Entrypoint": ["/bin/app"], **(config or {})}
    unpack(layout(tmp_path, *layers, config=config, **top), place / "b", *options)
    return json.loads((place / "b/config.json").read_text())


def test_the_command_is_entrypoint_and_cmd(tmp_path, place):
    made = spec(tmp_path, place, config={"Entrypoint": ["/e", "1"], "Cmd": ["2", "3"]})
    assert made["process"]["args"] == ["/e", "1", "2", "3"]


def test_an_image_without_a_command_is_refused(tmp_path, place):
    assert "nothing to run" in refused(layout(tmp_path, tar(*VARIETY), config={}), place)


def test_the_environment_has_a_path_a_hostname_and_the_users_home(tmp_path, place):
    made = spec(tmp_path, place, config={"Env": ["A=1", "B=2", "A=3", "broken"], "User": "web"})
    assert made["process"]["env"] == [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOSTNAME=b", "B=2", "A=3", "HOME=/www",
    ]


def test_the_images_environment_wins(tmp_path, place):
    env = ["PATH=/x", "HOME=/y", "HOSTNAME=z"]
    assert spec(tmp_path, place, config={"Env": env})["process"]["env"] == env


@pytest.mark.parametrize("user, uid, gid, groups", [
    ("", 0, 0, [0, 77]), ("web", 33, 44, [44, 77]), ("33", 33, 44, [44, 77]), ("1234", 1234, 0, [0]),
    ("web:extra", 33, 77, [77]), ("1234:5678", 1234, 5678, [5678]), ("root:web", 0, 44, [44]),
])
def test_the_user_is_looked_up_in_the_image(tmp_path, place, user, uid, gid, groups):
    made = spec(tmp_path, place, config={"User": user})["process"]["user"]
    assert made == {"uid": uid, "gid": gid, "additionalGids": groups}


def test_a_user_or_group_that_the_image_lacks_is_refused(tmp_path, place):
    for i, user in enumerate(["nobody", "web:nogroup", "4294967295", "-1", ":web", "a:b:c"]):
        image = layout(tmp_path / str(i), tar(*VARIETY), config={"Cmd": ["x"], "User": user})
        refused(image, place)


def test_accounts_are_read_inside_the_root(tmp_path, place):
    (tmp_path / "passwd").write_text("web:x:1:1::/:/bin/sh\n")
    layer = tar(symlink("etc", str(tmp_path)))
    image = layout(tmp_path, layer, config={"Cmd": ["x"], "User": "web"})
    assert 'user "web" is not in' in refused(image, place)


def test_the_working_directory_is_made(tmp_path, place):
    made = spec(tmp_path, place, config={"WorkingDir": "srv//data/./x"})
    assert made["process"]["cwd"] == "/srv/data/x"
    st = (place / "b/rootfs/srv/data/x").stat()
    assert (oct(st.st_mode), st.st_uid, st.st_mtime) == ("0o40755", 0, 0)


def test_a_working_directory_that_leaves_the_root_is_refused(tmp_path, place):
    config = {"Cmd": ["x"], "WorkingDir": "/../../tmp"}
    assert "WorkingDir" in refused(layout(tmp_path, tar(*VARIETY), config=config), place)


def test_labels_become_annotations_and_win(tmp_path, place):
    made = spec(tmp_path, place, created="2024-01-01T00:00:00Z", author="me", config={
        "Labels": {"a": "b", "org.opencontainers.image.author": "you"},
        "StopSignal": "SIGQUIT", "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
    })["annotations"]
    assert made == {
        "org.opencontainers.image.os": "linux",
        "org.opencontainers.image.architecture": "amd64",
        "org.opencontainers.image.created": "2024-01-01T00:00:00Z",
        "org.opencontainers.image.stopSignal": "SIGQUIT",
        "org.opencontainers.image.exposedPorts": "80/tcp,53/udp",
        "a": "b", "org.opencontainers.image.author": "you",
    }


def test_the_network_is_the_hosts_unless_private(tmp_path, place):
    host = spec(tmp_path, place)["linux"]
    assert [n["type"] for n in host["namespaces"]] == ["mount", "uts", "ipc", "pid", "cgroup"]
    assert "sysctl" not in host
    shutil.rmtree(place / "b")
    shutil.rmtree(tmp_path / "layout")
    private = spec(tmp_path, place, "--network", "private")["linux"]
    assert {"type": "network"} in private["namespaces"]
    assert private["sysctl"]["net.ipv4.ip_unprivileged_port_start"] == "0"


def test_a_container_gets_dockers_defaults(tmp_path, place):
    made = spec(tmp_path, place, "--name", "my-app")
    assert made["hostname"] == "my-app" and made["process"]["terminal"] is False
    assert made["root"] == {"path": "rootfs", "readonly": False}
    caps = made["process"]["capabilities"]
    assert len(caps["bounding"]) == 14 and caps["bounding"] == caps["effective"] == caps["permitted"]
    assert "CAP_SYS_ADMIN" not in caps["bounding"]
    assert [m["destination"] for m in made["mounts"]] == [
        "/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm"]
    assert "/proc/kcore" in made["linux"]["maskedPaths"]
    assert "/proc/sys" in made["linux"]["readonlyPaths"]
    assert made["linux"]["resources"]["devices"][0] == {"allow": False, "access": "rwm"}


@pytest.mark.parametrize("arch, scmp", [("amd64", "X86_64"), ("arm64", "AARCH64")])
def test_the_seccomp_profile_is_resolved_for_the_container(tmp_path, place, arch, scmp):
    image = layout(tmp_path, tar(*VARIETY), architecture=arch)
    unpack(image, place / "b", "--platform", f"linux/{arch}")
    made = json.loads((place / "b/config.json").read_text())["linux"]["seccomp"]
    allowed = {n for r in made["syscalls"] if r["action"] == "SCMP_ACT_ALLOW" for n in r["names"]}
    assert made["architectures"] == [f"SCMP_ARCH_{scmp}"]
    assert {"read", "chroot", "ptrace"} <= allowed  # chroot: by CAP_SYS_CHROOT, ptrace: by kernel
    assert not {"mount", "bpf", "kexec_load", "reboot", "init_module"} & allowed
    assert ("arch_prctl" in allowed) == (arch == "amd64")
    clone3 = [r for r in made["syscalls"] if "clone3" in r["names"]]
    assert clone3 == [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]
    assert set().union(*made["syscalls"]) == {"names", "action", "errnoRet", "args"}


def test_config_json_follows_the_schema(tmp_path, place):
    """SAMPAN_RUNTIME_SCHEMA: the folder schema/ of the OCI runtime-spec."""
    jsonschema = pytest.importorskip("jsonschema")
    if not os.environ.get("SAMPAN_RUNTIME_SCHEMA"):
        pytest.skip("SAMPAN_RUNTIME_SCHEMA is not set")
    schemas = Path(os.environ["SAMPAN_RUNTIME_SCHEMA"])
    schema = json.loads((schemas / "config-schema.json").read_text())
    resolver = jsonschema.RefResolver(f"file://{schemas}/config-schema.json", schema)
    made = spec(tmp_path, place, "--network", "private", config={"User": "web"})
    jsonschema.Draft4Validator(schema, resolver=resolver).validate(made)
    made["process"]["args"] = "not a list"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(schema, resolver=resolver).validate(made)


# --- interrupted, and at once -----------------------------------------------------------------------


# Dies at the KILL_AT-th fchmod, as by kill -9: every file and directory gets one.
KILLER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
int fchmod(int fd, mode_t mode)
{
	static int calls;
	int (*next)(int, mode_t) = (int (*)(int, mode_t))dlsym(RTLD_NEXT, "fchmod");
	if (++calls == atoi(getenv("KILL_AT")))
		kill(getpid(), SIGKILL);
	return next(fd, mode);
}
"""


@pytest.fixture(scope="session")
def killer(tmp_path_factory):
    library = tmp_path_factory.mktemp("killer") / "killer.so"
    command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library, "-ldl"]
    subprocess.run(command, input=KILLER, text=True, check=True)
    return library


def test_killed_at_any_point_it_leaves_no_bundle_and_the_next_call_clears_up(tmp_path, place, killer):
    lower = tar(*[entry(f"d{i % 7}/f{i}", data=bytes([i]) * 5000) for i in range(100)])
    upper = tar(*[folder(f"d{i}/sub/deep") for i in range(7)], entry(".wh.d3"))
    image = layout(tmp_path, lower, upper)
    temp = place / ".b.sampan-unpack"
    preload = " ".join([str(killer), *os.environ.get("LD_PRELOAD", "").split()])
    killed = 0
    for call in range(1, 120, 3):
        command = [TOOL, "unpack", "--platform", "linux/amd64", image, place / "b"]
        env = {**os.environ, "LD_PRELOAD": preload, "KILL_AT": str(call)}
        done = subprocess.run(command, env=env, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        assert os.listdir(place) == [temp.name] and (temp / "rootfs").is_dir()
        killed += 1
    assert killed == 36 and os.listdir(place) == ["b"]  # 107 entries, and the bundle itself
    assert snapshot(place / "b/rootfs") == snapshot(unpack(image, place / "undisturbed"))


def test_of_two_at_once_the_second_is_refused(tmp_path, place):
    image = layout(tmp_path, tar(*VARIETY))
    temp = place / ".b.sampan-unpack"
    temp.mkdir()
    (temp / "precious").write_text("of the first")
    fd = os.open(temp, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    done = run(image, place / "b")
    assert done.returncode == 1 and "being unpacked by another process" in done.stderr
    assert (temp / "precious").exists()
    os.close(fd)
    unpack(image, place / "b")
    assert os.listdir(place) == ["b"]


def test_a_bundle_that_exists_is_left_alone(tmp_path, place):
    (place / "b").mkdir()
    (place / "b/mine").write_text("x")
    done = run(layout(tmp_path, tar(*VARIETY)), place / "b")
    assert done.returncode == 1 and "exists" in done.stderr
    assert names(place) == ["b", "b/mine"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, place):
    image = layout(tmp_path, tar(entry("big", data=bytes(1 << 20))))
    limit = "ulimit -f 100; trap '' XFSZ; exec \"$@\""  # a file may have 100 KiB
    done = subprocess.run(
        ["sh", "-c", limit, "sh", TOOL, "unpack", "--platform", "linux/amd64", image, place / "b"],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 1 and "entry big: write: File too large" in done.stderr
    assert os.listdir(place) == []


def test_the_same_image_gives_the_same_bundle(tmp_path, place):
    image = layout(tmp_path, tar(*VARIETY), LOWER, tar(entry(".wh.f"), entry("new/deep/file")))
    unpack(image, place / "1", "--name", "x")
    unpack(image, place / "2", "--name", "x")
    assert snapshot(place / "1/rootfs") == snapshot(place / "2/rootfs")
    assert content(place / "1/config.json") == content(place / "2/config.json")


def test_the_umask_of_the_caller_does_not_matter(tmp_path, place):
    image = layout(tmp_path, tar(entry("implied/dir/file", mode=0o666)))
    old = os.umask(0o077)
    try:
        root = unpack(image, place / "b")
    finally:
        os.umask(old)
    assert oct((root / "implied/dir").stat().st_mode) == "0o40755"
    assert oct((root / "implied/dir/file").stat().st_mode) == "0o100666"
    assert oct((place / "b").stat().st_mode) == "0o40755"

