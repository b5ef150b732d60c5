"""Fixtures: an init below a child subreaper; no root is needed."""

import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from subreaper import Init  # noqa: E402

# One process with several uses, because a shell is too slow for ten thousand of something:
#   storm N        N processes that end at once, each of them an orphan
#   orphans N FD   N orphans that end with status (number % 200) when FD reaches its end; prints pids
HELPER = r"""
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

static char stacks[100][16384];

static int end(void *status)
{
	_exit((int)(intptr_t)status);
}

/* Most of what fork(2) takes is the copy of the memory, which who ends at once has no use for. */
static pid_t storm(int k)
{
	return clone(end, stacks[k % 100] + sizeof(stacks[0]), CLONE_VM | SIGCHLD, (void *)(intptr_t)(k % 200));
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[2]) : 0;
	int orphans = strcmp(argv[1], "orphans") == 0;

	for (int i = 0; i < n; i += 100) {
		pid_t middle = fork();

		if (middle == 0) {
			for (int k = i; k < i + 100 && k < n; k++) {
				char c;
				pid_t pid = orphans ? fork() : storm(k);

				if (pid == 0) {
					read(atoi(argv[3]), &c, 1);
					_exit(k % 200);
				}
				if (pid < 0)
					_exit(1);
				if (orphans)
					dprintf(1, "%d %d\n", k, pid);
			}
			_exit(0);
		}
		int status;
		if (middle < 0 || waitpid(middle, &status, 0) < 0 || status != 0)
			return 1;
	}
	if (orphans)
		dprintf(1, "all are orphans\n");
	return 0;
}
"""


@pytest.fixture(scope="session")
def helper(tmp_path_factory):
    path = tmp_path_factory.mktemp("helper") / "helper"
    source = path.with_suffix(".c")
    source.write_text(HELPER)
    subprocess.run(["gcc", "-O1", "-w", "-o", path, source], check=True)
    return path


@pytest.fixture
def start():
    """start({name: file}, …) runs an init, which is gone after the test."""
    started = []

    def run(services=None, **more):
        started.append(Init(services or {}, **more))
        return started[-1]

    yield run
    for init in started:
        init.close()
