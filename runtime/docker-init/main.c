/*
 * docker-init: the first process of a container with HostConfig.Init. It runs the program behind
 * "--", hands signals on to it, reaps what others leave behind, and ends as the program did.
 *
 * libc only, nothing allocated: it is mapped once for each such container.
 * Source: docker run, --init; what tini does of it.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *word, const char *what)
{
	(void)!write(2, "docker-init: ", 13);
	(void)!write(2, word, strlen(word));
	(void)!write(2, what, strlen(what));
	(void)!write(2, "\n", 1);
}

/* Signals that are about ourselves, and those of a terminal whose foreground we gave away. */
static const int own[] = {
	SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU};

static _Noreturn void run(char **argv, const sigset_t *mask)
{
	/* A group of its own in the foreground: the terminal's signals reach it without us. */
	(void)setpgid(0, 0);
	(void)tcsetpgrp(0, getpgrp());
	(void)signal(SIGTTIN, SIG_DFL);
	(void)signal(SIGTTOU, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	(void)execvp(argv[0], argv);
	say(argv[0], errno == ENOENT ? ": not found" : ": cannot be executed");
	_exit(errno == ENOENT ? 127 : 126);
}

/* Reap all that have ended. Returns the program's exit status once it has, else -1. */
static int reap(pid_t program)
{
	int status;
	int code = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == program)
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return code;
}

int main(int argc, char **argv)
{
	int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
	sigset_t waited, before;
	pid_t program;

	if (first >= argc) {
		say("", "usage: docker-init -- PROGRAM [ARGUMENT…]");
		return 1;
	}
	sigfillset(&waited);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&waited, own[i]);
	/* Before there is a child: none of its signals is missed. */
	(void)sigprocmask(SIG_SETMASK, &waited, &before);
	(void)signal(SIGTTIN, SIG_IGN);
	(void)signal(SIGTTOU, SIG_IGN);
	program = fork();
	if (program == 0)
		run(argv + first, &before);
	if (program < 0) {
		say("", "no process can be made");
		return 1;
	}
	for (;;) {
		int sig = sigwaitinfo(&waited, NULL);
		int code = sig == SIGCHLD ? reap(program) : -1;

		if (code >= 0)
			return code;
		if (sig > 0 && sig != SIGCHLD)
			(void)kill(program, sig);
	}
}
