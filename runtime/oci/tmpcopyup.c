#include "runtime/oci/tmpcopyup.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "lib/util/copytree.h"
#include "runtime/oci/container.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>

/*
 * The image's directory as it is without mounts, through a mount of its own: nothing is written
 * there, not even an access time, and whatever somebody puts into it meanwhile, no symlink is
 * followed and no device opened.
 */
static int open_image(int root, const char *path)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSYMFOLLOW};
	AUTO_CLOSE int place = path_open_in_mount(root, path, O_PATH | O_DIRECTORY);
	AUTO_CLOSE int tree = -1;
	int fd;

	if (place < 0)
		return TAKE_FD(place);
	tree = sys_open_tree(place, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0 || sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	fd = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The directory at the top has an owner and a mode already where the options name them. */
static int stat_top(const struct config_mount *m, int from, int to, struct stat *st)
{
	struct stat own;

	if (fstat(from, st) < 0 || fstat(to, &own) < 0)
		return -errno;
	if (mount_has_data(m, "mode"))
		st->st_mode = own.st_mode;
	if (mount_has_data(m, "uid"))
		st->st_uid = own.st_uid;
	if (mount_has_data(m, "gid"))
		st->st_gid = own.st_gid;
	return 0;
}

int tmpcopyup(const struct config_mount *m, size_t i, int root, int tmpfs, struct err *e)
{
	AUTO_CLOSE int from = open_image(root, m->destination);
	AUTO_CLOSE int to = openat(tmpfs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char at[PATH_BYTES_MAX] = "";
	struct stat st;
	int r = from < 0 ? from : 0;

	/* What is mounted there is not the image's. */
	if (r == -EXDEV)
		return 0;
	if (r == 0 && to < 0)
		r = -errno;
	if (r == 0)
		r = stat_top(m, from, to, &st);
	if (r == 0)
		r = copytree(from, to, &st, at);
	return r < 0 ? err_set(e, -r, "mounts[%zu].options: \"tmpcopyup\": %s%s: %s", i,
			       m->destination, at, strerror(-r))
		     : 0;
}
