#include "runtime/oci/creation.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

void creation_init(struct creation *n, const struct create_options *opts)
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

/* A pipe's other end is somebody else's: a checkpoint names it, and restore brings a new one. */
static void note_stdio(struct creation *n)
{
	for (int fd = 0; fd < 3; fd++) {
		char link[32];
		ssize_t len;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		len = readlink(link, n->stdio[fd], sizeof(n->stdio[fd]) - 1);
		n->stdio[fd][len < 0 ? 0 : len] = '\0';
		if (strncmp(n->stdio[fd], "pipe:", 5) != 0)
			n->stdio[fd][0] = '\0';
		n->descriptors[fd] = n->stdio[fd];
	}
	n->h.state.descriptors = (struct json_strv){n->descriptors, 3};
}

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
	if (!n->config.process.terminal)
		note_stdio(n);
	return 0;
}

int creation_load(struct creation *n, const struct globals *g, const char *id, struct err *e)
{
	int r = state_check_id(id, e);

	if (r == 0)
		r = take_cgroup_manager(n, g->cgroup_manager, e);
	return r < 0 ? r : load_bundle(n, id, e);
}

/* The configuration as it was: start, exec and delete must not see what became of the bundle. */
static int keep_config(const struct creation *n, struct err *e)
{
	return state_write_file(n->h.dirfd, "config.json", n->config.file, n->config.file_len, e);
}

int creation_make_state(struct creation *n, struct err *e)
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

int creation_make_filter(struct creation *n, struct err *e)
{
	AUTO_CLOSE int cache = open_seccomp_cache(n->h.rootfd);
	struct seccomp_filter *filter = &n->c.filter;
	int r = seccomp_build(&n->config.seccomp, cache, n->h.dirfd, oci_warn, filter, e);

	return r == 0 && filter->insns ? seccomp_save(filter, n->h.dirfd, "seccomp", e) : r;
}

/* A host without cgroups that we may write runs what asks for no limits. In a user namespace nobody
 * can make a device node, and of those that are bound in the host's permissions decide: there the
 * rules for devices are no limit that is missed. */
static int go_without_cgroup(struct creation *n, const char *need, int r, struct err *e)
{
	const bool confined = need && strcmp(need, "devices") == 0 && ns_user_confined(&n->config);

	if (confined)
		oci_warn("linux.resources.devices: cannot be applied in a user namespace, left "
			 "out");
	if (!need || confined) {
		n->h.state.cgroup = NULL;
		return 0;
	}
	if (r == 0)
		return err_set(e, ENOTSUP, "linux.resources.%s: %s", need,
			n->no_cgroup ? "--cgroup-manager disabled leaves nothing to apply it"
				     : "there is no cgroup v2 that this user may write to");
	return err_wrap(e, "linux.resources.%s", need);
}

/* May the container's root manage what is below the container's cgroup? With a user namespace of
 * its own, and a cgroup mount that shows it nothing else and that it may write to. */
static bool manages_cgroup(const struct config *c)
{
	if (!c->ns[NS_USER].given || c->ns[NS_USER].path || !c->ns[NS_CGROUP].given ||
		c->ns[NS_CGROUP].path)
		return false;
	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct config_mount *m = &c->mounts[i];

		if (!m->options.bind && m->type && strncmp(m->type, "cgroup", 6) == 0 &&
			!(mount_attributes(&m->options) & MOUNT_ATTR_RDONLY))
			return true;
	}
	return false;
}

/* The host's number of the container's root. */
static bool find_root(const struct config_id_maps *maps, uint32_t *ret)
{
	for (size_t i = 0; i < maps->n; i++) {
		if (maps->v[i].container == 0 && maps->v[i].size > 0) {
			*ret = maps->v[i].host;
			return true;
		}
	}
	return false;
}

static int delegate_cgroup(const struct creation *n, struct err *e)
{
	const struct config *c = &n->config;
	uint32_t uid;
	uint32_t gid;
	int r;

	if (!manages_cgroup(c) || !find_root(&c->uid_maps, &uid) || !find_root(&c->gid_maps, &gid))
		return 0;
	r = cgroup_delegate(n->c.cgroup, uid, gid);
	/* An ordinary user's own number is the container's root as a rule: the cgroup is his. */
	return r < 0 && r != -EPERM ? err_set(e, -r, "give cgroup %s to the container's root: %s",
					      n->cgroup, strerror(-r))
				    : 0;
}

int creation_make_cgroup(struct creation *n, struct err *e)
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
	r = cgroup_set_limits(n->c.cgroup, res, NULL, e);
	if (r == 0)
		r = delegate_cgroup(n, e);
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

void creation_undo(struct creation *n, const char *id)
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

int creation_stay(struct creation *n, const char *id, int master, struct err *e)
{
	int status = foreground(n->pidfd, master, &n->forwarded, e);
	struct err why = {0};

	if (!n->opts->keep && container_destroy(&n->h, id, &why) < 0 && why.code != ENOENT)
		oci_warn("%s", why.msg);
	return status;
}
