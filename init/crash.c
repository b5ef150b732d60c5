#include "init/crash.h"

#include "init/options.h"
#include "lib/base/sys.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <time.h>

#define CRASH_DELAY_S 5

static char stack[16384];

static void tell(int sig, const siginfo_t *info)
{
	char line[120];
	int fd = options.subreaper ? 2 : open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK);
	int n = snprintf(line, sizeof(line), "init: fatal signal %d at %p%s\n", sig, info->si_addr,
		options.subreaper ? "" : "; rebooting in 5 s");

	if (n > 0)
		(void)!write(fd, line, (size_t)n);
}

static void on_fatal(int sig, siginfo_t *info, void *context)
{
	struct timespec delay = {.tv_sec = CRASH_DELAY_S};

	(void)context;
	/* by kill() or tgkill(): nothing is wrong with us */
	if (info->si_code <= 0)
		return;
	tell(sig, info);
	if (options.subreaper)
		_exit(128 + sig);
	/* In a child, because a broken disk may hold it up for ever; not fork(), which runs
	 * handlers and takes locks. */
	if (syscall(SYS_clone, (unsigned long)SIGCHLD, 0, 0, 0, 0) == 0) {
		sync();
		_exit(0);
	}
	while (nanosleep(&delay, &delay) < 0)
		;
	(void)reboot(RB_AUTOBOOT);
	/* it cannot be refused to root; the kernel panics when this returns to the fault */
	_exit(128 + sig);
}

void crash_handle(void)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};
	const stack_t alternative = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};

	/* the overflow of the normal one would be one of the reasons to be here */
	(void)sigaltstack(&alternative, NULL);
	action.sa_sigaction = on_fatal;
	(void)sigfillset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		(void)sigaction(fatal[i], &action, NULL);
}
