#include "lib/util/rmtree.h"

#include "lib/base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Unlink a file or an empty directory. Returns 0, 1 for a directory with something in it, -errno.
 */
static int remove_one(int dirfd, const char *name)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0)
		return 0;
	return errno == ENOTEMPTY || errno == EEXIST ? 1 : -errno;
}

/* A listing of @dirfd that has a descriptor of its own, because closedir closes it. */
static DIR *list(int dirfd)
{
	int fd = openat(dirfd, ".", DIR_FLAGS);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

/* Make @name in @top empty: its files go, its directories that are not empty move up into @top. */
static int flatten(int top, const char *name, unsigned long *serial)
{
	AUTO_CLOSE int fd = openat(top, name, DIR_FLAGS);
	struct dirent *entry;
	DIR *d;
	int r = 0;

	if (fd < 0)
		return -errno;
	d = list(fd);
	if (!d)
		return -errno;
	while (r == 0 && (entry = readdir(d))) {
		char unique[64];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = remove_one(fd, entry->d_name);
		if (r <= 0)
			continue;
		/* A name may exist in @top already; then the next number is tried. */
		do {
			snprintf(unique, sizeof(unique), ".rmtree-%lu", (*serial)++);
			r = renameat(fd, entry->d_name, top, unique) < 0 ? -errno : 0;
		} while (r == -EEXIST || r == -ENOTEMPTY || r == -ENOTDIR);
	}
	closedir(d);
	return r;
}

int rmtree_contents(int dirfd)
{
	unsigned long serial = 0;
	int again = 1;

	/* Directories move up while we list, so list again until a pass meets nothing. */
	while (again) {
		DIR *d = list(dirfd);
		struct dirent *entry;
		int r = 0;

		if (!d)
			return -errno;
		again = 0;
		while (r >= 0 && (entry = readdir(d))) {
			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
				continue;
			again = 1;
			r = remove_one(dirfd, entry->d_name);
			if (r > 0)
				r = flatten(dirfd, entry->d_name, &serial);
			if (r == 0)
				r = remove_one(dirfd, entry->d_name);
		}
		closedir(d);
		if (r < 0)
			return r;
	}
	return 0;
}

int rmtree_contents_but(int dirfd, int (*keep)(void *arg, const char *name), void *arg)
{
	DIR *d = list(dirfd);
	struct dirent *entry;
	int r = 0;

	if (!d)
		return -errno;
	while (r >= 0 && (entry = readdir(d))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = keep(arg, entry->d_name);
		if (r == 0)
			r = rmtree_at(dirfd, entry->d_name);
	}
	closedir(d);
	return r < 0 ? r : 0;
}

int rmtree_at(int dirfd, const char *name)
{
	AUTO_CLOSE int fd = -1;
	int r = remove_one(dirfd, name);

	if (r <= 0)
		return r;
	fd = openat(dirfd, name, DIR_FLAGS);
	if (fd < 0)
		return -errno;
	r = rmtree_contents(fd);
	return r < 0 ? r : remove_one(dirfd, name);
}
