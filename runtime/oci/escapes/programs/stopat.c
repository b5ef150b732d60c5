/*
 * Run a command and hold it still at chosen system calls, so that a race is not a matter of luck:
 *
 *     stopat NAME SYSCALL[:N] ACTION COMMAND…
 *
 * Before every SYSCALL of a process called NAME (/proc/PID/comm; "*": any) among COMMAND and what
 * it starts, or before the N-th alone, ACTION runs in a shell that knows PID (the process). Ends as
 * COMMAND does; what is left of it goes on untraced.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *name;
	uint64_t nr;
} syscalls[] = {
	{"execve", SYS_execve},
	{"mkdirat", SYS_mkdirat},
	{"move_mount", SYS_move_mount},
	{"open_tree", SYS_open_tree},
	{"openat", SYS_openat},
	{"openat2", SYS_openat2},
	{"setsid", SYS_setsid},
};

static uint64_t find_syscall(const char *name)
{
	size_t len = strcspn(name, ":");

	for (size_t i = 0; i < sizeof(syscalls) / sizeof(syscalls[0]); i++) {
		if (strlen(syscalls[i].name) == len && strncmp(syscalls[i].name, name, len) == 0)
			return syscalls[i].nr;
	}
	errx(2, "unknown system call %s", name);
}

static int is_called(pid_t pid, const char *name)
{
	char path[64];
	char comm[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, comm, sizeof(comm) - 1) < 0)
		return 0;
	close(fd);
	comm[strcspn(comm, "\n")] = '\0';
	return strcmp(name, "*") == 0 || strcmp(name, comm) == 0;
}

static void act(const char *action, pid_t pid)
{
	char text[32];
	pid_t shell;

	snprintf(text, sizeof(text), "%d", pid);
	setenv("PID", text, 1);
	shell = fork();
	if (shell == 0) {
		execl("/bin/sh", "sh", "-c", action, (char *)NULL);
		_exit(127);
	}
	waitpid(shell, NULL, 0);
}

/* @turn: the call of that kind to act at; 0: each */
static void on_syscall(
	pid_t pid, const char *name, uint64_t nr, unsigned long turn, const char *action)
{
	static unsigned long count;
	struct __ptrace_syscall_info info = {0};

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0 &&
		info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == nr &&
		is_called(pid, name) && (++count == turn || turn == 0))
		act(action, pid);
}

int main(int argc, char **argv)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	unsigned long turn;
	uint64_t nr;
	pid_t command;
	int status;

	if (argc < 5)
		errx(2, "usage: stopat NAME SYSCALL[:N] ACTION COMMAND…");
	nr = find_syscall(argv[2]);
	turn = strchr(argv[2], ':') ? strtoul(strchr(argv[2], ':') + 1, NULL, 10) : 0;
	command = fork();
	if (command == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execvp(argv[4], argv + 4);
		err(127, "%s", argv[4]);
	}
	if (waitpid(command, &status, 0) != command || !WIFSTOPPED(status) ||
		ptrace(PTRACE_SETOPTIONS, command, NULL, options) < 0 ||
		ptrace(PTRACE_SYSCALL, command, NULL, NULL) < 0)
		err(2, "trace");
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);
		int sig = 0;

		if (pid < 0)
			err(2, "wait");
		if (!WIFSTOPPED(status)) {
			if (pid != command)
				continue;
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			on_syscall(pid, argv[1], nr, turn, argv[3]);
		else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP)
			sig = WSTOPSIG(status);
		ptrace(PTRACE_SYSCALL, pid, NULL, sig);
	}
}
