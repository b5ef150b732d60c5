/*
 * init: PID 1 of Sampan, and on any Linux machine, with --subreaper, the same supervisor for tests
 * and for the engine's development.
 */
#include "init/adopt.h"
#include "init/boot.h"
#include "init/cgroup.h"
#include "init/children.h"
#include "init/console.h"
#include "init/crash.h"
#include "init/devices.h"
#include "init/logs.h"
#include "init/loop.h"
#include "init/options.h"
#include "init/server.h"
#include "init/shutdown.h"
#include "init/watchdog.h"
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#ifndef SAMPAN_OCI_PATH
#define SAMPAN_OCI_PATH "/usr/bin/sampan-oci"
#endif

struct options options = {
	.services_dir = "/etc/services",
	.run_dir = "/run",
	.cgroup_root = "/sys/fs/cgroup",
	.oci = SAMPAN_OCI_PATH,
};

static int signal_fd = -1;
static bool reap; /* children may have ended */

static void on_signal(unsigned index)
{
	static const struct {
		int signal;
		enum init_shutdown_how how;
		const char *why;
	} table[] = {
		{SIGINT, INIT_REBOOT, "Ctrl-Alt-Del"},
		{SIGTERM, INIT_REBOOT, "SIGTERM"},
		{SIGUSR1, INIT_HALT, "SIGUSR1"},
		{SIGUSR2, INIT_POWEROFF, "SIGUSR2"},
		{SIGPWR, INIT_POWEROFF, "SIGPWR"},
	};
	struct signalfd_siginfo info;

	(void)index;
	while (read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		/* one SIGCHLD may stand for many children */
		if (info.ssi_signo == SIGCHLD)
			reap = true;
		/* off PID 1 these two come from a terminal or a supervisor, who want it to end */
		if (options.subreaper && (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM)) {
			shutdown_begin(INIT_POWEROFF, "asked by a signal");
			continue;
		}
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
			if (info.ssi_signo == (uint32_t)table[i].signal)
				shutdown_begin(table[i].how, table[i].why);
	}
}

/* Everything but the signals that a bug of ours raises; those have a handler. */
static void block_signals(sigset_t *ret)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};

	(void)sigfillset(ret);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		(void)sigdelset(ret, fatal[i]);
	(void)sigprocmask(SIG_SETMASK, ret, NULL);
}

/* 0 to 2 lead nowhere: children get their own, and nothing of ours may land there. */
static void close_stdio(void)
{
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3 && null >= 0; i++)
		if ((i < 2 || !options.subreaper) && null != i)
			(void)dup2(null, i);
	if (null >= 0 && null < 3) {
		(void)fd_set_cloexec(null, 0);
		(void)TAKE_FD(null);
	}
}

/* PID 1 cannot go on without, and cannot give up either. */
static void must(const char *what, int (*action)(void))
{
	int r;

	while ((r = action()) < 0) {
		log_error("%s: %s", what, strerror(-r));
		if (options.subreaper)
			_exit(1);
		(void)poll(NULL, 0, RETRY_MS);
	}
}

static int open_signals(void)
{
	sigset_t set;

	block_signals(&set);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		return -errno;
	loop_on(LOOP_SIGNAL, on_signal);
	return loop_add(signal_fd, EPOLLIN, LOOP_SIGNAL, 0);
}

static int usage(int fd)
{
	static const char text[] =
		"Usage: init --subreaper [--services DIR] [--run DIR] [--cgroup DIR|none] [--oci "
		"FILE]\n"
		"            [--cmdline WORDS]\n"
		"Supervise the services in DIR as PID 1 of Sampan does, without being PID 1.\n";

	(void)io_write_all(fd, text, sizeof(text) - 1);
	return fd == 2 ? 2 : 0;
}

static int parse_arguments(int argc, char **argv)
{
	const char *cmdline = "";
	const struct {
		const char *name;
		const char **value;
	} table[] = {
		{"--services", &options.services_dir},
		{"--run", &options.run_dir},
		{"--cgroup", &options.cgroup_root},
		{"--oci", &options.oci},
		{"--cmdline", &cmdline},
	};

	options.cgroup_root = NULL;
	for (int i = 1; i < argc; i++) {
		size_t k;

		if (strcmp(argv[i], "--help") == 0)
			return usage(1);
		if (strcmp(argv[i], "--subreaper") == 0) {
			options.subreaper = true;
			continue;
		}
		for (k = 0; k < sizeof(table) / sizeof(table[0]); k++)
			if (strcmp(argv[i], table[k].name) == 0)
				break;
		if (k == sizeof(table) / sizeof(table[0]) || i + 1 == argc)
			return usage(2);
		*table[k].value = argv[++i];
	}
	if (!options.subreaper)
		return usage(2);
	if (options.cgroup_root && strcmp(options.cgroup_root, "none") == 0)
		options.cgroup_root = NULL;
	snprintf(options.cmdline, sizeof(options.cmdline), "%s", cmdline);
	return -1;
}

static void start_as_pid1(void)
{
	ssize_t n;

	boot_prepare();
	n = io_read_file_at(AT_FDCWD, "/proc/cmdline", options.cmdline, sizeof(options.cmdline));
	if (n < 0)
		options.cmdline[0] = '\0';
	/* Ctrl-Alt-Del comes as SIGINT from now on, instead of resetting the machine */
	(void)reboot(RB_DISABLE_CAD);
}

static uint64_t next_deadline(void)
{
	uint64_t (*const deadlines[])(void) = {
		service_deadline, server_deadline, shutdown_deadline, watchdog_deadline};
	uint64_t next = reap ? 0 : UINT64_MAX;

	for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
		uint64_t deadline = deadlines[i]();

		if (deadline < next)
			next = deadline;
	}
	return next;
}

int main(int argc, char **argv)
{
	if (getpid() != 1) {
		int status = parse_arguments(argc, argv);

		if (status >= 0)
			return status;
		(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
		(void)mkdir(options.run_dir, 0755);
	}
	console_open();
	log_open_sink("init", console_log);
	log_info("up");
	crash_handle();
	if (!options.subreaper)
		start_as_pid1();
	close_stdio();
	spawn_save_limits();
	must("event loop", loop_open);
	must("signals", open_signals);
	console_watch();
	logs_init();
	adopt_init();
	must("init.sock", server_open);
	cgroup_make_tree();
	devices_open();
	service_load_all();
	service_start_all();
	for (;;) {
		uint64_t now;

		if (reap)
			reap = children_reap();
		now = time_now_ms();
		service_tick(now);
		server_tick(now);
		watchdog_tick(now);
		shutdown_tick(now);
		service_report();
		loop_turn(next_deadline());
	}
}
