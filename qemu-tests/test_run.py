"""What a person sees of `make run`: board/run.sh on a terminal, and without one."""

import contextlib
import os
import re
import socket
import subprocess
import urllib.request

import pexpect
import pytest

from archive import compile_program, write_archive
from guest import BOOT_TIMEOUT, TAIL_LINES, TOP

RUN = str(TOP / "board" / "run.sh")
ANSWERS = r"The container answers: +(http://127\.0\.0\.1:\d+/)"


class Terminal:
    """board/run.sh on a terminal of its own."""

    def __init__(self, log, *arguments, **environment):
        self._log = open(log, "w", encoding="utf-8")
        self.path = log
        self.child = pexpect.spawn(
            RUN,
            [str(argument) for argument in arguments],
            env={**os.environ, "ARCH": "x86_64", **environment},
            encoding="utf-8",
            codec_errors="replace",
            timeout=BOOT_TIMEOUT,
            logfile=self._log,
        )

    def see(self, pattern):
        try:
            self.child.expect(pattern)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            tail = "\n".join(self.path.read_text(errors="replace").splitlines()[-TAIL_LINES:])
            why = type(error).__name__
            raise AssertionError(f"{why} before {pattern!r} (all: {self.path}):\n{tail}") from None
        return self.child.match

    def exit_status(self):
        self.see(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus

    def close(self):
        self.child.close(force=True)
        self._log.close()


@pytest.fixture
def terminal(log_directory):
    started = []

    def start(*arguments, **environment):
        log = log_directory / f"terminal-{len(started)}.log"
        started.append(Terminal(log, *arguments, **environment))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def silent(tmp_path):
    """Arguments that boot a machine which prints one line and never answers."""
    program = compile_program("floor", "x86_64", tmp_path)
    return "--initrd", write_archive(tmp_path / "floor.cpio", {"init": (program, 0o755)})


def page(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=20) as response:
        return response.read().decode()


def test_it_prints_the_url_once_the_page_answers_and_poweroff_at_its_prompt_ends_it(terminal):
    run = terminal()
    url = run.see(ANSWERS)[1]
    assert "Sampan" in page(url)
    ssh_config = run.see(r"ssh -F (\S+) sampan")[1]
    done = subprocess.run(
        ["ssh", "-F", TOP / ssh_config, "sampan", "cat /proc/1/comm"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "init", done.stderr
    run.child.send("\rsampan status\r")
    run.see(r"web\s.*(up|running)")
    run.child.send("sampan poweroff\r")
    assert run.exit_status() == 0


def test_ctrl_a_x_ends_it(terminal, silent):
    run = terminal(*silent)
    run.see("floor: up")
    run.child.send("\x01x")
    assert run.exit_status() == 1
    assert "QEMU: Terminated" in run.path.read_text()


def test_a_container_that_never_answers_is_reported_with_the_log(terminal, silent):
    run = terminal(*silent, SAMPAN_ANSWER_TIMEOUT="1")
    report = r"has not answered on http://127\.0\.0\.1:\d+/ within 1 s; see (\S+)"
    shown = run.see(rf"(?s){report}.*floor: up|floor: up.*{report}")
    assert "floor: up" in open(shown[1] or shown[2], encoding="utf-8").read()


def test_a_machine_that_ends_before_it_answers_is_reported_and_fails(terminal, tmp_path):
    no_init = write_archive(tmp_path / "no-init.cpio", {"nothing": ""})
    run = terminal("--initrd", no_init, "--append", "panic=-1", "--", "-no-reboot")
    log = run.see(r"ended before the container answered on \S+; see (\S+)")[1]
    assert run.exit_status() == 1
    assert "Kernel panic" in open(log, encoding="utf-8").read()


def test_a_port_in_use_is_not_chosen(terminal, silent):
    with contextlib.ExitStack() as listeners:
        for port in (8080, 8081):
            listener = listeners.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # a port that somebody else listens on is as good
            with contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", port))
                listener.listen()
        run = terminal(*silent, SAMPAN_ANSWER_TIMEOUT="1")
        url = run.see(r"not answered on http://127\.0\.0\.1:(\d+)/")
    assert int(url[1]) not in (8080, 8081)


def test_without_a_terminal_it_prints_the_url_and_ends_when_told_to(log_directory):
    log = log_directory / "output.log"
    with open(log, "w", encoding="utf-8") as output:
        run = subprocess.Popen(
            [RUN],
            env={**os.environ, "ARCH": "x86_64"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        url = None
        for line in run.stdout:
            output.write(line)
            match = re.search(ANSWERS, line)
            if match:
                url = match[1]
                break
    assert url, f"ended without an answer; see {log}"
    assert "Sampan" in page(url)
    run.terminate()
    run.stdout.read()
    run.wait(timeout=30)
