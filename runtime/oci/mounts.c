#include "runtime/oci/container.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "lib/util/path.h"
#include "runtime/oci/cgroup.h"
#include "runtime/oci/idmap.h"
#include "runtime/oci/namespaces.h"
#include "runtime/oci/tmpcopyup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static int change_apply(int fd, const struct mount_change *c, unsigned at)
{
	struct mount_attr attr = {
		.attr_set = c->set, .attr_clr = c->clear, .propagation = c->propagation};

	if (!c->set && !c->clear && !c->propagation)
		return 0;
	return sys_mount_setattr(fd, "", at | AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

int mount_apply(int fd, const struct mount_options *o)
{
	int r = change_apply(fd, &o->top, 0);

	return r < 0 ? r : change_apply(fd, &o->all, AT_RECURSIVE);
}

static bool asks_for_shared(const struct mount_options *o)
{
	return o->top.propagation == MS_SHARED || o->all.propagation == MS_SHARED;
}

/* A copy of a host's tree is a peer of it until it is told otherwise: only a mount that asks to be
 * shared stays one. */
static int open_bind(int bundlefd, const struct config_mount *m, size_t i, struct bind_source *ret,
	struct err *e)
{
	struct mount_options o = m->options;
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	AUTO_CLOSE int fd =
		sys_open_tree(bundlefd, m->source, flags | (o.recursive_bind ? AT_RECURSIVE : 0));
	struct stat st;
	int r;

	if (fd < 0 && errno == EINVAL && !o.recursive_bind)
		return err_set(e, EINVAL,
			"mounts[%zu].options: what is mounted below %s is locked to it: it takes "
			"rbind",
			i, m->source);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(
			e, errno, "mounts[%zu].source: open %s: %s", i, m->source, strerror(errno));
	if (!asks_for_shared(&o)) {
		struct mount_change slave = {.propagation = MS_SLAVE};

		/* One call instead of two when the options are recursive anyway. */
		if (!o.all.propagation && !o.top.propagation)
			o.all.propagation = MS_SLAVE;
		else if (!o.all.propagation && (r = change_apply(fd, &slave, AT_RECURSIVE)) < 0)
			return err_set(e, -r, "mounts[%zu].source: make %s private: %s", i,
				m->source, strerror(-r));
	}
	r = mount_apply(fd, &o);
	if (r < 0)
		return err_set(e, -r, "mounts[%zu].options: of the mount of %s: %s%s", i, m->source,
			strerror(-r),
			r == -EPERM ? ": a user namespace cannot allow what the mount forbids"
				    : "");
	ret->fd = TAKE_FD(fd);
	ret->is_dir = S_ISDIR(st.st_mode);
	return 0;
}

static int open_tree_of_root(struct container *c, struct err *e)
{
	const char *path = c->state->rootfs;
	AUTO_CLOSE int fd =
		sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	struct mount_attr attr = {.propagation = MS_SLAVE};
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "root.path: open %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "root.path: %s: not a directory", path);
	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_set(e, errno, "root.path: make %s private: %s", path, strerror(errno));
	c->tree = TAKE_FD(fd);
	return 0;
}

int rootfs_open_sources(struct container *c, int bundlefd, struct err *e)
{
	const struct config *cfg = c->config;
	int r = open_tree_of_root(c, e);

	if (r < 0)
		return r;
	c->binds = calloc(cfg->n_mounts + 1, sizeof(*c->binds));
	if (!c->binds)
		return err_set(e, ENOMEM, "mounts: out of memory");
	for (size_t i = 0; i < cfg->n_mounts; i++)
		c->binds[i].fd = -1;
	for (size_t i = 0; i < cfg->n_mounts; i++) {
		const struct config_mount *m = &cfg->mounts[i];

		if (!m->options.bind || m->options.remount)
			continue;
		r = open_bind(bundlefd, m, i, &c->binds[i], e);
		if (r < 0)
			return r;
	}
	return idmap_sources(c, e);
}

/*
 * Without a cgroup namespace of its own the container sees the host's tree, as with runc and crun:
 * the paths in its /proc/self/cgroup are of that. It gets the host's mount of it, because a new one
 * would reset options like nsdelegate for all of them.
 * Source: kernel admin-guide/cgroup-v2.rst "Mounting".
 */
static int open_hosts_cgroups(const struct config_mount *m)
{
	AUTO_CLOSE int fd = open("/sys/fs/cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int copy = -1;
	struct statfs fs;
	int r;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != CGROUP2_SUPER_MAGIC) {
		fd_close(&fd);
		fd = open("/sys/fs/cgroup/unified", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != CGROUP2_SUPER_MAGIC)
		return -ENOENT;
	copy = sys_open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (copy < 0)
		return -errno;
	r = mount_apply(copy, &m->options);
	return r < 0 ? r : TAKE_FD(copy);
}

static bool is_cgroup(const struct config_mount *m)
{
	return !m->options.bind &&
	       (strcmp(m->type, "cgroup") == 0 || strcmp(m->type, "cgroup2") == 0);
}

/* A copy of the host's tree @path below @dirfd with the attributes of @m and of nothing below
 * forgotten. What the host's mounts forbid stays forbidden: to a user namespace they are locked. */
static int open_host_tree(int dirfd, const char *path, const struct config_mount *m, uint64_t more)
{
	struct mount_change change = {
		.set = m->options.top.set | m->options.all.set | more, .propagation = MS_SLAVE};
	AUTO_CLOSE int fd =
		sys_open_tree(dirfd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	int r;

	change.set &= ~(uint64_t)MOUNT_ATTR__ATIME;
	if (fd < 0)
		return -errno;
	r = change_apply(fd, &change, AT_RECURSIVE);
	return r < 0 ? r : TAKE_FD(fd);
}

/* Without a cgroup namespace of its own the container would see the whole tree: it gets its own
 * directory instead. One without a cgroup sees the tree after all, as other runtimes let it, where
 * a user namespace keeps it from everything in there, and can only read. */
static int open_cgroup_dir(const struct container *c, const struct config_mount *m)
{
	AUTO_CLOSE int fd = -1;

	if (!c->state->cgroup)
		return ns_user_confined(c->config)
			       ? open_host_tree(AT_FDCWD, "/sys/fs/cgroup", m, MOUNT_ATTR_RDONLY)
			       : -ENOENT;
	fd = cgroup_open_root();
	return fd < 0 ? fd : open_host_tree(fd, c->state->cgroup + 1, m, 0);
}

static bool is_sysfs(const struct config_mount *m)
{
	return !m->options.bind && m->type && strcmp(m->type, "sysfs") == 0;
}

/* What a user namespace may not make anew, because the network or the cgroups it shows are not its
 * own, it may have as the host has it. -EPERM: not this one. */
static int open_instead(const struct container *c, const struct config_mount *m)
{
	if (is_cgroup(m))
		return open_cgroup_dir(c, m);
	return is_sysfs(m) ? open_host_tree(AT_FDCWD, "/sys", m, 0) : -EPERM;
}

/* proc and sysfs must stand where the kernel's own paths say: behind a symlink they would leave
 * their masks elsewhere. */
static bool wants_real_directory(const struct config_mount *m)
{
	return is_sysfs(m) || (!m->options.bind && m->type && strcmp(m->type, "proc") == 0);
}

/* By its name in its parent: with a slash behind the name, openat2 would follow a symlink. */
static int open_real_directory(int root, const char *path)
{
	char parent[PATH_BYTES_MAX];
	AUTO_CLOSE int dir = -1;
	char name[256];
	int fd = path_split(path, parent, sizeof(parent), name);

	if (fd < 0)
		return fd;
	dir = path_open_in_root(root, parent, O_PATH | O_DIRECTORY, 0);
	if (dir < 0)
		return dir;
	fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * Open the place to mount on; make it when it is missing.
 * @ret_made: whether it was
 */
static int open_target(int root, const struct config_mount *m, bool is_dir, bool *ret_made)
{
	int fd = wants_real_directory(m) ? open_real_directory(root, m->destination)
					 : path_open_in_root(root, m->destination, O_PATH, 0);
	int r;

	*ret_made = fd == -ENOENT && !m->options.remount;
	if (!*ret_made)
		return fd;
	if (is_dir)
		return path_make_dirs_through_links(root, m->destination, 0755);
	r = path_make_file_through_links(root, m->destination, 0644);
	return r < 0 ? r : path_open_in_root(root, m->destination, O_PATH, 0);
}

/* A new file system, with what fsmount(2) leaves to be done. @covered: as in mount_new */
static int open_new(const struct container *c, size_t i, int covered, struct err *e)
{
	const struct config_mount *m = &c->config->mounts[i];
	AUTO_CLOSE int fd = mount_new(c->config, i, covered, e);
	struct mount_options rest = {.top.propagation = m->options.top.propagation,
		.all.propagation = m->options.all.propagation};
	int r;

	if (fd < 0)
		return TAKE_FD(fd);
	if (m->options.tmpcopyup) {
		r = covered < 0 ? 0 : tmpcopyup(m, i, c->tree, fd, e);
		if (r < 0)
			return r;
		rest.top.set = mount_attributes(&m->options) & MOUNT_ATTR_RDONLY;
	}
	r = mount_apply(fd, &rest);
	return r < 0 ? err_set(e, -r, "mounts[%zu].options: %s", i, strerror(-r)) : TAKE_FD(fd);
}

/* What is to be mounted, detached. */
static int open_source(const struct container *c, size_t i, int covered, struct err *e)
{
	const struct config_mount *m = &c->config->mounts[i];
	int fd;

	if (m->options.bind)
		return c->binds[i].fd;
	if (!is_cgroup(m) || c->config->ns[NS_CGROUP].given) {
		fd = open_new(c, i, covered, e);
		return fd == -EPERM ? open_instead(c, m) : fd;
	}
	fd = ns_user_confined(c->config) ? open_cgroup_dir(c, m) : open_hosts_cgroups(m);
	return fd < 0 ? err_set(e, -fd, "mounts[%zu]: the host's cgroups: %s", i, strerror(-fd))
		      : fd;
}

/* Will the mount be needed again, for masks or by a "remount"? Its place may be another by then:
 * the directory it stands on can be moved by whoever shares it. */
static bool stays_open(const struct config *c, size_t i)
{
	if (wants_real_directory(&c->mounts[i]))
		return true;
	for (size_t k = i + 1; k < c->n_mounts; k++) {
		if (c->mounts[k].options.remount &&
			strcmp(c->mounts[k].destination, c->mounts[i].destination) == 0)
			return true;
	}
	return false;
}

/* The last mount before @i at the same destination; NULL if there is none. */
static const struct bind_source *mounted_before(const struct container *c, size_t i)
{
	const struct config_mount *mounts = c->config->mounts;

	for (size_t k = i; k-- > 0;) {
		if (!mounts[k].options.remount &&
			strcmp(mounts[k].destination, mounts[i].destination) == 0)
			return &c->binds[k];
	}
	return NULL;
}

static int mount_one(const struct container *c, struct rootfs *r, size_t i, struct err *e)
{
	const struct config_mount *m = &c->config->mounts[i];
	const struct bind_source *before = m->options.remount ? mounted_before(c, i) : NULL;
	bool is_dir = !m->options.bind || c->binds[i].is_dir;
	AUTO_CLOSE int target = -1;
	AUTO_CLOSE int fd = -1;
	bool made;
	int n;

	if (before)
		return mount_again(m, i, before->fd, e);
	target = open_target(r->root, m, is_dir, &made);

	if (target == -ENOTDIR && wants_real_directory(m))
		return err_set(e, ENOTDIR,
			"mounts[%zu].destination: %s must be a directory, not a symlink, in the "
			"root file system",
			i, m->destination);
	if (target < 0)
		return err_set(e, -target, "mounts[%zu].destination: open %s: %s", i,
			m->destination, strerror(-target));
	if (m->options.remount)
		return mount_again(m, i, target, e);
	fd = open_source(c, i, made ? -1 : target, e);
	if (fd < 0)
		return TAKE_FD(fd);
	n = mount_attach(fd, target);
	if (n < 0)
		return err_set(e, -n, "mounts[%zu].destination: mount on %s: %s", i, m->destination,
			strerror(-n));
	if (stays_open(c->config, i))
		c->binds[i].fd = TAKE_FD(fd);
	return 0;
}

int rootfs_mount_all(const struct container *c, struct rootfs *r, struct err *e)
{
	for (size_t i = 0; i < c->config->n_mounts; i++) {
		int n = mount_one(c, r, i, e);

		if (n < 0)
			return n;
	}
	return 0;
}
