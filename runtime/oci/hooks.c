#include "runtime/oci/hooks.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"
#include "lib/base/time.h"
#include "runtime/oci/container.h"
#include "runtime/oci/names.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

static _Noreturn void run_program(const struct config_hook *h, int cwd,
	const struct hook_confinement *confinement, int input, int failed)
{
	static char *const no_words[] = {NULL};
	char *only_path[] = {NULL, NULL};
	char *const *args;
	char *const *env;
	struct err e = {0};
	int why;

	/* exec takes char *const *; it changes nothing. */
	memcpy(&only_path[0], &h->path, sizeof(char *));
	memcpy(&args, &h->args.v, sizeof(args));
	memcpy(&env, &h->env.v, sizeof(env));
	process_reset_signals();
	/* The container's output is not the hook's place: what it says goes to the errors. */
	if ((cwd >= 0 && fchdir(cwd) < 0) || dup2(input, 0) < 0 || dup2(2, 1) < 0 ||
		sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		e.code = errno;
	if (e.code == 0 && confinement)
		(void)confinement->enter(confinement->arg, &e);
	if (e.code == 0)
		execve(h->path, h->args.n ? args : only_path, h->env.n ? env : no_words);
	why = e.code ? e.code : errno;
	(void)io_write_all(failed, &why, sizeof(why));
	_exit(127);
}

/* Wait until it ends or @timeout_ms (-1: none) is over; then it is killed. */
static int wait_program(pid_t pid, int timeout_ms, int *ret_status)
{
	AUTO_CLOSE int pidfd = sys_pidfd_open(pid, 0);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	uint64_t end = time_now_ms() + (timeout_ms < 0 ? 0 : (uint64_t)timeout_ms);
	bool late = false;
	int r;

	if (pidfd < 0)
		return -errno;
	do {
		uint64_t now = time_now_ms();

		r = poll(&p, 1, timeout_ms < 0 ? -1 : now >= end ? 0 : (int)(end - now));
	} while (r < 0 && errno == EINTR);
	if (r == 0) {
		late = true;
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, ret_status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return late ? -ETIMEDOUT : 0;
}

static int hook_run(const struct config_hook *h, const char *where, int cwd,
	const struct hook_confinement *confinement, const char *state, size_t len, struct err *e)
{
	AUTO_CLOSE int input = memfd_create("state", MFD_CLOEXEC);
	AUTO_CLOSE int failed_read = -1;
	AUTO_CLOSE int failed = -1;
	int timeout_ms = -1;
	int status = 0;
	int why = 0;
	int p[2];
	pid_t pid;
	int r;

	if (h->timeout_s.set)
		timeout_ms =
			h->timeout_s.v > INT32_MAX / 1000 ? INT32_MAX : (int)h->timeout_s.v * 1000;
	if (input < 0 || io_write_all(input, state, len) < 0 || lseek(input, 0, SEEK_SET) < 0 ||
		pipe2(p, O_CLOEXEC) < 0)
		return err_set(e, errno, "%s: %s", where, strerror(errno));
	failed_read = p[0];
	failed = p[1];
	pid = fork();
	if (pid == 0)
		run_program(h, cwd, confinement, input, failed);
	if (pid < 0)
		return err_set(e, errno, "%s: fork: %s", where, strerror(errno));
	fd_close(&failed);
	r = wait_program(pid, timeout_ms, &status);
	if (r == -ETIMEDOUT)
		return err_set(e, ETIMEDOUT, "%s: %s: still running after %lld s, killed", where,
			h->path, (long long)h->timeout_s.v);
	if (r < 0)
		return err_set(e, -r, "%s: wait: %s", where, strerror(-r));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127 &&
		io_read_all(failed_read, &why, sizeof(why)) == (ssize_t)sizeof(why))
		return err_set(e, why, "%s: run %s: %s", where, h->path, strerror(why));
	if (WIFSIGNALED(status))
		return err_set(
			e, EIO, "%s: %s: killed by signal %d", where, h->path, WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return err_set(
			e, EIO, "%s: %s: exited with %d", where, h->path, WEXITSTATUS(status));
	return 0;
}

static int run_one(const struct config_hooks *hooks, size_t i, enum hook_kind kind, int cwd,
	const struct hook_confinement *confinement, const char *state, size_t state_len,
	struct err *e)
{
	char where[64];

	snprintf(where, sizeof(where), "hooks.%s[%zu]", name_of_hook(kind), i);
	return hook_run(&hooks->v[i], where, cwd, confinement, state, state_len, e);
}

int hooks_run(const struct config_hooks *hooks, enum hook_kind kind, int cwd, const char *state,
	size_t state_len, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < hooks->n; i++)
		r = run_one(hooks, i, kind, cwd, NULL, state, state_len, e);
	return r;
}

int hooks_run_confined(const struct config_hooks *hooks, enum hook_kind kind,
	const struct hook_confinement *confinement, const char *state, size_t state_len,
	struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < hooks->n; i++)
		r = run_one(hooks, i, kind, -1, confinement, state, state_len, e);
	return r;
}

void hooks_run_all(const struct config_hooks *hooks, enum hook_kind kind, int cwd,
	const char *state, size_t state_len, void (*warn)(const char *fmt, ...))
{
	for (size_t i = 0; i < hooks->n; i++) {
		struct err e = {0};

		if (run_one(hooks, i, kind, cwd, NULL, state, state_len, &e) < 0)
			warn("%s", e.msg);
	}
}

bool hooks_failed(const struct err *e)
{
	return strncmp(e->msg, "hooks.", strlen("hooks.")) == 0;
}
