"""The seccomp section in real containers; most of all SCMP_ACT_NOTIFY and its agent."""

import array
import errno
import fcntl
import json
import os
import select
import socket
import struct
import threading

import pytest

from oci_host import NEEDS, SECONDS, hook

pytestmark = NEEDS

# linux/seccomp.h
NOTIF_RECV = 0xC0502100
NOTIF_SEND = 0xC0182101
CONTINUE = 1

MKDIR = ["mkdir", "mkdirat"]


class Agent(threading.Thread):
    """Takes connections and answers every call of their filters with @error, 0 lets it go on."""

    def __init__(self, path, error=errno.ENOSPC):
        super().__init__(daemon=True)
        self.error = error
        self.told = []  # what came over each connection
        self.calls = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                data, listeners = self.receive(connection)
            self.told.append(json.loads(data))
            assert len(listeners) == 1
            threading.Thread(target=self.serve, args=listeners, daemon=True).start()

    def receive(self, connection):
        fds = array.array("i")
        data, control, _, _ = connection.recvmsg(4096, socket.CMSG_LEN(fds.itemsize * 4))
        for _, _, value in control:
            fds.frombytes(value)
        # To the end: the runtime closes its side.
        while more := connection.recv(65536):
            data += more
        return data, fds.tolist()

    def serve(self, listener):
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        while poll.poll()[0][1] & select.POLLIN:
            request = bytearray(80)
            try:
                fcntl.ioctl(listener, NOTIF_RECV, request)
                ident, _, _, nr = struct.unpack_from("QIIi", request)
                self.calls.append(nr)
                answer = struct.pack("QqiI", ident, 0, -self.error, 0 if self.error else CONTINUE)
                fcntl.ioctl(listener, NOTIF_SEND, answer)
            except FileNotFoundError:
                pass  # the process is gone
        os.close(listener)

    def stop(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.join(SECONDS)


@pytest.fixture
def agent(oci):
    a = Agent(oci.path / "agent")
    yield a
    a.stop()


def profile(oci, *rules, default="SCMP_ACT_ALLOW", **more):
    oci.linux["seccomp"] = {"defaultAction": default,
                            "listenerPath": str(oci.path / "agent"),
                            "listenerMetadata": "for the agent",
                            "syscalls": list(rules), **more}


def notify(*names):
    return {"names": list(names), "action": "SCMP_ACT_NOTIFY"}


def check_told(told, status, pid):
    assert told["fds"] == ["seccompFd"] and told["metadata"] == "for the agent"
    assert told["ociVersion"] == told["state"]["ociVersion"]
    assert (told["state"]["id"], told["state"]["status"]) == ("c", status)
    assert pid is None or told["state"]["pid"] == pid


@pytest.mark.parametrize("privileges", [True, False])
def test_run_hands_the_listener_to_the_agent(oci, agent, privileges):
    oci.process["noNewPrivileges"] = privileges
    oci.config["annotations"] = {"a": "b"}
    profile(oci, notify(*MKDIR), flags=["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                                        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])
    oci.write("sh", "-c", "mkdir /x; grep Threads /proc/self/status; ls /proc/self/fd; echo $$")
    r = oci.call("run", "--bundle", oci.bundle, "c")
    assert "No space left on device" in r.stderr
    # The thread that sent it is gone, and so are the descriptors (3 is that of the directory).
    assert r.stdout.split() == ["Threads:", "1", "0", "1", "2", "3", "1"]
    assert len(agent.told) == 1 and len(agent.calls) == 1
    check_told(agent.told[0], "created", agent.told[0]["pid"])
    assert agent.told[0]["state"]["annotations"] == {"a": "b"}
    assert agent.told[0]["state"]["bundle"] == str(oci.bundle)


def test_start_and_exec_hand_it_over(oci, agent):
    profile(oci, notify(*MKDIR))
    oci.create("sh", "-c", "mkdir /x 2>/err; exec sleep 1000")
    pid = oci.state()["pid"]
    # An agent that serves one connection after the other is not held up by one that waits.
    assert agent.told == []
    oci.ok("start", "c")
    check_told(agent.told[0], "created", pid)
    assert agent.told[0]["pid"] == pid
    r = oci.call("exec", "c", "mkdir", "/y")
    assert r.returncode == 1 and "No space left on device" in r.stderr
    check_told(agent.told[1], "running", pid)
    assert agent.told[1]["pid"] not in (pid, 0)
    assert "No space left" in (oci.rootfs / "err").read_text()


def test_every_call_may_be_notified(oci):
    """Also those that the runtime itself makes between the filter and the program."""
    agent = Agent(oci.path / "agent", error=0)
    profile(oci, default="SCMP_ACT_NOTIFY")
    for privileges in (True, False):
        oci.process["noNewPrivileges"] = privileges
        assert oci.run("echo", "up") == "up\n"
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    assert oci.ok("exec", "c", "echo", "in") == "in\n"
    assert len(agent.told) == 4
    # execve is one of the calls.
    assert {"x86_64": 59, "aarch64": 221}[os.uname().machine] in agent.calls
    oci.ok("delete", "--force", "c")
    agent.stop()


def test_calls_that_kill_are_not_made_while_sending(oci, agent):
    kill = {"action": "SCMP_ACT_KILL_PROCESS",
            "names": ["sendmsg", "sendto", "write", "read", "close", "futex", "sched_yield",
                      "wait4", "exit", "recvmsg", "clone", "clone3", "pause", "nanosleep"]}
    profile(oci, notify(*MKDIR), kill)
    oci.run("true")
    assert len(agent.told) == 1


def test_an_agent_that_is_not_there(oci):
    profile(oci, notify(*MKDIR))
    oci.process["args"] = ["true"]
    missing = f"sampan-oci: linux.seccomp.listenerPath: connect to {oci.path}/agent: "
    assert oci.refused() == missing + "No such file or directory"
    oci.create("sh", "-c", "mkdir /x 2>/err")
    r = oci.call("start", "c")
    assert (r.returncode, r.stderr) == (1, missing + "No such file or directory\n")
    # It still waits, and can be started once the agent is up.
    assert oci.state()["status"] == "created"
    agent = Agent(oci.path / "agent")
    oci.ok("start", "c")
    oci.wait_status("stopped")
    assert len(agent.calls) == 1
    agent.stop()


def test_an_agent_that_hangs_up_ends_the_container(oci):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(oci.path / "agent"))
    server.listen()

    def hang_up():
        connection, _ = server.accept()
        connection.close()
        (oci.path / "closed").touch()

    threading.Thread(target=hang_up, daemon=True).start()
    profile(oci, notify(*MKDIR))
    # `run` has connected before its hooks.
    oci.config["hooks"] = {"createRuntime": hook(
        oci, "wait", f"until [ -e {oci.path}/closed ]; do :; done\n", timeout=SECONDS)}
    oci.process["args"] = ["touch", "/ran"]
    assert oci.refused() == ("sampan-oci: linux.seccomp.listenerPath: send the listener: "
                             "Broken pipe")
    assert not (oci.rootfs / "ran").exists()


def test_the_state_may_be_larger_than_a_sockets_buffer(oci, agent):
    oci.config["annotations"] = {"big": "x" * 1000000}
    profile(oci, notify(*MKDIR))
    oci.run("true")
    assert agent.told[0]["state"]["annotations"] == oci.config["annotations"]


def test_without_a_notifying_action_the_path_is_ignored(oci):
    profile(oci, {"names": MKDIR, "action": "SCMP_ACT_ERRNO"})
    assert "not permitted" in oci.sh("mkdir /x 2>&1; true")


def test_a_policy_that_never_yields_is_refused(oci):
    profile(oci, notify(*MKDIR))
    oci.process["scheduler"] = {"policy": "SCHED_FIFO", "priority": 1}
    oci.process["args"] = ["true"]
    assert oci.refused() == ("sampan-oci: process.scheduler.policy: SCHED_FIFO does not go with "
                             "SCMP_ACT_NOTIFY")


@pytest.mark.parametrize("action,status", [
    ("SCMP_ACT_KILL", 159), ("SCMP_ACT_KILL_THREAD", 159), ("SCMP_ACT_KILL_PROCESS", 159),
    ("SCMP_ACT_TRAP", 159), ("SCMP_ACT_ERRNO", 1), ("SCMP_ACT_TRACE", 1), ("SCMP_ACT_LOG", 0),
    ("SCMP_ACT_ALLOW", 0)])
def test_actions(oci, action, status):
    oci.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": MKDIR, "action": action}]}
    oci.write("sh", "-c", "mkdir /x; exit $?")
    r = oci.call("run", "--bundle", oci.bundle, "c")
    assert r.returncode == status, r.stderr


def test_unknown_calls_are_warned_of_once(oci):
    oci.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "no_such_call"], "action": "SCMP_ACT_ERRNO"},
        {"names": ["nor_this", "no_such_call"], "action": "SCMP_ACT_LOG"}]}
    oci.write("true")
    r = oci.call("run", "--bundle", oci.bundle, "c")
    assert r.returncode == 0
    assert r.stderr == ("sampan-oci: warning: linux.seccomp.syscalls: unknown here, skipped: "
                        "no_such_call, nor_this, no_such_call\n")
    # It comes with compiling: the second container has the filter from the cache.
    assert oci.call("run", "--bundle", oci.bundle, "c").stderr == ""
