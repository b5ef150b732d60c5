#include "lib/util/xattrs.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

static int prepare(struct xattrs *x)
{
	if (!x->list)
		x->list = malloc(XATTR_LIST_MAX);
	if (!x->value)
		x->value = malloc(XATTR_SIZE_MAX);
	return x->list && x->value ? 0 : -ENOMEM;
}

/* Gone meanwhile, an id that the user namespace does not know, not for this file system, not for
 * this caller. */
static int unless_out_of_place(int err)
{
	return err == ENODATA || err == EOVERFLOW || err == EOPNOTSUPP || err == EPERM ? 0 : -err;
}

int xattrs_copy(struct xattrs *x, int from, int to)
{
	ssize_t len = flistxattr(from, NULL, 0);

	if (len <= 0)
		return len < 0 ? unless_out_of_place(errno) : 0;
	if (prepare(x) < 0)
		return -ENOMEM;
	len = flistxattr(from, x->list, XATTR_LIST_MAX);
	if (len < 0)
		return -errno;
	for (const char *name = x->list; name < x->list + len; name += strlen(name) + 1) {
		ssize_t size = fgetxattr(from, name, x->value, XATTR_SIZE_MAX);
		int r = size < 0 || fsetxattr(to, name, x->value, (size_t)size, 0) < 0
				? unless_out_of_place(errno)
				: 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* There are no calls for a name in a directory before Linux 6.13: the working directory it is. */
static int enter(struct xattrs *x, int dir)
{
	if (!x->cwd) {
		int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (cwd < 0)
			return -errno;
		x->cwd = cwd + 1;
	}
	return fchdir(dir) < 0 ? -errno : 0;
}

static int copy_one(struct xattrs *x, int from_dir, int to_dir, const char *file, const char *name)
{
	ssize_t size;
	int r = enter(x, from_dir);

	if (r < 0)
		return r;
	size = lgetxattr(file, name, x->value, XATTR_SIZE_MAX);
	if (size < 0)
		return unless_out_of_place(errno);
	r = enter(x, to_dir);
	if (r == 0 && lsetxattr(file, name, x->value, (size_t)size, 0) < 0)
		r = unless_out_of_place(errno);
	return r;
}

int xattrs_copy_named(struct xattrs *x, int from_dir, int to_dir, const char *name)
{
	ssize_t len;
	int r = enter(x, from_dir);

	if (r < 0)
		return r;
	len = llistxattr(name, NULL, 0);
	if (len <= 0)
		return len < 0 ? unless_out_of_place(errno) : 0;
	if (prepare(x) < 0)
		return -ENOMEM;
	len = llistxattr(name, x->list, XATTR_LIST_MAX);
	if (len < 0)
		return -errno;
	for (const char *one = x->list; r == 0 && one < x->list + len; one += strlen(one) + 1)
		r = copy_one(x, from_dir, to_dir, name, one);
	return r;
}

void xattrs_end(struct xattrs *x)
{
	int cwd = x->cwd - 1;

	free(x->list);
	free(x->value);
	if (cwd >= 0) {
		(void)!fchdir(cwd);
		fd_close(&cwd);
	}
	*x = (struct xattrs){0};
}
