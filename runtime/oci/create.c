/*
 * create and run: everything that happens on the host's side of clone3.
 */
#include "runtime/oci/creation.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "runtime/oci/hooks.h"
#include "runtime/oci/idmap.h"
#include "runtime/oci/oom_score.h"
#include "runtime/oci/sync.h"
#include "runtime/oci/userns_maps.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define AT(member) offsetof(struct create_options, member)

static const struct option_spec create_specs[] = {
	{"bundle", 'b', OPTION_STR, AT(bundle), "directory of config.json"},
	{"pid-file", 0, OPTION_STR, AT(pid_file), "file that gets the process's number"},
	{"console-socket", 0, OPTION_STR, AT(console_socket), "socket that gets the terminal"},
	{"pidfd-socket", 0, OPTION_STR, AT(pidfd_socket), "socket that gets the process's pidfd"},
	{"preserve-fds", 0, OPTION_U32, AT(preserve_fds), "descriptors behind 2 to hand on"},
	{"no-new-keyring", 0, OPTION_FLAG, AT(no_new_keyring), "keep the caller's session keyring"},
	{"no-pivot", 0, OPTION_REFUSE, 0, "is not supported: every container gets its own root"},
	{"no-subreaper", 0, OPTION_IGNORE, 0, ""},
	{"detach", 'd', OPTION_FLAG, AT(detach), "return when the container runs"},
	{"keep", 0, OPTION_FLAG, AT(keep), "keep the state when it ends"},
};

static int check_terminal(const struct creation *n, bool foreground_run, struct err *e)
{
	bool socket_given = n->opts->console_socket != NULL;

	if (n->config.process.terminal && !socket_given && !foreground_run)
		return err_set(e, EINVAL,
			"process.terminal: needs --console-socket when the runtime does not stay");
	if (!n->config.process.terminal && socket_given)
		return err_set(e, EINVAL,
			"--console-socket: process.terminal does not ask for a terminal");
	return 0;
}

/* A long list of mounts needs more descriptors than a process gets by default. */
static int raise_descriptor_limit(struct creation *n, struct err *e)
{
	struct rlimit more;

	if (getrlimit(RLIMIT_NOFILE, &n->c.nofile) < 0)
		return err_set(e, errno, "read the limit of descriptors: %s", strerror(errno));
	more = n->c.nofile;
	if (more.rlim_cur > n->config.n_mounts + 64)
		return 0;
	more.rlim_cur = more.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &more);
	return 0;
}

static int open_console(struct creation *n, int *ret_own, struct err *e)
{
	int pair[2];

	if (!n->config.process.terminal)
		return 0;
	if (n->opts->console_socket) {
		n->c.console = connect_unix("--console-socket", n->opts->console_socket, e);
		return n->c.console < 0 ? n->c.console : 0;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "process.terminal: %s", strerror(errno));
	n->c.console = pair[0];
	*ret_own = pair[1];
	return 0;
}

static int open_everything(struct creation *n, bool run_now, int *ret_console, struct err *e)
{
	struct container *c = &n->c;
	int r;

	c->config = &n->config;
	c->state = &n->h.state;
	c->keep_keyring = n->opts->no_new_keyring;
	c->host_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->host_proc < 0)
		return err_set(e, errno, "open /proc: %s", strerror(errno));
	r = raise_descriptor_limit(n, e);
	if (r == 0)
		r = ns_open(&n->config, c->ns_fds, e);
	if (r == 0) {
		r = rootfs_open_sources(c, n->bundlefd, e);
		/* Then it is the container's process that opens them; id-mapped ones it cannot. */
		if (r == -EPERM && !container_has_sources(c))
			r = idmap_refuse(&n->config, e);
	}
	if (r == 0)
		r = open_console(n, ret_console, e);
	if (r == 0)
		r = creation_make_filter(n, e);
	/* For a container that waits it is `start` that connects: an agent that takes one at a time
	 * must not wait with it. */
	if (r == 0 && run_now && n->config.seccomp.notifies) {
		c->agent = seccomp_agent_connect(n->config.seccomp.listener_path, e);
		r = c->agent < 0 ? c->agent : 0;
	}
	if (r < 0 || run_now)
		return r;
	c->listener = state_listen_start(n->h.dirfd);
	return c->listener < 0 ? err_set(e, -c->listener, "make the start socket: %s",
					 strerror(-c->listener))
			       : 0;
}

/* Send to a process that may have died: then the next sync_recv() gets why, if it could say. */
static int send_if_alive(
	const struct creation *n, enum sync_type type, int32_t value, struct err *e)
{
	int r = sync_send(n->c.sync, type, value);

	return r < 0 && r != -EPIPE ? err_set(e, -r, "the container's process: %s", strerror(-r))
				    : 0;
}

static int move_net_devices(struct creation *n, struct err *e)
{
	int joined = n->c.ns_fds[NS_NET];
	AUTO_CLOSE int made = -1;
	char path[64];

	if (n->config.n_net_devices == 0)
		return 0;
	if (joined >= 0)
		return netdev_move(&n->config, n->c.host_proc, joined, &n->net, e);
	snprintf(path, sizeof(path), "%d/ns/net", n->pid);
	made = openat(n->c.host_proc, path, O_RDONLY | O_CLOEXEC);
	if (made < 0)
		return err_set(e, errno, "linux.netDevices: open %s: %s", path, strerror(errno));
	return netdev_move(&n->config, n->c.host_proc, made, &n->net, e);
}

static int clone_container(struct creation *n, struct err *e)
{
	const struct config *cfg = &n->config;
	const bool new_user = cfg->ns[NS_USER].given && !cfg->ns[NS_USER].path;
	/* The maps of a process that cannot be dumped are root's. Nobody in another user namespace
	 * may look at the new one's, so that the process may wait with it until it has them. */
	const bool late = new_user && !container_has_sources(&n->c);
	struct oom_score oom;
	bool zombie;
	int pair[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socketpair: %s", strerror(errno));
	r = oom_score_take(&cfg->process.oom_score_adj, n->c.host_proc, &oom, e);
	if (r < 0)
		return r;
	/* What runs inside may look at our process before execve has replaced it. */
	if (!late && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "hide the runtime's process: %s", strerror(errno));
	ns_plan_make(cfg, &n->plan);
	n->c.sync = pair[1];
	r = ns_clone(&n->plan, n->c.ns_fds, n->c.cgroup, &n->pid, &n->pidfd, e);
	if (r == 1) {
		close(pair[0]);
		/* The lock is the runtime's and ends with it. */
		close(n->h.dirfd);
		child_main(&n->c);
	}
	oom_score_restore(&oom);
	close(pair[1]);
	fd_close(&n->c.agent);
	n->c.sync = pair[0];
	if (r < 0)
		return r;
	n->h.state.pid = (struct json_opt_i64){true, n->pid};
	n->h.state.start_time.set = true;
	r = process_start_time(n->pid, &n->h.state.start_time.v, &zombie);
	if (r < 0)
		return err_set(e, -r, "look at the container's process: %s", strerror(-r));
	if (new_user)
		r = userns_write_maps(cfg, n->c.host_proc, n->pid, e);
	if (r == 0 && new_user && !late)
		r = idmap_sources_by_process(&n->c, n->pid, e);
	if (r == 0 && cfg->ns[NS_USER].given)
		r = process_raise_limits(n->pid, &cfg->process, e);
	if (r == 0)
		r = move_net_devices(n, e);
	if (r == 0 && (new_user || cfg->n_net_devices || cfg->hooks[HOOK_CREATE_CONTAINER].n ||
			      cfg->hooks[HOOK_START_CONTAINER].n))
		r = send_if_alive(n, SYNC_GO, n->pid, e);
	return r;
}

static int run_host_hooks(struct creation *n, struct err *e)
{
	size_t len = 0;
	char *text = state_print(&n->h.state, STATUS_CREATING, false, &len);
	int r = text ? 0 : err_set(e, ENOMEM, "hooks: out of memory");

	if (r == 0)
		r = hooks_run(
			&n->config.hooks[HOOK_PRESTART], HOOK_PRESTART, n->bundlefd, text, len, e);
	if (r == 0)
		r = hooks_run(&n->config.hooks[HOOK_CREATE_RUNTIME], HOOK_CREATE_RUNTIME,
			n->bundlefd, text, len, e);
	free(text);
	return r < 0 ? r : send_if_alive(n, SYNC_HOOKED, 0, e);
}

/* Serve the process until only the start is missing. */
static int wait_ready(struct creation *n, struct err *e)
{
	struct sync_msg msg;

	for (;;) {
		int r = sync_recv(n->c.sync, &msg, e);

		if (r == SYNC_READY)
			return 0;
		if (r == SYNC_HOOKS)
			r = run_host_hooks(n, e);
		else if (r >= 0)
			r = err_set(e, EPIPE, "the container's process died while being made");
		if (r < 0)
			return r;
	}
}

static int finish(struct creation *n, bool run_now, struct err *e)
{
	int r = state_save(&n->h.state, n->h.dirfd, e);

	if (r == 0 && n->opts->pid_file)
		r = write_pid_file(n->opts->pid_file, n->pid, e);
	n->wrote_pid_file = r == 0 && n->opts->pid_file;
	if (r == 0)
		r = send_pidfd(n->opts->pidfd_socket, n->pidfd, e);
	if (r == 0) {
		r = sync_send(n->c.sync, SYNC_ACK, run_now);
		if (r < 0)
			err_set(e, -r, "the container's process died: %s", strerror(-r));
	}
	return r;
}

/* Make it; on failure nothing is left of it. */
static int create(struct creation *n, bool run_now, int *ret_console, struct err *e)
{
	int r = creation_make_state(n, e);

	if (r == 0)
		r = open_everything(n, run_now, ret_console, e);
	if (r == 0)
		r = creation_make_cgroup(n, e);
	if (r == 0)
		r = clone_container(n, e);
	if (r == 0)
		r = wait_ready(n, e);
	if (r == 0)
		r = finish(n, run_now, e);
	/* From here on its start may take any time, and must not keep others from ending it. */
	if (r == 0)
		handle_unlock(&n->h);
	return r;
}

/* From the command line to a container that waits for its start, or with @run_now runs. */
static int create_from(struct creation *n, const struct globals *g, const char *id, bool run_now,
	int *ret_console, struct err *e)
{
	bool stays = run_now && !n->opts->detach;
	int r = count_preserved(n->opts->preserve_fds, &n->c.preserve_fds, &n->c.listen_fds, e);

	if (r == 0)
		r = creation_load(n, g, id, e);
	if (r == 0)
		r = check_terminal(n, stays, e);
	if (r < 0)
		return r;
	warn_capabilities(&n->config, &n->config.process);
	n->h.rootfd = state_open_root(g->root, e);
	if (n->h.rootfd < 0)
		return n->h.rootfd;
	if (stays)
		foreground_block(&n->forwarded);
	r = create(n, run_now, ret_console, e);
	if (r < 0)
		creation_undo(n, id);
	else
		netdev_forget(&n->net);
	return r;
}

int cmd_create(const struct globals *g, char **args, struct err *e)
{
	struct create_options opts = {0};
	struct creation n;
	int console = -1; /* only `run` has one of its own */
	int r = options_parse_mixed(FIELDS(create_specs), args, &opts, &args, e);

	if (r == 0)
		r = args_count(args, 1, 1, "create [options] ID", e);
	if (r < 0)
		return r;
	creation_init(&n, &opts);
	return create_from(&n, g, args[0], false, &console, e);
}

/* End of file on the link means that execve has closed it. */
static int wait_executed(struct creation *n, struct err *e)
{
	struct sync_msg msg;
	int r = sync_recv(n->c.sync, &msg, e);

	return r > 0 ? err_set(e, EBADMSG, "the container's process answered %d", r) : r;
}

static int stay(struct creation *n, const char *id, int console, struct err *e)
{
	AUTO_CLOSE int master = -1;

	if (console >= 0) {
		master = console_receive(console);
		if (master < 0)
			return err_set(e, -master, "process.terminal: %s", strerror(-master));
	}
	return creation_stay(n, id, master, e);
}

int cmd_run(const struct globals *g, char **args, struct err *e)
{
	struct create_options opts = {0};
	AUTO_CLOSE int console = -1;
	struct creation n;
	int r = options_parse_mixed(FIELDS(create_specs), args, &opts, &args, e);

	if (r == 0)
		r = args_count(args, 1, 1, "run [options] ID", e);
	if (r < 0)
		return r;
	creation_init(&n, &opts);
	r = create_from(&n, g, args[0], true, &console, e);
	if (r < 0)
		return r;
	r = wait_executed(&n, e);
	if (r == 0 && n.h.state.has_poststart)
		r = run_stored_hooks(&n.h, HOOK_POSTSTART, STATUS_RUNNING, e);
	if (r < 0) {
		creation_undo(&n, args[0]);
		return r;
	}
	return opts.detach ? 0 : stay(&n, args[0], console, e);
}
