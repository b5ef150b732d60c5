"""A name that init supervises is init's, every other one the engine's, and one that is both is refused."""

import pytest

from console import Console


@pytest.fixture
def console(engine):
    return Console(engine)


def test_a_service_is_asked_of_init_and_a_container_of_the_engine(engine, console):
    engine.run_to_end("echo", "of the engine", name="mine")
    assert "sampand: ready on" in console.sampan("logs", "sampand").stdout
    assert console.sampan("logs", "mine").stdout == "of the engine\n"


def test_docker_asks_the_engine_alone(console):
    assert console.docker("logs", "sampand").stderr == "Error response from daemon: No such container: sampand\n"
    assert console.docker("service", "logs", "sampand").returncode == 1
    assert console.docker("status").stderr.startswith("docker: unknown command: docker status")


def test_a_name_that_is_both_is_refused_with_the_ways_to_say_it(engine, console):
    engine.run_to_end("echo", "of the engine", name="sampand")
    for verb in "logs", "stop", "start", "restart":
        done = console.sampan(verb, "sampand")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (f'sampand is a service and a container: say "sampan service {verb} sampand" '
                               f'or "docker {verb} sampand"\n')
    assert console.docker("logs", "sampand").stdout == "of the engine\n"
    assert "sampand: ready on" in console.sampan("service", "logs", "sampand").stdout


def test_services_and_containers_in_one_command(engine, console):
    engine.start("sh", "-c", "while :; do sleep 1; done", name="mine")
    done = console.sampan("stop", "mine", "nobody")
    assert (done.returncode, done.stdout) == (1, "mine\n")
    assert done.stderr == "Error response from daemon: No such container: nobody\n"
