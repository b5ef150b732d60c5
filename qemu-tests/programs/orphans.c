/*
 * Makes PID 1 the parent of many short-lived processes at once.
 * Usage: orphans COUNT
 * Each of COUNT children forks one process and ends without waiting for it, so that it is PID 1 who
 * gets to reap it, dead already or not. Prints "orphans: COUNT made" when all are made; a fork that
 * fails is tried again until it succeeds, because "as fast as possible" is the point.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t fork_surely(void)
{
	pid_t pid;

	do
		pid = fork();
	while (pid < 0 && errno == EAGAIN);
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	return pid;
}

int main(int argc, char **argv)
{
	int count = argc == 2 ? atoi(argv[1]) : 0;
	int i, status;

	for (i = 0; i < count; i++) {
		pid_t child = fork_surely();

		if (child == 0) {
			if (fork_surely() == 0)
				_exit(7);
			_exit(0);
		}
		if (waitpid(child, &status, 0) != child || status != 0)
			return 1;
	}
	printf("orphans: %d made\n", count);
	return 0;
}
