"""Makes what bench_oci.py measures: bundles as our image tool writes them, and the floor for them.

The floor (programs/oci-floor.c) makes one container only, that of the bundle: its lists of mounts,
paths and limits are a header made from the very config.json that the runtimes read.
"""

import json
import subprocess
import sys
from pathlib import Path

from archive import compile_program
from guest import TOP

sys.path.insert(0, str(TOP / "runtime" / "image"))
from imagefiles import Image, entry, folder, tar, write_folder  # noqa: E402

IMAGE_TOOL = TOP / "out/host/sampan-image"
DOCKER_ARCH = {"x86_64": "amd64", "arm64": "arm64"}
# the words of mount(8) that mount(2) has flags for; every other word is the file system's
MOUNT_FLAGS = {
    "ro": "MS_RDONLY",
    "nosuid": "MS_NOSUID",
    "nodev": "MS_NODEV",
    "noexec": "MS_NOEXEC",
    "strictatime": "MS_STRICTATIME",
}
# bits of linux/capability.h, as far as Docker's default goes
CAPS = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP"
).split()
ACCESS = {"r": "BPF_DEVCG_ACC_READ", "w": "BPF_DEVCG_ACC_WRITE", "m": "BPF_DEVCG_ACC_MKNOD"}
NAMESPACES = {"mount", "uts", "ipc", "pid", "cgroup", "network"}


def make_bundle(directory, name, arch, arguments):
    """The bundle directory/name of a one-file image, with Docker's defaults."""
    program = compile_program("oci-program", arch, directory)
    image = Image(
        tar(entry("program", data=program, mode=0o755)),
        packing=None,
        architecture=DOCKER_ARCH[arch],
        config={"Entrypoint": ["/program", *arguments]},
    )
    bundle = Path(directory) / name
    layout = write_folder(Path(directory) / f"{name}.image", image.layout())
    options = ["--platform", f"linux/{DOCKER_ARCH[arch]}", "--network", "private"]
    subprocess.run([IMAGE_TOOL, "unpack", *options, "--name", "bench", layout, bundle], check=True)
    return bundle


def _text(value):
    return json.dumps(value)


def _mount(mount):
    kind = "cgroup2" if mount["type"] == "cgroup" else mount["type"]
    words = mount["options"]
    flags = [MOUNT_FLAGS[word] for word in words if word in MOUNT_FLAGS]
    data = ",".join(word for word in words if word not in MOUNT_FLAGS)
    target = mount["destination"].lstrip("/")
    return (
        f"{{{_text(mount['source'])}, {_text(target)}, {_text(kind)}, "
        f"{' | '.join(flags) or 0}, {_text(data) if data else 'NULL'}}}"
    )


def _device(rule):
    fields = [f".allow = {str(rule['allow']).lower()}", f".type = '{rule.get('type', 'a')}'"]
    fields += [".access = " + " | ".join(ACCESS[letter] for letter in rule["access"])]
    fields += [f".{key} = {rule.get(key, -1)}" for key in ("major", "minor")]
    return "{" + ", ".join(fields) + "}"


def _array(declaration, items):
    lines = "".join(f"\t{item},\n" for item in items)
    return f"static const {declaration}[] = {{\n{lines}}};\n"


def header(config):
    """oci-floor-config.h for @config. What the floor does not do is refused."""
    linux, process = config["linux"], config["process"]
    if {n["type"] for n in linux["namespaces"]} != NAMESPACES or config.get("hooks"):
        raise ValueError("the floor makes just these namespaces, and has no hooks")
    if set(linux["resources"]) != {"devices"} or process["user"]["uid"] != 0:
        raise ValueError("the floor sets no limits and stays root")
    caps = sum(1 << CAPS.index(cap.removeprefix("CAP_")) for cap in process["capabilities"]["bounding"])
    environment = ", ".join(map(_text, process["env"]))
    paths = (f"/proc/sys/{key.replace('.', '/')}" for key in linux["sysctl"])
    sysctls = zip(paths, linux["sysctl"].values())
    return (
        f"static const char hostname[] = {_text(config['hostname'])};\n"
        f"static const char oom_score_adj[] = \"{process['oomScoreAdj']}\";\n"
        f"static const unsigned long long bounding = {caps:#x}ULL;\n"
        f"static char *const environment[] = {{{environment}, NULL}};\n"
        + _array(
            "struct { const char *path, *value; } sysctls",
            (f"{{{_text(path)}, {_text(value)}}}" for path, value in sysctls),
        )
        + _array(
            "struct { const char *source, *target, *type; unsigned long flags; const char *data; } mounts",
            map(_mount, config["mounts"]),
        )
        + _array("char *const masked_paths", (_text(p.lstrip("/")) for p in linux["maskedPaths"]))
        + _array("char *const readonly_paths", (_text(p.lstrip("/")) for p in linux["readonlyPaths"]))
        + _array("struct config_device_rule device_rules", map(_device, linux["resources"]["devices"]))
        + _array(
            "struct { int resource; struct rlimit limit; } rlimits",
            (f"{{{r['type']}, {{{r['soft']}, {r['hard']}}}}}" for r in process["rlimits"]),
        )
    )


def compile_floor(bundle, arch, directory):
    """The floor's bytes, for the container of @bundle."""
    config = json.loads((bundle / "config.json").read_text(encoding="utf-8"))
    (Path(directory) / "oci-floor-config.h").write_text(header(config), encoding="utf-8")
    return compile_program(
        "oci-floor",
        arch,
        directory,
        flags=[f"-I{TOP}", f"-I{directory}", f"-I{TOP}/out/host/yyjson/src"],
        sources=[TOP / "runtime/oci/device_rules.c"],
    )
