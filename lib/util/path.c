#include "lib/util/path.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* symlinks to nowhere followed in one call: as many as the kernel follows in one path */
#define LINKS_MAX 40

/* times that a path with ".." is looked up while somebody renames; a second of it is less */
#define TRIES_MAX 10000

static int open_in_root(int rootfd, const char *path, int flags, mode_t mode, uint64_t more)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | more,
	};
	unsigned tries = TRIES_MAX;
	int fd;

	/* EAGAIN: a rename or mount raced with a ".." on the way; openat2(2) says to try again. Who
	 * renames without end must not keep us for ever. */
	do {
		fd = sys_openat2(rootfd, path[0] ? path : ".", &how);
	} while (fd < 0 && (errno == EINTR || (errno == EAGAIN && --tries)));
	return fd < 0 ? -errno : fd;
}

int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode)
{
	return open_in_root(rootfd, path, flags, mode, 0);
}

int path_open_in_mount(int rootfd, const char *path, int flags)
{
	return open_in_root(rootfd, path, flags, 0, RESOLVE_NO_XDEV);
}

/* Open the directory that the first @len bytes of @path name. */
static int open_prefix(int rootfd, char *path, size_t len)
{
	char next = path[len];
	int fd;

	path[len] = '\0';
	fd = path_open_in_root(rootfd, path, O_PATH | O_DIRECTORY, 0);
	path[len] = next;
	return fd;
}

/*
 * Put the text of the symlink @name in @dir into the place of the bytes @start to @end of @path,
 * where it stands; an absolute one also takes the place of what is before it.
 * Returns where the new text starts; -ENOENT if there is no symlink (any more); -ENAMETOOLONG.
 */
static int splice_link(
	int dir, const char *name, char path[static PATH_BYTES_MAX], size_t start, size_t end)
{
	char text[PATH_BYTES_MAX];
	ssize_t len = readlinkat(dir, name, text, sizeof(text));
	size_t rest = strlen(path + end) + 1;

	if (len < 0)
		return errno == EINVAL ? -ENOENT : -errno;
	if (len > 0 && text[0] == '/')
		start = 0;
	if (start + (size_t)len + rest > PATH_BYTES_MAX)
		return -ENAMETOOLONG;
	memmove(path + start + len, path + end, rest);
	memcpy(path + start, text, (size_t)len);
	return (int)start;
}

static int make_dirs(int rootfd, const char *path, mode_t mode, unsigned links_left)
{
	AUTO_CLOSE int dir = path_open_in_root(rootfd, ".", O_PATH | O_DIRECTORY, 0);
	char whole[PATH_BYTES_MAX];
	size_t len = strlen(path);
	size_t end = 0;

	if (len >= sizeof(whole))
		return -ENAMETOOLONG;
	memcpy(whole, path, len + 1);
	/* Each round resolves one component more, always from the root: a symlink or ".." in the
	 * middle then means what it means to the container. */
	while (dir >= 0) {
		size_t start = end + strspn(whole + end, "/");
		char name[256];
		int next;

		end = start + strcspn(whole + start, "/");
		if (end == start)
			return TAKE_FD(dir);
		if (end - start >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, whole + start, end - start);
		name[end - start] = '\0';
		next = open_prefix(rootfd, whole, end);
		if (next == -ENOENT) {
			if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)
				return -errno;
			next = open_prefix(rootfd, whole, end);
		}
		if (next == -ENOENT) {
			int at = links_left-- ? splice_link(dir, name, whole, start, end) : -ELOOP;

			if (at < 0)
				return at;
			end = (size_t)at;
			next = open_prefix(rootfd, whole, end);
		}
		fd_close(&dir);
		dir = next;
	}
	return TAKE_FD(dir);
}

int path_make_dirs_in_root(int rootfd, const char *path, mode_t mode)
{
	return make_dirs(rootfd, path, mode, 0);
}

int path_make_dirs_through_links(int rootfd, const char *path, mode_t mode)
{
	return make_dirs(rootfd, path, mode, LINKS_MAX);
}

int path_make_file_through_links(int rootfd, const char *path, mode_t mode)
{
	const int flags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
	char whole[PATH_BYTES_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(whole))
		return -ENAMETOOLONG;
	memcpy(whole, path, len + 1);
	for (unsigned links = 0; links <= LINKS_MAX; links++) {
		AUTO_CLOSE int there = path_open_in_root(rootfd, whole, O_PATH, 0);
		AUTO_CLOSE int dir = -1;
		AUTO_CLOSE int file = -1;
		char parent[PATH_BYTES_MAX];
		char name[256];
		size_t end = strlen(whole);
		int r;

		if (there != -ENOENT)
			return there < 0 ? TAKE_FD(there) : 0;
		r = path_split(whole, parent, sizeof(parent), name);
		if (r < 0)
			return r;
		dir = path_make_dirs_through_links(rootfd, parent, 0755);
		if (dir < 0)
			return TAKE_FD(dir);
		file = openat(dir, name, flags, mode);
		if (file >= 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
		/* A symlink to nowhere; or something that came this moment, seen in the next round.
		 */
		while (whole[end - 1] == '/')
			whole[--end] = '\0';
		r = splice_link(dir, name, whole, end - strlen(name), end);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return -ELOOP;
}

int path_split(const char *path, char *parent, size_t size, char name_buf[static 256])
{
	size_t end = strlen(path);
	size_t start;

	while (end > 0 && path[end - 1] == '/')
		end--;
	start = end;
	while (start > 0 && path[start - 1] != '/')
		start--;
	if (end == start)
		return -EINVAL;
	if (end - start >= 256 || start >= size || size < 2)
		return -ENAMETOOLONG;
	memcpy(name_buf, path + start, end - start);
	name_buf[end - start] = '\0';
	if (strcmp(name_buf, ".") == 0 || strcmp(name_buf, "..") == 0)
		return -EINVAL;
	while (start > 1 && path[start - 1] == '/')
		start--;
	if (start == 0) {
		memcpy(parent, ".", 2);
		return 0;
	}
	memcpy(parent, path, start);
	parent[start] = '\0';
	return 0;
}
