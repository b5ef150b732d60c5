#include "runtime/oci/container.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "lib/util/path.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Source: OCI config-linux.md "Default Devices". */
static const struct {
	const char *name;
	unsigned minor;
	unsigned major;
} nodes[] = {
	{"null", 3, 1},
	{"zero", 5, 1},
	{"full", 7, 1},
	{"random", 8, 1},
	{"urandom", 9, 1},
	{"tty", 0, 5},
};

static const struct {
	const char *target;
	const char *name;
} links[] = {
	{"/proc/self/fd", "fd"},
	{"/proc/self/fd/0", "stdin"},
	{"/proc/self/fd/1", "stdout"},
	{"/proc/self/fd/2", "stderr"},
	/* With a devpts of the container's own; it is never the host's /dev/ptmx. */
	{"pts/ptmx", "ptmx"},
};

const char *rootfs_default_device(size_t i)
{
	return i < sizeof(nodes) / sizeof(nodes[0]) ? nodes[i].name : NULL;
}

/* A node that is already there must be exactly the one that was asked for. */
static int check_node(int dir, const char *name, mode_t type, dev_t dev)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != type || (type != S_IFIFO && st.st_rdev != dev))
		return -EEXIST;
	return 0;
}

/* In a user namespace nobody may make nodes: the host's is bound over an empty file. */
static int bind_node(int dir, const char *name, const char *host_path, mode_t type, dev_t dev)
{
	AUTO_CLOSE int from =
		sys_open_tree(AT_FDCWD, host_path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	AUTO_CLOSE int to = -1;
	struct stat st;
	int n;

	if (from < 0 || fstat(from, &st) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != type || st.st_rdev != dev)
		return -ENODEV;
	to = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (to < 0 && errno != EEXIST)
		return -errno;
	fd_close(&to);
	to = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0 || fstat(to, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return (st.st_mode & S_IFMT) == type && st.st_rdev == dev ? 1 : -EEXIST;
	n = mount_attach(from, to);
	return n < 0 ? n : 1;
}

/* Returns 0 when the node is the container's, 1 when it is the host's; -errno. */
static int make_node(const struct container *c, int dir, const char *name, const char *host_path,
	mode_t mode, dev_t dev)
{
	const mode_t type = mode & S_IFMT;

	if (c->config->ns[NS_USER].given && type != S_IFIFO)
		return bind_node(dir, name, host_path, type, dev);
	if (mknodat(dir, name, mode, dev) == 0)
		return 0;
	if (errno == EEXIST)
		return check_node(dir, name, type, dev);
	/* Inside another container's user namespace it is as in one of our own. */
	return errno == EPERM && type != S_IFIFO ? bind_node(dir, name, host_path, type, dev)
						 : -errno;
}

static int make_defaults(const struct container *c, int dev, struct err *e)
{
	char path[32];

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		int n;

		snprintf(path, sizeof(path), "/dev/%s", nodes[i].name);
		n = make_node(c, dev, nodes[i].name, path, S_IFCHR | 0666,
			makedev(nodes[i].major, nodes[i].minor));
		if (n < 0)
			return err_set(e, -n, "%s: make the device: %s", path,
				n == -EEXIST ? "something else is there in the root file system"
					     : strerror(-n));
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (symlinkat(links[i].target, dev, links[i].name) < 0 && errno != EEXIST)
			return err_set(e, errno, "/dev/%s: make the link: %s", links[i].name,
				strerror(errno));
	}
	return 0;
}

static mode_t device_type(const struct config_device *d)
{
	switch (d->type[0]) {
	case 'b':
		return S_IFBLK;
	case 'p':
		return S_IFIFO;
	default:
		return S_IFCHR;
	}
}

static int make_configured(const struct container *c, struct rootfs *r, size_t i, struct err *e)
{
	const struct config_device *d = &c->config->devices[i];
	mode_t mode = device_type(d) | (d->mode.set ? (mode_t)(d->mode.v & 07777) : 0666);
	dev_t dev = makedev((unsigned)d->major.v, (unsigned)d->minor.v);
	char parent[PATH_BYTES_MAX];
	AUTO_CLOSE int dir = -1;
	char name[256];
	int n;

	/* Who asks for all of the host's devices lists this one too; see links. */
	if (strcmp(d->path, "/dev/ptmx") == 0)
		return 0;
	n = path_split(d->path, parent, sizeof(parent), name);
	if (n == 0) {
		dir = path_make_dirs_through_links(r->root, parent, 0755);
		n = dir < 0 ? dir : make_node(c, dir, name, d->path, mode, dev);
	}
	if (n == 0 && (d->uid || d->gid) &&
		fchownat(dir, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
		n = -errno;
	if (n == -EEXIST)
		return err_set(e, EEXIST, "linux.devices[%zu].path: %s: something else is there", i,
			d->path);
	if (n == -ENODEV)
		return err_set(e, ENODEV,
			"linux.devices[%zu].path: %s: the host has another device there", i,
			d->path);
	return n < 0 ? err_set(e, -n, "linux.devices[%zu].path: %s: %s", i, d->path, strerror(-n))
		     : 0;
}

/* Is @path /dev, however many slashes and dots it is written with? */
static bool is_dev(const char *path)
{
	path += strspn(path, "/");
	if (strncmp(path, "dev", 3) != 0 || (path[3] && path[3] != '/'))
		return false;
	for (path += 3; *path; path++) {
		if (*path != '/' && !(*path == '.' && path[-1] == '/' && strchr("/", path[1])))
			return false;
	}
	return true;
}

/* A /dev that comes from the host has what it has. */
static bool dev_is_bound(const struct config *c)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct config_mount *m = &c->mounts[i];

		if (m->options.bind && !m->options.remount && is_dev(m->destination))
			return true;
	}
	return false;
}

static bool is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* Standard descriptors that are the caller's /dev/null become the container's: what a mount of the
 * host's holds would tie it to the host, and could not be checkpointed. */
static int reopen_null(const struct container *c, int dev)
{
	AUTO_CLOSE int place = -1;
	struct stat st;

	for (int fd = 0; fd < 3; fd++) {
		AUTO_CLOSE int own = -1;
		char link[32];

		if (fstat(fd, &st) < 0 || !is_null(&st))
			continue;
		if (place < 0)
			place = openat(dev, "null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (place < 0 || fstat(place, &st) < 0)
			return -errno;
		if (!is_null(&st))
			return -ENODEV;
		snprintf(link, sizeof(link), "self/fd/%d", place);
		own = openat(c->host_proc, link, (fcntl(fd, F_GETFL) & O_ACCMODE) | O_CLOEXEC);
		if (own < 0 || dup2(own, fd) < 0)
			return -errno;
	}
	return 0;
}

int rootfs_make_devices(const struct container *c, struct rootfs *r, struct err *e)
{
	AUTO_CLOSE int dev = -1;
	int n = 0;

	if (dev_is_bound(c->config))
		return 0;
	dev = path_make_dirs_through_links(r->root, "/dev", 0755);
	if (dev < 0)
		return err_set(e, -dev, "/dev: %s", strerror(-dev));
	n = make_defaults(c, dev, e);
	if (n >= 0) {
		n = reopen_null(c, dev);
		if (n < 0)
			err_set(e, -n, "/dev/null: open it anew: %s", strerror(-n));
	}
	for (size_t i = 0; n >= 0 && i < c->config->n_devices; i++)
		n = make_configured(c, r, i, e);
	return n;
}
