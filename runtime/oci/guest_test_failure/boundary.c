/*
 * Does something to a program at one of its system calls: the boundaries between what it has done
 * and what it has not.
 *
 *   boundary ROLE N kill REPORT COMMAND...         end the process with SIGKILL before its call N
 *   boundary ROLE N fail=ERRNO REPORT COMMAND...   let its call N fail with ERRNO, not done
 *   boundary ROLE N hold REPORT COMMAND...         wait before its call N for descriptor 3
 *   boundary - - trace REPORT COMMAND...           only count
 *
 * ROLE 0 is COMMAND; the processes that it makes are 1, 2, … in their order, each until its own
 * execve: what it executes is not looked at. ROLE - is any of them, N - every call. Calls are
 * counted from 1 per process. With `hold` descriptor 4 gets a byte at each, and 3 is to give one.
 *
 * REPORT gets one line per call that was chosen (trace: all): ROLE N NUMBER and the arguments,
 * those that point to text as "text". It stays empty when COMMAND ended without getting there.
 *
 * Afterwards nothing is traced any more. Ends when COMMAND does and as it does, 128 + S for signal
 * S.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* more processes than one command of the runtime makes */
#define PROCESSES_MAX 64
#define TEXT_BYTES_MAX 256
#define ANY (-1)

enum action { TRACE, KILL, FAIL, HOLD };

struct process {
	pid_t pid;
	long calls;
	bool counted; /* what it executes is what is looked at */
	bool failing; /* its call is replaced and has not returned yet */
};

static struct process processes[PROCESSES_MAX];
static int n_processes;

static int role_wanted;
static long call_wanted;
static enum action action;
static int error_wanted;
static FILE *report;
static bool done;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "boundary: %s: %s\n", what, strerror(errno));
	exit(125);
}

static struct process *find(pid_t pid)
{
	for (int i = 0; i < n_processes; i++) {
		if (processes[i].pid == pid)
			return &processes[i];
	}
	if (n_processes == PROCESSES_MAX) {
		errno = E2BIG;
		die("processes");
	}
	processes[n_processes] = (struct process){.pid = pid, .counted = n_processes > 0};
	return &processes[n_processes++];
}

/* The text that @address of the process points to, when it is some. */
static bool read_text(pid_t pid, unsigned long address, char text[TEXT_BYTES_MAX])
{
	size_t len = 0;

	if (address < 4096)
		return false;
	while (len < TEXT_BYTES_MAX - 1) {
		struct iovec to = {text + len, 1};
		struct iovec from = {(void *)(address + len), 1};

		if (process_vm_readv(pid, &to, 1, &from, 1, 0) != 1)
			return false;
		if (text[len] == '\0')
			return len > 0;
		if (text[len] < ' ' || text[len] > '~' || text[len] == '"')
			return false;
		len++;
	}
	text[len] = '\0';
	return true;
}

static void write_report(const struct process *p, const struct __ptrace_syscall_info *info)
{
	char text[TEXT_BYTES_MAX];

	fprintf(report, "%d %ld %llu", (int)(p - processes), p->calls,
		(unsigned long long)info->entry.nr);
	for (int i = 0; i < 6; i++) {
		if (read_text(p->pid, info->entry.args[i], text))
			fprintf(report, " \"%s\"", text);
		else
			fprintf(report, " %llu", (unsigned long long)info->entry.args[i]);
	}
	fputc('\n', report);
	fflush(report);
}

static void set_registers(pid_t pid, int set, void *from, size_t len)
{
	struct iovec v = {from, len};

	if (ptrace(PTRACE_SETREGSET, pid, (void *)(long)set, &v) < 0)
		die("set registers");
}

static void get_registers(pid_t pid, struct user_regs_struct *regs)
{
	struct iovec v = {regs, sizeof(*regs)};

	if (ptrace(PTRACE_GETREGSET, pid, (void *)(long)NT_PRSTATUS, &v) < 0)
		die("get registers");
}

/* No call has the number -1: the kernel does nothing. */
static void skip_call(pid_t pid)
{
#if defined(__x86_64__)
	struct user_regs_struct regs;

	get_registers(pid, &regs);
	regs.orig_rax = (unsigned long long)-1;
	set_registers(pid, NT_PRSTATUS, &regs, sizeof(regs));
#elif defined(__aarch64__)
	int number = -1;

	set_registers(pid, NT_ARM_SYSTEM_CALL, &number, sizeof(number));
#else
#error "how is a system call replaced on this machine?"
#endif
}

static void set_result(pid_t pid, long result)
{
	struct user_regs_struct regs;

	get_registers(pid, &regs);
#if defined(__x86_64__)
	regs.rax = (unsigned long long)result;
#else
	regs.regs[0] = (unsigned long long)result;
#endif
	set_registers(pid, NT_PRSTATUS, &regs, sizeof(regs));
}

static void hold(void)
{
	char byte = 'h';

	if (write(4, &byte, 1) != 1 || read(3, &byte, 1) != 1)
		done = true; /* nobody wants to look any more */
}

static void at_entry(struct process *p, const struct __ptrace_syscall_info *info)
{
	p->calls++;
	if (call_wanted != ANY && call_wanted != p->calls)
		return;
	write_report(p, info);
	if (action == HOLD)
		hold();
	if (action == KILL)
		kill(p->pid, SIGKILL);
	if (action == FAIL) {
		skip_call(p->pid);
		p->failing = true;
		return;
	}
	if (action != TRACE && call_wanted != ANY)
		done = true;
}

/* Does anybody want to know of its calls? Each stop takes longer than most calls. */
static bool is_wanted(const struct process *p)
{
	return p->counted && (role_wanted == ANY || processes + role_wanted == p);
}

static void at_syscall(struct process *p)
{
	struct __ptrace_syscall_info info;

	/* It may have been killed by somebody else meanwhile. */
	if (ptrace(PTRACE_GET_SYSCALL_INFO, p->pid, (void *)sizeof(info), &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY && is_wanted(p) && !done)
		at_entry(p, &info);
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && p->failing) {
		set_result(p->pid, -error_wanted);
		p->failing = false;
		done = true;
	}
}

/* One stop of one process: what it was, and on with it. */
static void at_stop(struct process *p, int status)
{
	int event = status >> 16;
	int signal = WSTOPSIG(status);
	long how;

	if (signal == (SIGTRAP | 0x80)) {
		at_syscall(p);
		signal = 0;
	} else if (event == PTRACE_EVENT_EXEC && p == processes) {
		p->counted = true;
	}
	how = is_wanted(p) ? PTRACE_SYSCALL : PTRACE_CONT;
	if (event == PTRACE_EVENT_STOP && signal != SIGTRAP)
		how = PTRACE_LISTEN;
	if ((event == PTRACE_EVENT_EXEC && p != processes) || (done && !p->failing))
		how = PTRACE_DETACH;
	if (event)
		signal = 0;
	(void)ptrace((int)how, p->pid, NULL, (void *)(long)signal);
}

static pid_t start(char **command)
{
	int go[2];
	pid_t pid;
	char byte = 0;

	if (pipe2(go, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		die("start");
	if (pid == 0) {
		close(go[1]);
		if (action == HOLD) {
			close(3);
			close(4);
		}
		if (read(go[0], &byte, 1) == 1)
			execvp(command[0], command);
		die(command[0]);
	}
	if (ptrace(PTRACE_SEIZE, pid, NULL,
		    (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)) < 0 ||
		write(go[1], &byte, 1) != 1)
		die("trace");
	close(go[0]);
	close(go[1]);
	find(pid);
	return pid;
}

static void parse(char **argv)
{
	static const char *const names[] = {"trace", "kill", "fail=", "hold"};

	role_wanted = argv[1][0] == '-' ? ANY : atoi(argv[1]);
	call_wanted = argv[2][0] == '-' ? ANY : atol(argv[2]);
	while (strncmp(argv[3], names[action], strlen(names[action])) != 0) {
		if (++action > HOLD) {
			errno = EINVAL;
			die(argv[3]);
		}
	}
	if (action == FAIL)
		error_wanted = atoi(argv[3] + strlen(names[FAIL]));
	report = fopen(argv[4], "we");
	if (!report)
		die(argv[4]);
}

int main(int argc, char **argv)
{
	pid_t command;

	if (argc < 6) {
		fputs("usage: boundary ROLE N kill|fail=ERRNO|hold|trace REPORT COMMAND...\n",
			stderr);
		return 125;
	}
	parse(argv);
	command = start(argv + 5);
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			die("wait");
		if (WIFSTOPPED(status))
			at_stop(find(pid), status);
		else if (pid == command)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}
