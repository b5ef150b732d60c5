/* What several subcommands do with a container. */
#include "runtime/oci/commands.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/num.h"
#include "lib/base/sock.h"
#include "lib/base/sys.h"
#include "lib/base/time.h"
#include "runtime/oci/cgroup.h"
#include "runtime/oci/container.h"
#include "runtime/oci/creds.h"
#include "runtime/oci/hooks.h"
#include "runtime/oci/limits.h"
#include "runtime/oci/names.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>

int args_count(char **args, int min, int max, const char *usage, struct err *e)
{
	int n = 0;

	if (options_help.wanted) {
		options_help.usage = usage;
		return err_set(e, ECANCELED, "help");
	}
	while (args[n])
		n++;
	if (n < min || (max >= 0 && n > max))
		return err_set(e, EINVAL, "usage: sampan-oci %s", usage);
	return 0;
}

int handle_open(struct handle *h, const struct globals *g, const char *id, struct err *e)
{
	*h = (struct handle){.rootfd = -1, .dirfd = -1};
	h->rootfd = open(g->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (h->rootfd < 0 && errno == ENOENT) {
		int r = state_check_id(id, e);

		return r < 0 ? r : err_set(e, ENOENT, "container %s does not exist", id);
	}
	if (h->rootfd < 0)
		return err_set(e, errno, "--root: open %s: %s", g->root, strerror(errno));
	h->dirfd = state_open_dir(h->rootfd, id, e);
	if (h->dirfd < 0)
		return h->dirfd;
	if (state_load(&h->state, h->dirfd, e) < 0)
		return err_wrap(e, "state of container %s", id);
	return 0;
}

void handle_close(struct handle *h)
{
	state_free(&h->state);
	fd_close(&h->dirfd);
	fd_close(&h->rootfd);
}

int handle_lock(struct handle *h, const char *id, struct err *e)
{
	int r = h->locked ? 0 : state_lock(h->rootfd, h->dirfd, id, OCI_KILL_WAIT_MS, e);

	if (h->locked || r < 0)
		return r;
	h->locked = true;
	state_free(&h->state);
	return state_load(&h->state, h->dirfd, e) < 0 ? err_wrap(e, "state of container %s", id)
						      : 0;
}

void handle_unlock(struct handle *h)
{
	(void)flock(h->dirfd, LOCK_UN);
	h->locked = false;
}

int handle_cgroup(const struct handle *h)
{
	AUTO_CLOSE int root = -1;
	int fd;

	if (!h->state.cgroup || !h->state.cgroup[0])
		return -ENOENT;
	root = cgroup_open_root();
	if (root < 0)
		return root;
	fd = openat(root, h->state.cgroup + 1, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int run_stored_hooks(
	const struct handle *h, enum hook_kind kind, enum container_status status, struct err *e)
{
	/* Gone with its owner, perhaps: the hooks run all the same. */
	AUTO_CLOSE int bundle = open(h->state.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct config config;
	size_t len = 0;
	char *text = NULL;
	int r = config_load(&config, h->dirfd, "config.json", NULL, NULL, e);

	if (r == 0) {
		text = state_print(&h->state, status, false, &len);
		r = text ? 0 : err_set(e, ENOMEM, "hooks: out of memory");
	}
	if (r == 0 && kind == HOOK_POSTSTOP)
		hooks_run_all(&config.hooks[kind], kind, bundle, text, len, oci_warn);
	else if (r == 0)
		r = hooks_run(&config.hooks[kind], kind, bundle, text, len, e);
	free(text);
	config_free(&config);
	return r;
}

int handle_status(const struct handle *h, struct err *e)
{
	int r = state_status(&h->state, h->dirfd);

	return r < 0 ? err_set(e, -r, "status of container %s: %s", h->state.id, strerror(-r)) : r;
}

void warn_capabilities(const struct config *c, const struct config_process *p)
{
	/* In a user namespace of its own the container has them all. */
	const uint64_t have = c->ns[NS_USER].given ? UINT64_MAX : creds_own();
	const struct config_caps fit = creds_fit(&p->caps, have);
	const struct {
		const char *name;
		uint64_t lost;
	} sets[] = {
		{"bounding", p->caps.bounding & ~fit.bounding},
		{"permitted", p->caps.permitted & ~fit.permitted},
		{"effective", p->caps.effective & ~fit.effective},
		{"inheritable", p->caps.inheritable & ~fit.inheritable},
		{"ambient", p->caps.ambient & ~fit.ambient},
	};
	uint64_t told = 0;

	for (size_t i = 0; i < p->caps.n_unknown; i++)
		oci_warn("process.capabilities: \"%s\" is unknown, left out", p->caps.unknown[i]);
	/* One line each, for the first set that lacks it: the later ones follow from that. */
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		for (int cap = 0; cap < CAP_NAMES_N; cap++) {
			if (sets[i].lost & ~told & 1ULL << cap)
				oci_warn("process.capabilities.%s: %s cannot be granted, left out",
					sets[i].name, name_of_cap(cap));
		}
		told |= sets[i].lost;
	}
}

/* Kill the process and wait for its end. */
static int kill_process(const struct state *s)
{
	AUTO_CLOSE int process = state_open_process(s);
	struct pollfd p = {.fd = process, .events = POLLIN};
	int r;

	if (process < 0)
		return process == -ESRCH ? 0 : process;
	if (sys_pidfd_send_signal(process, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return -errno;
	do {
		r = poll(&p, 1, OCI_KILL_WAIT_MS);
	} while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : r < 0 ? -errno : -ETIMEDOUT;
}

static int remove_cgroup(const struct handle *h)
{
	uint64_t end = time_now_ms() + OCI_KILL_WAIT_MS;
	AUTO_CLOSE int root = -1;
	AUTO_CLOSE int fd = -1;
	int r;

	if (!h->state.cgroup || !h->state.cgroup[0])
		return 0;
	root = cgroup_open_root();
	/* A machine without it has nothing to remove. */
	if (root < 0)
		return root == -ENOENT ? 0 : root;
	/* An exec that has found the container alive may still put its process inside. */
	while ((r = cgroup_remove(root, h->state.cgroup)) == -EBUSY && time_now_ms() < end) {
		if (fd < 0)
			fd = handle_cgroup(h);
		r = fd < 0 ? fd : cgroup_kill_all(fd, OCI_KILL_WAIT_MS);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return r;
}

int container_destroy(struct handle *h, const char *id, struct err *e)
{
	struct err hook = {0};
	int r = handle_lock(h, id, e);

	if (r < 0)
		return r;
	r = kill_process(&h->state);
	if (r < 0)
		return err_set(e, -r, "kill container %s: %s", h->state.id, strerror(-r));
	r = remove_cgroup(h);
	if (r < 0)
		return err_set(e, -r, "remove cgroup %s: %s", h->state.cgroup, strerror(-r));
	/* The container is gone whatever they say; the spec has failures logged. */
	if (h->state.has_poststop && run_stored_hooks(h, HOOK_POSTSTOP, STATUS_STOPPED, &hook) < 0)
		oci_warn("%s", hook.msg);
	r = state_remove(h->rootfd, h->state.id);
	return r < 0 ? err_set(e, -r, "remove the state of %s: %s", h->state.id, strerror(-r)) : 0;
}

int write_pid_file(const char *path, pid_t pid, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char text[16];
	char *part;
	int r;

	if (asprintf(&part, "%s.part", path) < 0)
		return err_set(e, ENOMEM, "--pid-file: out of memory");
	snprintf(text, sizeof(text), "%d", pid);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : io_write_all(fd, text, strlen(text));
	if (r == 0 && rename(part, path) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		(void)unlink(part);
	free(part);
	return r < 0 ? err_set(e, -r, "--pid-file: write %s: %s", path, strerror(-r)) : 0;
}

int connect_unix(const char *field, const char *path, struct err *e)
{
	int fd = sock_connect_unix(path, SOCK_STREAM);

	return fd < 0 ? err_set(e, -fd, "%s: connect to %s: %s", field, path, strerror(-fd)) : fd;
}

int send_pidfd(const char *path, int pidfd, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	int r;

	if (!path)
		return 0;
	fd = connect_unix("--pidfd-socket", path, e);
	if (fd < 0)
		return fd;
	r = console_send(fd, pidfd);
	return r < 0 ? err_set(e, -r, "--pidfd-socket: send to %s: %s", path, strerror(-r)) : 0;
}

int count_preserved(uint32_t preserve, unsigned *ret_preserve, unsigned *ret_listen, struct err *e)
{
	const char *listen = getenv("LISTEN_FDS");
	uint64_t n = 0;

	/* Descriptor numbers end far below; the cap keeps the sum in range. */
	if (listen && num_parse_u64(listen, strlen(listen), 1 << 16, &n) < 0)
		return err_set(e, EINVAL, "LISTEN_FDS: expected a number, got \"%s\"", listen);
	if (preserve > 1 << 16)
		return err_set(e, ERANGE, "--preserve-fds: expected at most %d", 1 << 16);
	*ret_listen = (unsigned)n;
	*ret_preserve = (unsigned)n + preserve;
	for (unsigned fd = 3; fd < 3 + *ret_preserve; fd++) {
		if (fcntl((int)fd, F_GETFD) < 0)
			return err_set(e, EBADF, "--preserve-fds: descriptor %u is not open", fd);
	}
	return 0;
}
