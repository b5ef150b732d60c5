/* start, state, kill, delete, pause, resume, list, ps. */
#include "runtime/oci/commands.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"
#include "runtime/oci/cgroup.h"
#include "runtime/oci/container.h"
#include "runtime/oci/hooks.h"
#include "runtime/oci/members.h"
#include "runtime/oci/names.h"
#include "runtime/oci/sync.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTO_HANDLE __attribute__((cleanup(handle_close)))

/* Ask the waiting process to go on. What goes wrong from here to execve it tells us. */
static int start_process(const struct handle *h, struct err *e)
{
	AUTO_CLOSE int fd = state_connect_start(h->dirfd);
	AUTO_CLOSE int agent = -1;
	const char *id = h->state.id;
	struct sync_msg msg;
	int r;

	if (fd == -ECONNREFUSED || fd == -ENOENT) {
		r = handle_status(h, e);
		return r < 0 ? r
			     : err_set(e, EINVAL, "container %s is %s, not created", id,
				       state_status_name(r));
	}
	if (fd < 0)
		return err_set(e, -fd, "start container %s: %s", id, strerror(-fd));
	if (h->state.seccomp_listener) {
		agent = seccomp_agent_connect(h->state.seccomp_listener, e);
		if (agent < 0)
			return agent;
	}
	r = sync_send(fd, SYNC_START, 0);
	if (r == 0)
		r = sync_recv(fd, &msg, e);
	else
		err_set(e, -r, "start container %s: %s", id, strerror(-r));
	if (r < 0)
		return r;
	if (r != SYNC_STARTED)
		return err_set(e, EBUSY, "container %s was started by somebody else or died", id);
	r = agent < 0 ? 0 : console_send(fd, agent);
	if (r < 0)
		return err_set(e, -r, "linux.seccomp.listenerPath: %s", strerror(-r));
	/* Else the agent would not see the end when the process is done with it. */
	fd_close(&agent);
	r = sync_recv(fd, &msg, e);
	return r > 0 ? err_set(e, EBADMSG, "the container's process answered %d", r) : r;
}

int cmd_start(const struct globals *g, char **args, struct err *e)
{
	AUTO_HANDLE struct handle h = {.rootfd = -1, .dirfd = -1};
	struct err why = {0};
	int r = options_parse_mixed(NULL, 0, args, NULL, &args, e);

	if (r == 0)
		r = args_count(args, 1, 1, "start ID", e);
	if (r == 0)
		r = handle_open(&h, g, args[0], e);
	if (r < 0)
		return r;
	r = start_process(&h, e);
	if (r == 0) {
		(void)unlinkat(h.dirfd, "start", 0);
		if (h.state.has_poststart)
			r = run_stored_hooks(&h, HOOK_POSTSTART, STATUS_RUNNING, e);
	}
	/* The spec: when a hook of startContainer or poststart fails, the container is deleted. */
	if (r < 0 && hooks_failed(e) && container_destroy(&h, args[0], &why) < 0 &&
		why.code != ENOENT)
		oci_warn("%s", why.msg);
	return r;
}

int cmd_state(const struct globals *g, char **args, struct err *e)
{
	AUTO_HANDLE struct handle h = {.rootfd = -1, .dirfd = -1};
	size_t len = 0;
	char *text;
	int r = options_parse_mixed(NULL, 0, args, NULL, &args, e);

	if (r == 0)
		r = args_count(args, 1, 1, "state ID", e);
	if (r == 0)
		r = handle_open(&h, g, args[0], e);
	if (r == 0)
		r = handle_status(&h, e);
	if (r < 0)
		return r;
	text = state_print(&h.state, r, true, &len);
	if (!text)
		return err_set(e, ENOMEM, "out of memory");
	printf("%s\n", text);
	free(text);
	return 0;
}

struct kill_options {
	bool all;
};

static const struct option_spec kill_specs[] = {
	{"all", 'a', OPTION_FLAG, offsetof(struct kill_options, all), "every process"},
};

/* Not process 1 of a pid namespace of its own: its end does not end the others. */
static bool shares_pids(const struct handle *h)
{
	struct config config;
	struct err ignored = {0};
	bool shares = config_load(&config, h->dirfd, "config.json", NULL, NULL, &ignored) == 0 &&
		      (!config.ns[NS_PID].given || config.ns[NS_PID].path);

	config_free(&config);
	return shares;
}

int cmd_kill(const struct globals *g, char **args, struct err *e)
{
	AUTO_HANDLE struct handle h = {.rootfd = -1, .dirfd = -1};
	struct kill_options opts = {0};
	AUTO_CLOSE int process = -1;
	int sig = SIGTERM;
	int r = options_parse_mixed(FIELDS(kill_specs), args, &opts, &args, e);

	if (r == 0)
		r = args_count(args, 1, 2, "kill [--all] ID [SIGNAL]", e);
	if (r == 0 && args[1]) {
		sig = name_signal(args[1]);
		if (sig < 0)
			return err_set(e, EINVAL, "unknown signal \"%s\"", args[1]);
	}
	if (r == 0)
		r = handle_open(&h, g, args[0], e);
	if (r < 0)
		return r;
	if (opts.all)
		return members_signal(&h, sig, e);
	process = state_open_process(&h.state);
	/* As runc since 1.2: KILL is meant for the container, where its processes can be told. */
	if (process >= 0 && sig == SIGKILL && h.state.cgroup && h.state.cgroup[0] &&
		shares_pids(&h))
		return members_signal(&h, sig, e);
	if (process == -ESRCH)
		return err_set(e, ESRCH, "container %s not running", h.state.id);
	if (process < 0)
		return err_set(
			e, -process, "kill container %s: %s", h.state.id, strerror(-process));
	if (sys_pidfd_send_signal(process, sig, NULL, 0) < 0)
		return err_set(e, errno, "kill container %s: %s", h.state.id, strerror(errno));
	return 0;
}

struct delete_options {
	bool force;
};

static const struct option_spec delete_specs[] = {
	{"force", 'f', OPTION_FLAG, offsetof(struct delete_options, force), "kill it first"},
};

/* Killed before the first state.json a container has no process and no cgroup; one whose state is
 * damaged has outlived the machine. A state that only could not be read now is another matter. */
static bool is_without_state(int r)
{
	return r == -ENOENT || r == -EINVAL || r == -EFBIG;
}

static int delete_without_state(const struct handle *h, const char *id, struct err *e)
{
	int r = state_remove(h->rootfd, id);

	return r < 0 ? err_set(e, -r, "remove the state of %s: %s", id, strerror(-r)) : 0;
}

int cmd_delete(const struct globals *g, char **args, struct err *e)
{
	AUTO_HANDLE struct handle h = {.rootfd = -1, .dirfd = -1};
	struct delete_options opts = {0};
	int r = options_parse_mixed(FIELDS(delete_specs), args, &opts, &args, e);

	if (r == 0)
		r = args_count(args, 1, 1, "delete [--force] ID", e);
	if (r < 0)
		return r;
	r = handle_open(&h, g, args[0], e);
	if (r < 0 && opts.force && h.dirfd < 0 && e->code == ENOENT)
		return 0;
	if (opts.force && h.dirfd >= 0) {
		r = handle_lock(&h, args[0], e);
		if (h.locked && is_without_state(r))
			return delete_without_state(&h, args[0], e);
		if (r == -ENOENT)
			return 0; /* somebody else was faster */
	}
	if (r < 0)
		return r;
	r = opts.force ? STATUS_STOPPED : handle_status(&h, e);
	if (r < 0)
		return r;
	if (r != STATUS_STOPPED && r != STATUS_CREATED)
		return err_set(e, EBUSY, "cannot delete container %s that is not stopped: %s",
			h.state.id, state_status_name(r));
	return container_destroy(&h, args[0], e);
}

static int freeze(const struct globals *g, char **args, bool on, struct err *e)
{
	AUTO_HANDLE struct handle h = {.rootfd = -1, .dirfd = -1};
	AUTO_CLOSE int cgroup = -1;
	int r = options_parse_mixed(NULL, 0, args, NULL, &args, e);

	if (r == 0)
		r = args_count(args, 1, 1, on ? "pause ID" : "resume ID", e);
	if (r == 0)
		r = handle_open(&h, g, args[0], e);
	if (r < 0)
		return r;
	cgroup = handle_cgroup(&h);
	if (cgroup < 0)
		return err_set(e, -cgroup, "container %s has no cgroup", h.state.id);
	r = cgroup_freeze(cgroup, on);
	return r < 0 ? err_set(e, -r, "%s container %s: %s", on ? "pause" : "resume", h.state.id,
			       strerror(-r))
		     : 0;
}

int cmd_pause(const struct globals *g, char **args, struct err *e)
{
	return freeze(g, args, true, e);
}

int cmd_resume(const struct globals *g, char **args, struct err *e)
{
	return freeze(g, args, false, e);
}
