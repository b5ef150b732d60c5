"""init starts services, keeps them up and stops them, as docs/init.md says."""

import os
import re
import select
import subprocess

import pytest

from subreaper import OK, RESTART, SLEEPER, START, STOP, TIMEOUT, read_log, release, shell


def test_services_start_and_their_output_is_in_the_log(start):
    init = start({"one": shell("echo out; echo err >&2; exec sleep 1000", "restart=always")})
    init.wait_for("^init: ready")
    assert init.state("one") == "up"
    read_log(init, "one", 2)
    assert init.sampan("logs", "one").stdout == "out\nerr\n"


def test_a_service_starts_after_what_it_names_is_ready(start, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    init = start({
        "late": shell("echo started; exec sleep 1000", "after=early", "console=yes"),
        "early": shell(f"echo began; cat {gate} >&$NOTIFY_FD; exec sleep 1000", "ready=fd",
                       "console=yes"),
    })
    init.wait_for("^early . began")
    late = init.client().status("late")
    assert (late.state, late.what) == ("waiting", "waits for early")
    assert init.state("early") == "starting"
    release(gate)
    init.wait_for("^late . started")
    init.wait_for("^init: ready")
    assert init.state("early") == "up"


def test_the_readiness_descriptor_is_not_where_udhcpc_would_overwrite_it(start):
    init = start({"one": shell("echo number $NOTIFY_FD; echo >&$NOTIFY_FD; exec sleep 1000",
                               "ready=fd", "console=yes")})
    assert int(init.wait_for(r"^one . number (\d+)")[1]) in range(5, 10)
    init.wait_for("^init: ready")


def test_a_service_that_is_not_ready_in_time_holds_up_nobody(start):
    init = start({
        "slow": shell("exec sleep 1000", "ready=fd", "ready-timeout=50ms"),
        "other": SLEEPER + "after=slow\n",
    })
    init.wait_for("^init: slow: not ready after 50 ms")
    init.wait_for("^other . is up")
    assert init.state("slow") == "starting"


def test_a_service_that_failed_holds_up_nobody(start):
    init = start({
        "broken": shell("exit 3", "type=oneshot"),
        "other": SLEEPER + "after=broken\n",
    })
    init.wait_for("^other . is up")
    init.wait_state("broken", "failed")
    broken = init.client().status("broken")
    assert (broken.state, broken.what, broken.exit_code) == ("failed", "exited with status 3", 3)
    init.wait_for("^init: not ready: broken")


def test_services_that_wait_for_each_other_are_refused_and_the_others_run(start):
    init = start({
        "a": SLEEPER + "after=b\n",
        "b": SLEEPER + "after=c\n",
        "c": SLEEPER + "after=a\n",
        "d": SLEEPER + "after=a\n",
    })
    line = init.wait_for("^init: services in a circle are not started: (.*)")[1]
    assert re.fullmatch("(a after b after c after a|b after c after a after b|"
                        "c after a after b after c)", line)
    init.wait_for("^d . is up")
    assert {init.state(name) for name in "abc"} == {"failed"}


def test_a_service_file_that_is_wrong_is_named_and_the_others_run(start):
    init = start({"wrong": "exec=/bin/true\nrestart=maybe\n", "right": SLEEPER})
    init.wait_for("^init: wrong:2: restart: expected always, on-failure or no$")
    init.wait_for("^right . is up")
    init.wait_for("^init: not ready: a service file is not usable")


def test_a_condition_keeps_a_service_down_unless_the_word_is_there(start):
    services = {"one": SLEEPER + "condition.cmdline=sampan.one=yes\n", "two": SLEEPER + "after=one\n"}
    without = start(services)
    without.wait_for("^init: ready")
    assert (without.state("one"), without.state("two")) == ("down", "up")
    within = start(services, cmdline='quiet sampan.one=yes')
    within.wait_for("^one . is up")


def test_the_wait_before_a_restart_doubles_up_to_its_limit(start):
    init = start({"one": shell("exit 1", "restart=always", "backoff=20ms..80ms")})
    waits = [int(init.wait_for(r"one: exited with status 1; starting it again in (\d+) ms")[1])
             for _ in range(5)]
    assert waits == [20, 40, 80, 80, 80]


def test_a_healthy_run_is_forgiven(start):
    init = start({"one": shell("exec sleep 0.05", "restart=always", "backoff=10ms..10s",
                               "healthy-after=10ms")})
    for _ in range(3):
        assert init.wait_for(r"starting it again in (\d+) ms")[1] == "10"


@pytest.mark.parametrize("policy, script, state", [
    ("always", "exit 0", "up"),
    ("always", "exit 1", "up"),
    ("on-failure", "exit 0", "done"),
    ("on-failure", "exit 1", "up"),
    ("on-failure", "kill -9 $$", "up"),
    ("no", "exit 0", "done"),
    ("no", "exit 1", "failed"),
])
def test_restart_policies(start, tmp_path, policy, script, state):
    again = tmp_path / "again"
    os.mkfifo(tmp_path / "hold")
    init = start({"one": shell(
        f"if [ -e {again} ]; then echo a second time; exec sleep 1000; fi; : >{again}; "
        f"read x <{tmp_path}/hold; {script}", f"restart={policy}", "backoff=10ms..10ms",
        "console=yes")})
    release(tmp_path / "hold")
    if state == "up":
        init.wait_for("^one . a second time")
        assert init.client().status("one").restarts == 1
    else:
        init.wait_state("one", state)
        assert init.client().ask(STOP, "one").kind == OK  # stopping what ended is no error
        assert "a second time" not in init.output()


def test_a_oneshot_is_ready_when_it_ended(start, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    init = start({
        "prepare": shell(f"echo began; read x <{gate}", "type=oneshot", "console=yes"),
        "use": SLEEPER + "after=prepare\n",
    })
    init.wait_for("^prepare . began")
    assert init.state("use") == "waiting"
    release(gate)
    init.wait_for("^use . is up")
    assert init.state("prepare") == "done"


def test_a_program_that_is_not_there_is_told_with_step_and_reason(start):
    init = start({"one": "exec=/nonexistent/program\n"})
    init.wait_for("^init: one: cannot start: exec: No such file or directory")
    done = init.sampan("start", "one")
    assert done.returncode == 1
    assert done.stderr == "sampan: one: cannot start: exec: No such file or directory\n"


def test_arguments_reach_the_program_as_they_were_quoted(start):
    init = start({"one": "exec=/usr/bin/printf '%s.' a 'b  c' \"d\\\"e'\" f\\ g ''\ntype=oneshot\n"})
    init.wait_for("^init: ready")
    assert init.sampan("logs", "one").stdout == "a.b  c.d\"e'.f g.."


def test_a_service_has_no_signal_blocked_and_nothing_open_but_its_own(start):
    init = start({"one": shell("grep -E \"Sig(Blk|Ign)\" /proc/self/status; ls /proc/self/fd; "
                               "exec sleep 1000")})
    init.wait_for("^init: ready")
    words = read_log(init, "one", 6).split()
    assert words[words.index("SigBlk:") + 1] == "0" * 16
    assert words[4:] == ["0", "1", "2", "3"]  # 3 is the directory that ls reads


def test_restart_takes_a_new_process_and_stop_keeps_it_down(start):
    init = start({"one": SLEEPER + "restart=always\n"})
    init.wait_for("^one . is up")
    client = init.client()
    before = client.status("one").pid
    assert client.ask(RESTART, "one").kind == OK
    after = client.status("one")
    assert after.state == "up" and after.pid != before
    assert client.ask(STOP, "one").kind == OK
    down = client.status("one")
    assert (down.state, down.pid) == ("down", 0)
    assert client.ask(START, "one").kind == OK


def test_a_service_that_ignores_its_stop_signal_is_killed(start):
    init = start({"one": shell('trap "" TERM; echo is up; while :; do sleep 1000; done',
                               "stop-timeout=50ms", "console=yes")})
    init.wait_for("^one . is up")
    assert init.client().ask(STOP, "one").kind == OK
    init.wait_for("^init: one: does not stop; killed")


def test_the_stop_signal_can_be_chosen(start):
    init = start({"one": shell('trap "echo got it; exit 0" USR1; echo is up; while :; do read x; sleep 0.01; done',
                               "stop-signal=USR1", "console=yes", "restart=always")})
    init.wait_for("^one . is up")
    assert init.client().ask(STOP, "one").kind == OK
    init.wait_for("^one . got it")


def test_what_a_service_leaves_behind_is_killed_with_it(start, tmp_path):
    init = start({"one": shell("sleep 1000 & echo child $!; exec sleep 1000", "console=yes")})
    child = int(init.wait_for(r"^one . child (\d+)")[1])
    fd = os.pidfd_open(child)
    assert init.client().ask(STOP, "one").kind == OK
    assert select.select([fd], [], [], TIMEOUT)[0]
    os.close(fd)


def test_running_out_of_descriptors_is_tried_again_not_given_up(start):
    init = start({f"s{i}": SLEEPER for i in range(8)}, nofile="32:1024")
    init.wait_for("cannot start: Too many open files; trying again in 100 ms")
    client = init.client()
    up = {f"s{i}" for i in range(8) if client.status(f"s{i}").state == "up"}
    assert up and len(up) < 8
    # what goes away makes room
    subprocess.run(["prlimit", f"--pid={init.process.pid}", "--nofile=1024:1024"], check=True)
    init.wait_for("^init: ready")
