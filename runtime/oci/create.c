/*
 * create and run: everything that happens on the host's side of clone3.
 */
#include "runtime/oci/commands.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"
#include "runtime/oci/cgroup.h"
#include "runtime/oci/container.h"
#include "runtime/oci/hooks.h"
#include "runtime/oci/idmap.h"
#include "runtime/oci/limits.h"
#include "runtime/oci/namespaces.h"
#include "runtime/oci/netdev.h"
#include "runtime/oci/oom_score.h"
#include "runtime/oci/sync.h"
#include "runtime/oci/userns_maps.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

struct create_options {
	const char *bundle;
	const char *pid_file;
	const char *console_socket;
	const char *pidfd_socket;
	uint32_t preserve_fds;
	bool detach;
	bool keep;
	bool no_new_keyring;
};

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

struct creation {
	struct handle h; /* rootfd, dirfd, state */
	const struct create_options *opts;
	struct config config;
	struct container c;
	struct ns_plan plan;
	int bundlefd;
	int cgroup_root;
	char *bundle;
	char *rootfs;
	struct netdev_moves net;
	char cgroup[CGROUP_PATH_MAX];
	char created[40];
	pid_t pid;
	int pidfd;
	bool wrote_pid_file;
	bool no_cgroup;
	sigset_t forwarded;
};

static int load_bundle(struct creation *n, const char *id, struct err *e)
{
	const char *dir = n->opts->bundle ? n->opts->bundle : ".";
	struct timespec now;
	struct tm tm;
	int r;

	n->bundle = realpath(dir, NULL);
	n->bundlefd = n->bundle ? open(n->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (n->bundlefd < 0)
		return err_set(e, errno, "--bundle: open %s: %s", dir, strerror(errno));
	r = config_load(&n->config, n->bundlefd, "config.json", oci_warn_unknown, NULL, e);
	if (r == 0)
		r = config_check(&n->config, e);
	if (r < 0)
		return r;
	if (n->config.root_path[0] == '/')
		n->rootfs = strdup(n->config.root_path);
	else if (asprintf(&n->rootfs, "%s/%s", n->bundle, n->config.root_path) < 0)
		n->rootfs = NULL;
	if (!n->rootfs)
		return err_set(e, ENOMEM, "root.path: out of memory");
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(n->created, sizeof(n->created), "%Y-%m-%dT%H:%M:%SZ", &tm);
	n->h.state = (struct state){
		.id = id,
		.bundle = n->bundle,
		.rootfs = n->rootfs,
		.created = n->created,
		.namespaces = ns_mask(&n->config),
		.has_poststart = n->config.hooks[HOOK_POSTSTART].n > 0,
		.has_poststop = n->config.hooks[HOOK_POSTSTOP].n > 0,
		.seccomp_listener =
			n->config.seccomp.notifies ? n->config.seccomp.listener_path : NULL,
		.annotations = n->config.annotations,
	};
	return 0;
}

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

/* The configuration as it was: start, exec and delete must not see what became of the bundle. */
static int keep_config(const struct creation *n, struct err *e)
{
	return state_write_file(n->h.dirfd, "config.json", n->config.file, n->config.file_len, e);
}

/* The state before there is anything to clean up: `delete --force` then knows what to look for. */
static int make_state(struct creation *n, struct err *e)
{
	const char *path = n->config.cgroups_path;
	const bool absolute = path && path[0] == '/';
	char base[CGROUP_PATH_MAX] = "";
	struct state *s = &n->h.state;
	int r;

	n->cgroup_root = n->no_cgroup ? -ENOENT : cgroup_open_root();
	if (n->cgroup_root < 0 && n->cgroup_root != -ENOENT)
		return err_set(
			e, -n->cgroup_root, "open the cgroup mount: %s", strerror(-n->cgroup_root));
	/* Where nothing was delegated to this user there might as well be no cgroups. */
	if (n->cgroup_root >= 0 && !absolute && cgroup_base(n->cgroup_root, base) < 0)
		fd_close(&n->cgroup_root);
	r = cgroup_path(base, path, s->id, n->cgroup, e);
	if (r < 0)
		return r;
	n->h.dirfd = state_make_dir(n->h.rootfd, s->id, e);
	if (n->h.dirfd < 0)
		return n->h.dirfd;
	n->h.locked = true;
	/* It will be killed and removed with the container: it must not be anyone else's. */
	r = n->cgroup_root >= 0 ? cgroup_populated(n->cgroup_root, n->cgroup) : 0;
	if (r != 0)
		return r < 0 ? err_set(e, -r, "linux.cgroupsPath: open %s: %s", n->cgroup,
				       strerror(-r))
			     : err_set(e, EBUSY, "linux.cgroupsPath: %s already holds processes",
				       n->cgroup);
	if (n->cgroup_root >= 0)
		s->cgroup = n->cgroup;
	/* Where there is a state its hooks can be looked up. */
	r = keep_config(n, e);
	return r < 0 ? r : state_save(s, n->h.dirfd, e);
}

static int open_seccomp_cache(int rootfd)
{
	/* Beside the containers: no id starts with a dot. */
	(void)mkdirat(rootfd, ".seccomp", 0700);
	return openat(rootfd, ".seccomp", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
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
	AUTO_CLOSE int cache = open_seccomp_cache(n->h.rootfd);
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
		r = seccomp_build(&n->config.seccomp, cache, n->h.dirfd, oci_warn, &c->filter, e);
	if (r == 0 && c->filter.insns)
		r = seccomp_save(&c->filter, n->h.dirfd, "seccomp", e);
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

/* A host without cgroups that we may write runs what asks for no limits. In a user namespace nobody
 * can make a device node, and of those that are bound in the host's permissions decide: there the
 * rules for devices are no limit that is missed. */
static int go_without_cgroup(struct creation *n, const char *need, int r, struct err *e)
{
	n->h.state.cgroup = NULL;
	if (!need)
		return 0;
	if (strcmp(need, "devices") == 0 && ns_user_confined(&n->config)) {
		oci_warn("linux.resources.devices: cannot be applied in a user namespace, left "
			 "out");
		return 0;
	}
	if (r == 0)
		return err_set(e, ENOTSUP, "linux.resources.%s: %s", need,
			n->no_cgroup ? "--cgroup-manager disabled leaves nothing to apply it"
				     : "there is no cgroup v2 that this user may write to");
	return err_wrap(e, "linux.resources.%s", need);
}

static int make_cgroup(struct creation *n, struct err *e)
{
	const struct config_resources *res = &n->config.resources;
	const char *need = cgroup_needed_by(res);
	int r;

	if (n->cgroup_root < 0)
		return go_without_cgroup(n, need, 0, e);
	n->c.cgroup = cgroup_make(n->cgroup_root, n->cgroup, res, e);
	if (n->c.cgroup == -EROFS || n->c.cgroup == -EACCES || n->c.cgroup == -EPERM)
		return go_without_cgroup(n, need, n->c.cgroup, e);
	if (n->c.cgroup < 0)
		return n->c.cgroup;
	r = cgroup_set_limits(n->c.cgroup, res, e);
	if (r < 0)
		return r;
	r = cgroup_set_devices(n->c.cgroup, res, e);
	/* Nobody asked for the default filter: without the means it is the host's devices' own
	 * permissions that count, and mknod needs a capability. */
	if ((r == -EPERM && ns_user_confined(&n->config)) ||
		(!res->n_devices && (r == -EPERM || r == -EINVAL || r == -ENOSYS)))
		r = 0;
	return r;
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
	int r = make_state(n, e);

	if (r == 0)
		r = open_everything(n, run_now, ret_console, e);
	if (r == 0)
		r = make_cgroup(n, e);
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

static void undo(struct creation *n, const char *id)
{
	struct err ignored = {0};

	netdev_put_back(&n->net, oci_warn);
	if (n->pidfd >= 0) {
		(void)sys_pidfd_send_signal(n->pidfd, SIGKILL, NULL, 0);
		(void)waitid(P_PIDFD, (id_t)n->pidfd, &(siginfo_t){0}, WEXITED);
	}
	/* One that exists already is somebody else's. */
	if (n->h.dirfd < 0)
		return;
	/* Without a process no other hook ran that these could be the end of. */
	n->h.state.has_poststop &= n->pid != 0;
	(void)container_destroy(&n->h, id, &ignored);
	if (n->wrote_pid_file)
		(void)unlink(n->opts->pid_file);
}

static void creation_init(struct creation *n, const struct create_options *opts)
{
	*n = (struct creation){.opts = opts, .bundlefd = -1, .cgroup_root = -1, .pidfd = -1};
	n->h.rootfd = -1;
	n->h.dirfd = -1;
	n->c.tree = -1;
	n->c.host_proc = -1;
	n->c.cgroup = -1;
	n->net = (struct netdev_moves)NETDEV_NO_MOVES;
	n->c.console = -1;
	n->c.agent = -1;
	n->c.sync = -1;
	n->c.listener = -1;
}

/* Engines ask crun in this way for a container without a cgroup. */
static int take_cgroup_manager(struct creation *n, const char *name, struct err *e)
{
	n->no_cgroup = name && strcmp(name, "disabled") == 0;
	if (!name || n->no_cgroup || strcmp(name, "cgroupfs") == 0)
		return 0;
	return err_set(
		e, ENOTSUP, "--cgroup-manager: expected cgroupfs or disabled, got \"%s\"", name);
}

/* From the command line to a container that waits for its start, or with @run_now runs. */
static int create_from(struct creation *n, const struct globals *g, const char *id, bool run_now,
	int *ret_console, struct err *e)
{
	bool stays = run_now && !n->opts->detach;
	int r = state_check_id(id, e);

	if (r == 0)
		r = take_cgroup_manager(n, g->cgroup_manager, e);
	if (r == 0)
		r = count_preserved(n->opts->preserve_fds, &n->c.preserve_fds, &n->c.listen_fds, e);
	if (r == 0)
		r = load_bundle(n, id, e);
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
		undo(n, id);
	else
		netdev_forget(&n->net);
	return r;
}

int cmd_create(const struct globals *g, char **args, struct err *e)
{
	struct create_options opts = {0};
	struct creation n;
	int r = options_parse_mixed(FIELDS(create_specs), args, &opts, &args, e);

	if (r == 0)
		r = args_count(args, 1, 1, "create [options] ID", e);
	if (r < 0)
		return r;
	creation_init(&n, &opts);
	return create_from(&n, g, args[0], false, NULL, e);
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
	int status;

	if (console >= 0) {
		master = console_receive(console);
		if (master < 0)
			return err_set(e, -master, "process.terminal: %s", strerror(-master));
	}
	status = foreground(n->pidfd, master, &n->forwarded, e);
	if (!n->opts->keep) {
		struct err why = {0};

		if (container_destroy(&n->h, id, &why) < 0 && why.code != ENOENT)
			oci_warn("%s", why.msg);
	}
	return status;
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
		undo(&n, args[0]);
		return r;
	}
	return opts.detach ? 0 : stay(&n, args[0], console, e);
}
