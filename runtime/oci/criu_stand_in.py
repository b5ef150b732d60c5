#!/usr/bin/python3
"""Stands in for CRIU in tests: speaks its RPC by a script, and writes down what it was asked.

    CRIU_SCRIPT=FILE criu swrk FD

FILE is JSON: {"version": [3, 17, 1], "answers": [...]}. Each request but VERSION and FEATURE_CHECK is answered by
the messages of "answers", in turn: objects as response() takes them, or {"exit": STATUS}, or {"raw": HEX}. A
message with "fd" carries the descriptor that opening its path gives. After a notification the caller's answer is
read. {"start": WORDS} starts a program, whose number "started" stands for; {"log": FILE, "text": …} writes a
log. All requests are appended to FILE.requests, a line of JSON each.

The protocol is written down here anew, from CRIU's images/rpc.proto and protobuf.dev's "Encoding", so that what
the runtime takes for a field is checked against what CRIU's definition says.
"""

import array
import json
import os
import re
import signal
import socket
import struct
import sys
from pathlib import Path

# criu_opts: number: (name, kind)
OPTS = {
    1: ("images_dir_fd", int), 2: ("pid", int), 3: ("leave_running", bool), 4: ("ext_unix_sk", bool),
    5: ("tcp_established", bool), 6: ("evasive_devices", bool), 7: ("shell_job", bool), 8: ("file_locks", bool),
    9: ("log_level", int), 10: ("log_file", str), 12: ("notify_scripts", bool), 13: ("root", str),
    14: ("parent_img", str), 15: ("track_mem", bool), 16: ("auto_dedup", bool), 17: ("work_dir_fd", int),
    18: ("link_remap", bool), 23: ("ext_mnt", {1: ("key", str), 2: ("val", str)}), 24: ("manage_cgroups", bool),
    25: ("cg_root", {1: ("ctrl", str), 2: ("path", str)}), 26: ("rst_sibling", bool),
    27: ("inherit_fd", {1: ("key", str), 2: ("fd", int)}), 34: ("manage_cgroups_mode", int),
    37: ("external", str), 38: ("empty_ns", int), 39: ("join_ns", {1: ("ns", str), 2: ("ns_file", str)}),
    44: ("freeze_cgroup", str), 46: ("tcp_skip_in_flight", bool), 50: ("orphan_pts_master", bool),
    51: ("config_file", str), 53: ("lsm_profile", str), 63: ("lsm_mount_context", str),
}
REPEATED = {"ext_mnt", "cg_root", "inherit_fd", "external", "join_ns"}
REQUEST = {
    1: ("type", int), 2: ("opts", OPTS), 3: ("notify_success", bool),
    5: ("features", {1: ("mem_track", bool), 2: ("lazy_pages", bool)}),
}
RESPONSE = {
    "type": 1, "success": 2, "restore": (4, {"pid": 1}), "notify": (5, {"script": 1, "pid": 2}), "cr_errno": 7,
    "features": (8, {"mem_track": 1}), "cr_errmsg": 9, "version": (10, {"major": 1, "minor": 2, "sublevel": 4}),
}
VERSION, FEATURE_CHECK, NOTIFY = 10, 9, 6
CLONE_PARENT = 0x8000


def take_varint(data):
    value = shift = 0
    while True:
        byte, data = data[0], data[1:]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, data


def read_message(data, fields):
    """{name: value} of a message; a field that is not in its table is an error."""
    message = {}
    while data:
        tag, data = take_varint(data)
        name, kind = fields[tag >> 3]
        value, data = take_varint(data)
        if kind in (int, bool):
            assert tag & 7 == 0, name
            value = bool(value) if kind is bool else value
        else:
            assert tag & 7 == 2, name
            raw, data = data[:value], data[value:]
            value = raw.decode() if kind is str else read_message(raw, kind)
        if name in REPEATED:
            message.setdefault(name, []).append(value)
        else:
            assert name not in message, f"{name} stands twice"
            message[name] = value
    return message


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def response(values, fields=None):
    """The bytes of a message: {"type": 1, "success": True, "notify": {"script": "…"}}."""
    out = b""
    for name, value in values.items():
        number = (fields or RESPONSE)[name]
        if isinstance(number, tuple):
            raw = response(value, number[1])
            out += varint(number[0] << 3 | 2) + varint(len(raw)) + raw
        elif isinstance(value, str):
            raw = value.encode()
            out += varint(number << 3 | 2) + varint(len(raw)) + raw
        else:
            out += varint(number << 3) + varint(int(value))
    return out


def send(sock, message):
    message = dict(message)
    path = message.pop("fd", None)
    control = []
    if path:
        fds = array.array("i", [os.open(path, os.O_RDWR)])
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
    data = bytes.fromhex(message["raw"]) if "raw" in message else response(message)
    sock.sendmsg([data], control)


def start_sibling(words):
    """A process that is our parent's child, as CRIU makes it when rst_sibling is asked for."""
    import ctypes  # not for all that start nothing

    number = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    pid = ctypes.CDLL(None).syscall(number, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os.execvp(words[0], words)
    assert pid > 0
    return pid


def has_own_mounts(pid):
    return os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")


def main():
    assert sys.argv[1] == "swrk", sys.argv
    path = os.environ["CRIU_SCRIPT"]
    with open(path, encoding="utf-8") as file:
        script = json.load(file)
    sock = socket.socket(fileno=int(sys.argv[2]))
    assert sock.type == socket.SOCK_SEQPACKET
    sock.set_inheritable(False)

    def receive():
        request = read_message(sock.recv(1 << 20), REQUEST)
        # what cannot be seen from outside afterwards
        opts = request.get("opts", {})
        seen = {"stdio": [os.readlink(f"/proc/self/fd/{n}") for n in range(3)],
                "fds": sorted(int(n) for n in os.listdir("/proc/self/fd")),
                "mounts": os.readlink("/proc/self/ns/mnt"),
                "cgroup": Path("/proc/self/cgroup").read_text(encoding="utf-8"),
                "inherited": {item["fd"]: os.readlink(f"/proc/self/fd/{item['fd']}")
                              for item in opts.get("inherit_fd", [])}}
        # as CRIU: they are the descriptors of whoever made the socket
        peer = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        for name in ("images_dir_fd", "work_dir_fd"):
            if name in opts:
                info = Path(f"/proc/{peer}/fdinfo/{opts[name]}").read_text(encoding="utf-8")
                mount = re.search(r"mnt_id:\s*(\d+)", info)[1]
                seen[name] = mount in [line.split()[0] for line in mounts]
                opts[name] = os.readlink(f"/proc/{peer}/fd/{opts[name]}")
        if "root" in opts:
            seen["root"] = sorted(os.path.relpath(os.path.join(folder, name), opts["root"])
                                  for folder, names, files in os.walk(opts["root"]) for name in names + files)
            seen["root_is_a_mount"] = opts["root"] in [line.split()[4] for line in mounts]
        with open(path + ".requests", "a", encoding="utf-8") as file:
            file.write(json.dumps({**request, "seen": seen}) + "\n")
        return request

    kind = receive()["type"]
    if kind == VERSION:
        if script.get("version"):
            version = dict(zip(("major", "minor", "sublevel"), script["version"]))
            send(sock, {"type": kind, "success": True, "version": version})
        else:
            send(sock, {"type": kind, "success": False})
        return 0
    if kind == FEATURE_CHECK:
        send(sock, {"type": kind, "success": True, "features": {"mem_track": script.get("mem_track", True)}})
        return 0
    for answer in script["answers"]:
        if "exit" in answer:
            return answer["exit"]
        if "log" in answer:
            with open(answer["log"], "w", encoding="utf-8") as file:
                file.write(answer["text"])
            continue
        if "start" in answer:
            script["pid"] = start_sibling(answer["start"])
            while answer["start"][0] == "unshare" and not has_own_mounts(script["pid"]):
                os.sched_yield()
            continue
        for part in answer.values():
            if isinstance(part, dict) and part.get("pid") == "started":
                part["pid"] = script["pid"]
        send(sock, answer)
        if answer.get("type") == NOTIFY and not receive().get("notify_success"):
            if "pid" in script:
                os.kill(script["pid"], 9)
            return 1
    return script.get("status", 0)


if __name__ == "__main__":
    sys.exit(main())
