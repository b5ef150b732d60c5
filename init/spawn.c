#include "init/spawn.h"

#include "init/limits.h"
#include "init/options.h"
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"

#include <errno.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Not 3 or 4, which BusyBox's udhcpc takes without looking; of one digit, for shells; not 10 and
 * up, which shells use themselves. */
#define NOTIFY_FD 9

static struct rlimit child_nofile;

void spawn_save_limits(void)
{
	if (options.subreaper)
		(void)getrlimit(RLIMIT_NOFILE, &child_nofile);
	else
		child_nofile = (struct rlimit){SERVICE_NOFILE_SOFT, SERVICE_NOFILE_HARD};
}

static int use_console(const char **ret_step)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);

	*ret_step = "open /dev/console";
	if (fd < 0)
		return errno;
	/* 1: take it from a session that has it, which can only be what is left of the last one */
	*ret_step = "take the console as terminal";
	if (ioctl(fd, TIOCSCTTY, 1) < 0)
		return errno;
	for (int i = 0; i < 3; i++)
		if (dup2(fd, i) < 0)
			return errno;
	return 0;
}

static int set_stdio(const struct spawn *s, const char **ret_step)
{
	*ret_step = "setsid";
	if (setsid() < 0)
		return errno;
	if (s->tty) {
		int r = use_console(ret_step);

		if (r)
			return r;
	} else if (s->output >= 0) {
		*ret_step = "dup2";
		if (dup2(s->output, 1) < 0 || dup2(s->output, 2) < 0)
			return errno;
	}
	*ret_step = "dup2";
	if (s->notify >= 0 && dup2(s->notify, NOTIFY_FD) < 0)
		return errno;
	/* Everything of init's is close-on-exec already; this is for what a bug would leave open.
	 */
	(void)sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	if (s->notify >= 0)
		(void)fd_set_cloexec(NOTIFY_FD, 0);
	return 0;
}

static int become(const struct spawn *s, const char **ret_step)
{
	static const char *const path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	const char *env[] = {path, "HOME=/root", "TERM=linux", NULL, NULL};
	char number[16];
	sigset_t none;
	int r;

	if (s->notify >= 0)
		env[3] = "NOTIFY_FD=9";
	r = set_stdio(s, ret_step);
	if (r)
		return r;
	*ret_step = "oom_score_adj";
	snprintf(number, sizeof(number), "%d", s->oom_score_adj);
	/* PID 1's own is -1000, which a child would keep */
	if (!options.subreaper || s->oom_score_adj != 0) {
		r = io_write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", number);
		if (r < 0)
			return -r;
	}
	*ret_step = "setrlimit";
	if (setrlimit(RLIMIT_NOFILE, &child_nofile) < 0)
		return errno;
	*ret_step = "chdir";
	if (chdir("/") < 0)
		return errno;
	(void)umask(022);
	if (s->prepare) {
		r = s->prepare(s->arg, ret_step);
		if (r || !s->argv)
			return r;
	}
	/* last, so that no signal ends the child with its work half done and untold */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	*ret_step = "exec";
	/* environ strings are never written to; execve's prototype predates const */
	(void)execve(s->argv[0], s->argv, (char *const *)(uintptr_t)env);
	return errno;
}

static void child(const struct spawn *s, int setup) __attribute__((noreturn));

static void child(const struct spawn *s, int setup)
{
	const char *step = "";
	struct spawn_failure failure = {0};

	/* out of NOTIFY_FD's way */
	setup = fcntl(setup, F_DUPFD_CLOEXEC, NOTIFY_FD + 1);
	failure.errnum = become(s, &step);
	if (failure.errnum) {
		snprintf(failure.step, sizeof(failure.step), "%s", step);
		/* less than a pipe's buffer: whole or, with init gone, of no use */
		(void)!write(setup, &failure, sizeof(failure));
	}
	_exit(failure.errnum ? 127 : 0);
}

int spawn_process(const struct spawn *s, struct spawned *ret)
{
	int setup[2];
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	if (s->cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)s->cgroup;
	}
	if (pipe2(setup, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	pid = sys_clone3(&args, sizeof(args));
	if (pid == 0)
		child(s, setup[1]);
	if (pid < 0) {
		int saved = errno;

		fd_close(&setup[0]);
		fd_close(&setup[1]);
		return -saved;
	}
	fd_close(&setup[1]);
	*ret = (struct spawned){.pid = pid, .pidfd = pidfd, .setup = setup[0]};
	return 0;
}

int spawn_read_setup(int setup, struct spawn_failure *ret_failure)
{
	struct spawn_failure failure;
	ssize_t n;

	do {
		n = read(setup, &failure, sizeof(failure));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n != (ssize_t)sizeof(failure))
		return 1;
	failure.step[sizeof(failure.step) - 1] = '\0';
	*ret_failure = failure;
	return -(failure.errnum > 0 ? failure.errnum : EIO);
}
