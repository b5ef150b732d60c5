"""Programs beside a container's own, through the API and the docker CLI."""

import base64
import json
import os
import pty
import select
import signal
import socket
import threading
import time

import pytest

import harness
from harness import SLEEP, docker, frames, needs_docker, refused

ATTACH = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}

def create(engine, container, *command, **config):
    return engine.post(f"/containers/{container}/exec", {"Cmd": list(command), **ATTACH, **config})["Id"]


def start(engine, exec_id, version="", **options):
    """A hijacked connection, past the answer's head."""
    body = json.dumps(options).encode()
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(harness.TIMEOUT)
    sock.connect(str(engine.socket))
    sock.sendall(
        f"POST {version}/exec/{exec_id}/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    assert head.startswith(b"HTTP/1.1 101 UPGRADED"), head
    return sock


def read_to_end(sock):
    data = b""
    while part := sock.recv(65536):
        data += part
    return data


def send_all(sock, stdin):
    sock.sendall(stdin)
    sock.shutdown(socket.SHUT_WR)


def run(engine, container, *command, stdin=b"", **config):
    """Returns (exit code, frames)."""
    exec_id = create(engine, container, *command, **config)
    sock = start(engine, exec_id, Tty=config.get("Tty", False))
    # beside the reading, as clients do: the program may want to be heard first
    sender = threading.Thread(target=send_all, args=(sock, stdin))
    sender.start()
    data = read_to_end(sock)
    sender.join()
    return inspect(engine, exec_id)["ExitCode"], data if config.get("Tty") else frames(data)


def inspect(engine, exec_id):
    return engine.get(f"/exec/{exec_id}/json")


def wait_exec(engine, exec_id, fits):
    deadline = time.monotonic() + harness.TIMEOUT
    while not fits(found := inspect(engine, exec_id)):
        assert time.monotonic() < deadline, found
        select.select([], [], [], 0.02)
    return found


def wait_done(engine, exec_id):
    return wait_exec(engine, exec_id, lambda found: found["ExitCode"] is not None)


def test_output_input_and_exit_code(engine):
    container = engine.start(*SLEEP)
    code, out = run(engine, container, "sh", "-c", "cat; echo err >&2; exit 7", stdin=b"said\n")
    assert (code, sorted(out)) == (7, [(1, b"said\n"), (2, b"err\n")])


def test_no_exit_code_is_lost_however_soon_it_comes(engine):
    container = engine.start(*SLEEP)
    for i in range(30):
        assert run(engine, container, "sh", "-c", f"echo {i}; exit {i}") == (i, [(1, b"%d\n" % i)])


def test_much_output_arrives_whole_before_the_end(engine):
    container = engine.start(*SLEEP)
    code, ((stream, out),) = run(engine, container, "sh", "-c", "seq 1 300000; cat; exit 3", stdin=b"x" * 300000)
    lines = b"".join(b"%d\n" % i for i in range(1, 300001))
    assert (code, stream) == (3, 1) and out == lines + b"x" * 300000


def test_user_env_directory_and_privileges(engine):
    container = engine.start(*SLEEP, Env=["A=1", "B=2", "GONE=x"], User="1000", WorkingDir="/tmp")
    script = 'id -u; pwd; echo $A $B $C $GONE $HOME; grep CapEff /proc/self/status 2>/dev/null || while read k v; do [ "$k" = CapEff: ] && echo "$v"; done </proc/self/status'
    assert run(engine, container, "sh", "-c", "id -u; pwd; echo $A $B $HOME") == (
        0, [(1, b"1000\n/tmp\n1 2 /home/user\n")])
    code, ((_, out),) = run(
        engine, container, "sh", "-c", script, User="root", WorkingDir="/etc", Privileged=True,
        Env=["B=3", "C=4", "GONE"])
    lines = out.split(b"\n")
    assert lines[:3] == [b"0", b"/etc", b"1 3 4 /root"], out
    assert int(lines[3].split()[-1], 16).bit_count() > 30


def test_inspect_has_all_of_it(engine):
    container = engine.start(*SLEEP)
    exec_id = create(engine, container, "cat", "-u", User="user", DetachKeys="ctrl-p,ctrl-q")
    assert inspect(engine, exec_id) == {
        "ID": exec_id, "Running": False, "ExitCode": None,
        "ProcessConfig": {"tty": False, "entrypoint": "cat", "arguments": ["-u"], "privileged": False,
                          "user": "user"},
        "OpenStdin": True, "OpenStderr": True, "OpenStdout": True, "CanRemove": False,
        "ContainerID": container, "DetachKeys": base64.b64encode(b"\x10\x11").decode(), "Pid": 0,
    }
    sock = start(engine, exec_id)
    sock.sendall(b"x")
    assert sock.recv(9) == b"\1\0\0\0\0\0\0\1x"
    found = inspect(engine, exec_id)
    assert found["Running"] and found["ExitCode"] is None and found["Pid"] > 1
    assert engine.get(f"/containers/{container}/json")["ExecIDs"] == [exec_id]
    sock.shutdown(socket.SHUT_WR)
    assert read_to_end(sock) == b""
    found = inspect(engine, exec_id)
    assert not found["Running"] and found["ExitCode"] == 0
    assert engine.get(f"/containers/{container}/json")["ExecIDs"] is None


def test_a_terminal_has_its_size_and_changes_it(engine):
    container = engine.start(*SLEEP)
    script = "stty size; read x; stty size"
    exec_id = create(engine, container, "/bin/busybox", "sh", "-c", script.replace("stty", "/bin/busybox stty"),
                     Tty=True, ConsoleSize=[11, 22])
    sock = start(engine, exec_id, Tty=True, ConsoleSize=[33, 44])
    data = b""
    while b"\n" not in data:
        data += sock.recv(100)
    assert data == b"33 44\r\n"
    engine.post(f"/exec/{exec_id}/resize?h=55&w=66")
    sock.sendall(b"\n")
    assert read_to_end(sock).endswith(b"55 66\r\n")
    assert inspect(engine, exec_id)["ExitCode"] == 0


def test_detached_it_runs_by_itself(engine):
    container = engine.start(*SLEEP)
    exec_id = create(engine, container, "sh", "-c", "echo x >/tmp/made; exit 4")
    engine.post(f"/exec/{exec_id}/start", {"Detach": True})
    assert wait_done(engine, exec_id)["ExitCode"] == 4
    assert run(engine, container, "cat", "/tmp/made") == (0, [(1, b"x\n")])


@pytest.mark.parametrize("command, code, word", [
    (["nosuch"], 127, "executable file not found in $PATH"),
    (["/etc/passwd"], 126, "permission denied"),
])
def test_what_cannot_be_run_is_told_in_the_stream(engine, command, code, word):
    container = engine.start(*SLEEP)
    got, ((stream, out),) = run(engine, container, *command)
    assert (got, stream) == (code, 1)
    assert out.startswith(b"OCI runtime exec failed: exec failed: ") and word.encode() in out.lower().replace(
        b"$path", b"$PATH")
    exec_id = create(engine, container, *command)
    status, message = refused(engine, "POST", f"/exec/{exec_id}/start", {"Detach": True})
    assert status == 400 and "OCI runtime exec failed" in message


def test_refusals_in_dockers_words(engine):
    container = engine.create(*SLEEP, name="named")
    path = f"/containers/{container}/exec"
    assert refused(engine, "POST", path, {"Cmd": ["true"]}) == (409, f"container {container} is not running")
    assert refused(engine, "POST", path, {}) == (400, "No exec command specified")
    assert refused(engine, "POST", "/containers/nosuch/exec", {"Cmd": ["true"]}) == (
        404, "No such container: nosuch")
    engine.post(f"/containers/{container}/start")
    waiting = create(engine, container, "true")
    assert refused(engine, "POST", path, {"Cmd": ["x"], "DetachKeys": "ctrl-"}) == (
        400, "Invalid escape keys (ctrl-) provided")
    assert refused(engine, "POST", f"/exec/{waiting}/resize?h=1&w=1") == (400, "exec process is not started")
    engine.post(f"/containers/{container}/pause")
    assert refused(engine, "POST", "/containers/named/exec", {"Cmd": ["true"]}) == (
        409, "Container named is paused, unpause the container before exec")
    assert refused(engine, "POST", f"/exec/{waiting}/start", {"Detach": True})[0] == 409
    engine.post(f"/containers/{container}/unpause")
    engine.post(f"/exec/{waiting}/start", {"Detach": True})
    wait_done(engine, waiting)
    assert refused(engine, "POST", f"/exec/{waiting}/start", {"Detach": True}) == (
        409, f"Error: Exec command {waiting} has already run")
    assert refused(engine, "GET", "/exec/nosuch/json") == (404, "No such exec instance: nosuch")


def test_records_go_with_the_container(engine):
    container = engine.start(*SLEEP)
    waiting, running = create(engine, container, "true"), create(engine, container, "sleep", "1000")
    sock = start(engine, running)
    wait_exec(engine, running, lambda found: found["Running"])
    engine.post(f"/containers/{container}/stop?t=0")
    # what ran was killed with it, and the client hears so
    assert read_to_end(sock) == b""
    assert inspect(engine, running)["ExitCode"] == 137
    assert refused(engine, "GET", f"/exec/{waiting}/json")[0] == 404
    engine.request("DELETE", f"/containers/{container}")
    assert refused(engine, "GET", f"/exec/{running}/json")[0] == 404
    assert list((engine.run / "sampan/exec").iterdir()) == []


def test_events_have_dockers_form(engine):
    since = int(time.time())
    container = engine.start(*SLEEP)
    exec_id = create(engine, container, "sh", "-c", "exit 3")
    read_to_end(start(engine, exec_id))
    filters = json.dumps({"event": ["exec_create", "exec_start", "exec_die"], "container": [container]})
    _, body, _ = engine.request(
        "GET", f"/events?since={since}&until={int(time.time()) + 1}&filters={filters}".replace(" ", ""))
    events = [json.loads(line) for line in body.splitlines()]
    assert [event["Action"] for event in events] == [
        "exec_create: sh -c exit 3", "exec_start: sh -c exit 3", "exec_die"]
    assert {event["Actor"]["Attributes"]["execID"] for event in events} == {exec_id}
    assert events[2]["Actor"]["Attributes"]["exitCode"] == "3"


def test_a_client_that_goes_away_ends_its_input_only(engine):
    container = engine.start(*SLEEP)
    exec_id = create(engine, container, "sh", "-c", "cat >/dev/null; exit 5")
    start(engine, exec_id).close()
    assert wait_done(engine, exec_id)["ExitCode"] == 5


def threads(engine):
    return len(os.listdir(f"/proc/{engine.pid()}/task"))


def test_what_runs_detached_costs_no_thread(engine):
    container = engine.start(*SLEEP)
    before = threads(engine)
    running = [create(engine, container, "sleep", "1000") for _ in range(8)]
    for exec_id in running:
        engine.post(f"/exec/{exec_id}/start", {"Detach": True})
    assert threads(engine) <= before + 2


# The engine dies


def test_an_exec_outlives_the_engine_with_its_exit_code(own_engine):
    engine = own_engine
    container = engine.start(*SLEEP)
    # it fills its pipe more than once: the next engine reads on
    script = "while [ ! -e /tmp/go ]; do sleep 0.1; done; seq 1 100000; exit 6"
    exec_id = create(engine, container, "sh", "-c", script)
    sock = start(engine, exec_id)
    wait_exec(engine, exec_id, lambda found: found["Running"])
    engine.kill()
    engine.wait_ready()
    sock.close()
    assert inspect(engine, exec_id)["Running"]
    assert run(engine, container, "touch", "/tmp/go") == (0, [])
    assert wait_done(engine, exec_id)["ExitCode"] == 6


def test_an_end_while_the_engine_is_away_is_not_lost(own_engine):
    engine = own_engine
    container = engine.start(*SLEEP)
    exec_id = create(engine, container, "sleep", "1000")
    engine.post(f"/exec/{exec_id}/start", {"Detach": True})
    pid = inspect(engine, exec_id)["Pid"]
    sampand = engine.pid()
    os.kill(sampand, signal.SIGSTOP)
    os.kill(pid, signal.SIGTERM)
    os.kill(sampand, signal.SIGKILL)
    engine.wait_ready()
    assert wait_done(engine, exec_id)["ExitCode"] == 143


# As a person uses it


@needs_docker
def test_docker_exec_with_input(engine):
    engine.start(*SLEEP, name="c1")
    done = docker(engine, "exec", "-i", "c1", "sh", "-c", "cat; exit 9", input=b"hello\n")
    assert (done.returncode, done.stdout) == (9, b"hello\n"), done.stderr
    done = docker(engine, "exec", "-u", "user", "-w", "/tmp", "-e", "X=1", "c1", "sh", "-c", "id -u; pwd; echo $X")
    assert done.stdout == b"1000\n/tmp\n1\n"
    done = docker(engine, "exec", "c1", "nosuch")
    assert done.returncode == 127 and b"executable file not found" in done.stdout + done.stderr
    assert docker(engine, "exec", "-d", "c1", "touch", "/tmp/d").returncode == 0


@needs_docker
def test_docker_exec_on_a_terminal(engine):
    engine.start(*SLEEP, name="c1")
    pid, master = pty.fork()
    if pid == 0:
        os.execvpe("docker", ["docker", "exec", "-it", "c1", "sh", "-c", "tty; read x; echo got $x; exit 8"],
                   dict(os.environ, DOCKER_HOST=f"unix://{engine.socket}"))
    data = b""
    deadline = time.monotonic() + harness.TIMEOUT
    sent = False
    try:
        while time.monotonic() < deadline and select.select([master], [], [], 30)[0]:
            data += os.read(master, 4096)
            if b"/dev/pts/" in data and not sent:
                os.write(master, b"word\n")
                sent = True
    except OSError:
        pass  # a terminal says EIO at its end
    _, status = os.waitpid(pid, 0)
    os.close(master)
    assert b"got word" in data and os.waitstatus_to_exitcode(status) == 8, data
