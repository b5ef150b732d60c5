#include "runtime/oci/container.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "lib/util/path.h"
#include "runtime/oci/lsm.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define MNT_DETACH_FLAG 2 /* MNT_DETACH of sys/mount.h, which clashes with linux/mount.h */

static int set_propagation(int fd, const char *path, uint64_t flag, bool recursive)
{
	struct mount_attr attr = {.propagation = flag};
	unsigned at = recursive ? AT_RECURSIVE : 0;

	return sys_mount_setattr(
		       fd, path, at | (path[0] ? 0 : AT_EMPTY_PATH), &attr, sizeof(attr)) < 0
		       ? -errno
		       : 0;
}

int mount_attach(int from, int target)
{
	const unsigned empty = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

	return sys_move_mount(from, "", target, "", empty) < 0 ? -errno : 0;
}

int rootfs_attach(const struct container *c, struct rootfs *r, struct err *e)
{
	const char *path = c->state->rootfs;
	AUTO_CLOSE int place = -1;
	int n;

	/* Nothing that is mounted here may appear on the host; what is unmounted there may go. */
	n = set_propagation(AT_FDCWD, "/", MS_SLAVE, true);
	if (n == -EINVAL)
		return err_set(e, -n,
			"linux.namespaces: the host's / is no mount point, as in a "
			"chroot: no container can be made there");
	if (n < 0)
		return err_set(
			e, -n, "linux.namespaces: detach mounts from the host's: %s", strerror(-n));
	/* Hooks look for the root at its path. A user namespace may bar the way to it: then any
	 * directory will do, because pivot_root moves it in the end. */
	place = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place < 0)
		place = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	n = place < 0 ? -errno : mount_attach(c->tree, place);
	if (n < 0)
		return err_set(e, -n, "root.path: attach %s: %s", path, strerror(-n));
	r->root = c->tree;
	r->null = -1;
	r->empty = -1;
	return 0;
}

/* A copy of the host's /dev/null: the container's own may be anything. */
static int open_null(void)
{
	AUTO_CLOSE int fd =
		sys_open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return -ENODEV;
	return TAKE_FD(fd);
}

/* An empty directory that nobody can fill: one file system for all masked directories. */
static int open_empty(struct rootfs *r, const char *label)
{
	AUTO_CLOSE int fs = -1;

	if (r->empty >= 0)
		return sys_open_tree(
			r->empty, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	fs = sys_fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0 || sys_fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "1", 0) < 0 ||
		sys_fsconfig(fs, FSCONFIG_SET_STRING, "nr_blocks", "1", 0) < 0 ||
		lsm_label_new(fs, "tmpfs", label) < 0 ||
		sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	r->empty = sys_fsmount(fs, FSMOUNT_CLOEXEC,
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return r->empty;
}

/* What is left of @path below @dir; NULL if it is not below, or a ".." makes that hard to say. */
static const char *below(const char *dir, const char *path)
{
	for (;;) {
		size_t n;

		dir += strspn(dir, "/");
		path += strspn(path, "/");
		n = strcspn(dir, "/");
		if (n == 0)
			break;
		if (strcspn(path, "/") != n || strncmp(dir, path, n) != 0)
			return NULL;
		dir += n;
		path += n;
	}
	return strstr(path, "..") ? NULL : path;
}

/* Open what is to be covered. In proc and sysfs it is looked up from the mount that the runtime
 * made, wherever that is by now, and not from the root, where something else may have its name. */
static int open_covered(const struct container *c, const struct rootfs *r, const char *path)
{
	const char *rest = path;
	int from = r->root;
	int fd;

	for (size_t i = 0; i < c->config->n_mounts; i++) {
		const struct config_mount *m = &c->config->mounts[i];
		const char *found =
			m->options.bind || c->binds[i].fd < 0 ? NULL : below(m->destination, path);

		if (found) {
			from = c->binds[i].fd;
			rest = found;
		}
	}
	fd = path_open_in_root(from, rest, O_PATH, 0);
	/* A symlink there may lead out of it, as /proc/device-tree does. */
	return fd == -ENOENT && from != r->root ? path_open_in_root(r->root, path, O_PATH, 0) : fd;
}

static int mask_path(const struct container *c, struct rootfs *r, const char *path)
{
	AUTO_CLOSE int target = open_covered(c, r, path);
	AUTO_CLOSE int cover = -1;
	bool was_empty = r->empty >= 0;
	struct stat st;

	/* What is not there needs no mask. */
	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0)
		return target;
	if (fstat(target, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode)) {
		cover = open_null();
		return cover < 0 ? cover : mount_attach(cover, target);
	}
	cover = open_empty(r, c->config->mount_label);
	if (cover < 0)
		return -errno;
	if (!was_empty) {
		/* r->empty owns it */
		return mount_attach(TAKE_FD(cover), target);
	}
	return mount_attach(cover, target);
}

static int protect_path(const struct container *c, const struct rootfs *r, const char *path)
{
	AUTO_CLOSE int target = open_covered(c, r, path);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	AUTO_CLOSE int copy = -1;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0)
		return target;
	copy = sys_open_tree(
		target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (copy < 0 ||
		sys_mount_setattr(copy, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	return mount_attach(copy, target);
}

int rootfs_mask(const struct container *c, struct rootfs *r, struct err *e)
{
	const struct config *cfg = c->config;

	for (size_t i = 0; i < cfg->readonly_paths.n; i++) {
		const char *path = cfg->readonly_paths.v[i];
		int n = protect_path(c, r, path);

		if (n < 0)
			return err_set(
				e, -n, "linux.readonlyPaths[%zu]: %s: %s", i, path, strerror(-n));
	}
	for (size_t i = 0; i < cfg->masked_paths.n; i++) {
		const char *path = cfg->masked_paths.v[i];
		int n = mask_path(c, r, path);

		if (n < 0)
			return err_set(
				e, -n, "linux.maskedPaths[%zu]: %s: %s", i, path, strerror(-n));
	}
	fd_close(&r->empty);
	return 0;
}

int rootfs_pivot(const struct container *c, struct rootfs *r, struct err *e)
{
	const char *word = c->config->rootfs_propagation;
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	uint64_t flag = 0;
	bool recursive;

	if (c->config->root_readonly &&
		sys_mount_setattr(r->root, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_set(e, errno, "root.readonly: %s", strerror(errno));
	/* The old root lands on top of the new one and is taken off again: no directory for it is
	 * needed. Source: pivot_root(2) "pivot_root(".", ".")". */
	if (fchdir(r->root) < 0 || sys_pivot_root(".", ".") < 0)
		return err_set(e, errno, "root.path: pivot_root: %s", strerror(errno));
	if (sys_umount2(".", MNT_DETACH_FLAG) < 0)
		return err_set(e, errno, "root.path: detach the host's root: %s", strerror(errno));
	if (chdir("/") < 0)
		return err_set(e, errno, "root.path: chdir: %s", strerror(errno));
	/* After pivot_root, which wants a root that is not shared. */
	if (word && word[0] && mount_propagation(word, &flag, &recursive) == 0) {
		int n = set_propagation(AT_FDCWD, "/", flag, recursive);

		if (n < 0)
			return err_set(
				e, -n, "linux.rootfsPropagation: %s: %s", word, strerror(-n));
	}
	return 0;
}
