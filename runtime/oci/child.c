/*
 * The container's process, from clone3 to execve: a list of named stages. The name is also the
 * process's in ps while the stage runs.
 */
#include "runtime/oci/container.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"
#include "lib/util/path.h"
#include "runtime/oci/hooks.h"
#include "runtime/oci/lsm.h"
#include "runtime/oci/namespaces.h"
#include "runtime/oci/sync.h"
#include "runtime/oci/sysctl.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct child {
	struct container *c;
	struct ns_plan plan;
	struct rootfs rootfs;
	pid_t host_pid; /* 0: not told */
	const char *program;
	bool start_now;
};

struct stage {
	const char *name; /* at most 15 bytes: prctl(2) PR_SET_NAME */
	int (*run)(struct child *ch, struct err *e);
};

static bool new_user_ns(const struct config *cfg)
{
	return cfg->ns[NS_USER].given && !cfg->ns[NS_USER].path;
}

/* What the runtime had no right to open: with its user's rights, as long as we are that user, and
 * those of our own user namespace. */
static int open_sources(struct container *c, struct err *e)
{
	AUTO_CLOSE int bundle = open(c->state->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	/* Until now the maps might have had to be written. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (bundle < 0)
		return err_set(
			e, errno, "--bundle: open %s: %s", c->state->bundle, strerror(errno));
	return rootfs_open_sources(c, bundle, e);
}

static int stage_namespaces(struct child *ch, struct err *e)
{
	const struct config *cfg = ch->c->config;
	struct sync_msg msg;
	int r = ns_join_after(&ch->plan, ch->c->ns_fds, e);

	if (r < 0)
		return r;
	if (new_user_ns(cfg) || cfg->n_net_devices || cfg->hooks[HOOK_CREATE_CONTAINER].n ||
		cfg->hooks[HOOK_START_CONTAINER].n) {
		r = sync_recv(ch->c->sync, &msg, e);
		if (r != SYNC_GO)
			return r < 0 ? r : err_set(e, EPIPE, "the runtime is gone");
		ch->host_pid = msg.value;
	}
	/* With the rights to our files in /proc that the outside gives us. */
	if (ch->plan.offset_time) {
		r = ns_set_clocks(cfg, ch->c->host_proc, e);
		if (r < 0)
			return r;
	}
	if (!container_has_sources(ch->c)) {
		r = open_sources(ch->c, e);
		if (r < 0)
			return r;
	}
	if (cfg->ns[NS_USER].given && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
		return err_set(
			e, errno, "linux.uidMappings: become root inside: %s", strerror(errno));
	if (ch->plan.new_cgroup && unshare(CLONE_NEWCGROUP) < 0)
		return err_set(e, errno, "linux.namespaces: make cgroup: %s", strerror(errno));
	if (setsid() < 0)
		return err_set(e, errno, "make a session: %s", strerror(errno));
	return 0;
}

static int stage_keyring(struct child *ch, struct err *e)
{
	int r;

	if (ch->c->keep_keyring)
		return 0;
	r = lsm_label_keys(ch->c->host_proc, &ch->c->config->process, e);
	if (r < 0)
		return r;
	/* Else the container could read its caller's keys. Without a name it is a new one in any
	 * case: a name is for the whole machine, and another container may wait under it. A kernel
	 * without keys has none, and a filter around us that keeps us from them keeps the
	 * container, too. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS &&
		errno != EPERM)
		return err_set(e, errno, "make a session keyring: %s", strerror(errno));
	return 0;
}

static int bring_up_loopback(struct err *e)
{
	AUTO_CLOSE int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	/* A kernel without IPv4 has nothing to bring up. */
	if (sock < 0)
		return errno == EAFNOSUPPORT
			       ? 0
			       : err_set(e, errno, "linux.namespaces: bring up lo: %s",
					 strerror(errno));
	return ioctl(sock, SIOCSIFFLAGS, &lo) < 0
		       ? err_set(e, errno, "linux.namespaces: bring up lo: %s", strerror(errno))
		       : 0;
}

static int stage_settings(struct child *ch, struct err *e)
{
	const struct config *cfg = ch->c->config;
	int r;

	if (cfg->hostname && cfg->hostname[0] &&
		sethostname(cfg->hostname, strlen(cfg->hostname)) < 0)
		return err_set(e, errno, "hostname: %s: %s", cfg->hostname, strerror(errno));
	if (cfg->domainname && cfg->domainname[0] &&
		setdomainname(cfg->domainname, strlen(cfg->domainname)) < 0)
		return err_set(e, errno, "domainname: %s: %s", cfg->domainname, strerror(errno));
	r = sysctl_apply(cfg, ch->c->host_proc, e);
	if (r < 0)
		return r;
	if (cfg->ns[NS_NET].given && !cfg->ns[NS_NET].path)
		return bring_up_loopback(e);
	return 0;
}

static int stage_root(struct child *ch, struct err *e)
{
	return rootfs_attach(ch->c, &ch->rootfs, e);
}

static int stage_mounts(struct child *ch, struct err *e)
{
	return rootfs_mount_all(ch->c, &ch->rootfs, e);
}

static int stage_devices(struct child *ch, struct err *e)
{
	AUTO_CLOSE int cwd = -1;
	mode_t mask = umask(0);
	int r = rootfs_make_devices(ch->c, &ch->rootfs, e);

	umask(mask);
	if (r < 0)
		return r;
	/* A missing working directory is made, as runc does; on a read-only root entering it says
	 * what is wrong. */
	cwd = path_make_dirs_through_links(ch->rootfs.root, ch->c->config->process.cwd, 0755);
	(void)cwd;
	return 0;
}

static int stage_terminal(struct child *ch, struct err *e)
{
	const struct config_process *p = &ch->c->config->process;
	AUTO_CLOSE int master = -1;
	AUTO_CLOSE int peer = -1;
	int r;

	if (!p->terminal)
		return 0;
	r = console_open(ch->rootfs.root, p, true, &master, &peer, e);
	if (r < 0)
		return r;
	r = console_send(ch->c->console, master);
	if (r < 0)
		return err_set(e, -r, "--console-socket: send the terminal: %s", strerror(-r));
	return console_become(peer, e);
}

/* @confinement: for programs of the image's; NULL for the host's, which run in the root's directory
 */
static int run_own_hooks(struct child *ch, enum hook_kind kind,
	const struct hook_confinement *confinement, enum container_status status, struct err *e)
{
	const struct config_hooks *hooks = &ch->c->config->hooks[kind];
	size_t len = 0;
	char *text;
	int r;

	if (hooks->n == 0)
		return 0;
	ch->c->state->pid.v = ch->host_pid;
	text = state_print(ch->c->state, status, false, &len);
	if (!text)
		r = err_set(e, ENOMEM, "hooks: out of memory");
	else if (confinement)
		r = hooks_run_confined(hooks, kind, confinement, text, len, e);
	else
		r = hooks_run(hooks, kind, ch->rootfs.root, text, len, e);
	free(text);
	return r;
}

static int stage_hooks(struct child *ch, struct err *e)
{
	const struct config *cfg = ch->c->config;
	struct sync_msg msg;
	int r;

	if (cfg->hooks[HOOK_PRESTART].n || cfg->hooks[HOOK_CREATE_RUNTIME].n) {
		r = sync_send(ch->c->sync, SYNC_HOOKS, 0);
		if (r == 0)
			r = sync_recv(ch->c->sync, &msg, e);
		if (r != SYNC_HOOKED)
			return r < 0 ? r : err_set(e, EPIPE, "the runtime is gone");
	}
	return run_own_hooks(ch, HOOK_CREATE_CONTAINER, NULL, STATUS_CREATING, e);
}

static int stage_masks(struct child *ch, struct err *e)
{
	return rootfs_mask(ch->c, &ch->rootfs, e);
}

static int stage_pivot(struct child *ch, struct err *e)
{
	return rootfs_pivot(ch->c, &ch->rootfs, e);
}

static int stage_program(struct child *ch, struct err *e)
{
	return process_prepare(&ch->c->config->process, &ch->program, e);
}

/* `start` has connected to it: this process no longer sees the host's files. */
static int receive_agent(struct container *c, struct err *e)
{
	c->agent = console_receive(c->sync);
	return c->agent < 0 ? err_set(e, -c->agent, "linux.seccomp.listenerPath: %s",
				      strerror(-c->agent))
			    : 0;
}

/* Take connections until one asks to start; others (from `state`) only want to know whether anybody
 * listens. The connection replaces the link to the runtime: what fails now is told to `start`. */
static int wait_for_start(struct container *c, struct err *e)
{
	struct sync_msg msg;

	fd_close(&c->sync);
	for (;;) {
		struct err ignored = {0};
		AUTO_CLOSE int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return err_set(e, errno, "wait for start: %s", strerror(errno));
		if (sync_recv(fd, &msg, &ignored) != SYNC_START)
			continue;
		/* Nobody else may start it any more. */
		fd_close(&c->listener);
		c->sync = TAKE_FD(fd);
		(void)sync_send(c->sync, SYNC_STARTED, 0);
		return c->config->seccomp.notifies ? receive_agent(c, e) : 0;
	}
}

static int stage_ready(struct child *ch, struct err *e)
{
	struct container *c = ch->c;
	struct sync_msg msg;
	int r = sync_send(c->sync, SYNC_READY, 0);

	if (r == 0)
		r = sync_recv(c->sync, &msg, e);
	/* Without an answer nobody has written down that this process exists: it goes. */
	if (r != SYNC_ACK)
		return r < 0 ? r : err_set(e, EPIPE, "the runtime is gone");
	ch->start_now = msg.value == 1;
	return ch->start_now ? 0 : wait_for_start(c, e);
}

static int confine_hook(const void *arg, struct err *e)
{
	return process_confine(arg, e);
}

static int stage_start(struct child *ch, struct err *e)
{
	const struct container *c = ch->c;
	struct seccomp_agent agent = {.fd = c->agent};
	const struct process_final final = {
		.config = c->config,
		.process = &c->config->process,
		.path = ch->program,
		.filter = &c->filter,
		.agent = &agent,
		.preserve_fds = c->preserve_fds,
		.listen_fds = c->listen_fds,
		.host_proc = c->host_proc,
		.nofile = &c->nofile,
	};
	/* The program is the image's: it gets the rights of the container, not the runtime's. */
	const struct hook_confinement confinement = {confine_hook, &final};
	int r = run_own_hooks(ch, HOOK_START_CONTAINER, &confinement, STATUS_CREATED, e);

	if (r == 0 && agent.fd >= 0)
		r = seccomp_agent_describe(&agent, &c->config->seccomp, c->state, STATUS_CREATED,
			true, c->host_proc, e);
	return r < 0 ? r : process_execute(&final, &ch->c->sync, e);
}

static const struct stage stages[] = {
	{"oci:namespaces", stage_namespaces},
	{"oci:keyring", stage_keyring},
	{"oci:settings", stage_settings},
	{"oci:root", stage_root},
	{"oci:mounts", stage_mounts},
	{"oci:devices", stage_devices},
	{"oci:terminal", stage_terminal},
	{"oci:hooks", stage_hooks},
	{"oci:masks", stage_masks},
	{"oci:pivot", stage_pivot},
	{"oci:program", stage_program},
	{"oci:ready", stage_ready},
	{"oci:start", stage_start},
};

_Noreturn void child_main(struct container *c)
{
	struct child ch = {.c = c};
	struct err e = {0};

	process_reset_signals();
	ns_plan_make(c->config, &ch.plan);
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		int r;

		prctl(PR_SET_NAME, stages[i].name, 0, 0, 0);
		r = stages[i].run(&ch, &e);
		if (r < 0) {
			(void)sync_send_error(c->sync, &e);
			break;
		}
	}
	_exit(1);
}
