/* Running sampan-oci. */
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/engine/container.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* words of a command line */
#define ARGS_MAX 32

/* descriptors of the caller's own */
#define RUNTIME_MORE_MAX 2

/* the descriptor on which the runtime's errors go, apart from the container's own output */
#define LOG_FD 3

/* The last line that it wrote to its log, a JSON object, as the error. */
static int failed(int log, int status, const char *what, struct err *e)
{
	char text[4096] = "";
	ssize_t n = pread(log, text, sizeof(text) - 1, 0);
	yyjson_doc *doc;
	const char *line, *why;
	int r;

	text[n > 0 ? n : 0] = '\0';
	for (char *end = text + strlen(text); end > text && end[-1] == '\n'; end--)
		end[-1] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	doc = yyjson_read(line, strlen(line), 0);
	why = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "msg"));
	if (why)
		r = err_set(e, EIO, "%s", why);
	else if (WIFSIGNALED(status))
		r = err_set(e, EIO, "sampan-oci %s: killed by signal %d", what, WTERMSIG(status));
	else
		r = err_set(e, EIO, "sampan-oci %s: exit status %d", what, WEXITSTATUS(status));
	yyjson_doc_free(doc);
	return r;
}

/* Above the numbers that the child's are made on. */
static int lift(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 16);
}

static int spawn(const struct engine *en, char **argv, const int *stdio, const int *more,
	size_t n_more, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r;

	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&actions, stdio ? stdio[i] : null, i);
	for (size_t i = 0; i < n_more; i++)
		posix_spawn_file_actions_adddup2(&actions, more[i], LOG_FD + (int)i);
	r = posix_spawn(ret_pid, en->paths.oci, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int runtime_spawn(struct engine *en, const char *const *args, const int *stdio, const int *more,
	size_t n_more, struct runtime_child *ret, struct err *e)
{
	static const char *const fixed[] = {
		"sampan-oci", "--log", "/proc/self/fd/3", "--log-format", "json"};
	AUTO_CLOSE int log = memfd_create("log", MFD_CLOEXEC);
	int fds[1 + RUNTIME_MORE_MAX] = {lift(log)};
	char *argv[ARGS_MAX] = {NULL};
	size_t n = 0;
	int r = fds[0] < 0 ? -errno : 0;

	for (size_t i = 0; i < n_more; i++) {
		fds[1 + i] = lift(more[i]);
		if (fds[1 + i] < 0)
			r = -errno;
	}
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		memcpy(&argv[n++], &fixed[i], sizeof(char *));
	for (size_t i = 0; args[i] && n < ARGS_MAX - 1; i++)
		memcpy(&argv[n++], &args[i], sizeof(char *));
	*ret = (struct runtime_child){.log = -1, .what = args[0]};
	if (r == 0)
		r = spawn(en, argv, stdio, fds, 1 + n_more, &ret->pid);
	for (size_t i = 0; i <= n_more; i++)
		fd_close(&fds[i]);
	if (r < 0)
		return err_set(e, -r, "run %s: %s", en->paths.oci, strerror(-r));
	ret->log = TAKE_FD(log);
	return 0;
}

int runtime_finish(struct runtime_child *child, struct err *e)
{
	int status = 0;
	int r = 0;

	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		r = failed(child->log, status, child->what, e);
	fd_close(&child->log);
	return r;
}

int runtime_run(struct engine *en, const char *const *args, const int *stdio, struct err *e)
{
	struct runtime_child child;
	int r = runtime_spawn(en, args, stdio, NULL, 0, &child, e);

	return r < 0 ? r : runtime_finish(&child, e);
}

int runtime_exit_code(struct err *e)
{
	int code = 128;

	if (strstr(e->msg, "executable file not found") ||
		strstr(e->msg, "no such file or directory"))
		code = 127;
	else if (strstr(e->msg, "permission denied"))
		code = 126;
	/* what the client named cannot be run: that is its mistake */
	if (code != 128)
		e->code = EINVAL;
	return code;
}
