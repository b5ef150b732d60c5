#include "lib/util/path.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	/* EAGAIN: a rename or mount raced with a ".." on the way; openat2(2) says to try again. */
	do {
		fd = sys_openat2(rootfd, path[0] ? path : ".", &how);
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : fd;
}

int path_make_dirs_in_root(int rootfd, const char *path, mode_t mode)
{
	AUTO_CLOSE int dir = path_open_in_root(rootfd, ".", O_PATH | O_DIRECTORY, 0);
	char prefix[PATH_BYTES_MAX];
	size_t len = strlen(path);
	size_t end = 0;

	if (dir < 0)
		return TAKE_FD(dir);
	if (len >= sizeof(prefix))
		return -ENAMETOOLONG;
	/* Each round resolves one component more, always from the root: a symlink or ".." in the
	 * middle then means what it means to the container. */
	while (path[end]) {
		size_t start = end + strspn(path + end, "/");
		char name[256];
		int next;

		end = start + strcspn(path + start, "/");
		if (end == start)
			break;
		if (end - start >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, path + start, end - start);
		name[end - start] = '\0';
		memcpy(prefix, path, end);
		prefix[end] = '\0';
		next = path_open_in_root(rootfd, prefix, O_PATH | O_DIRECTORY, 0);
		if (next == -ENOENT) {
			if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)
				return -errno;
			next = path_open_in_root(rootfd, prefix, O_PATH | O_DIRECTORY, 0);
			if (next == -ENOENT)
				next = -ELOOP;
		}
		if (next < 0)
			return next;
		fd_close(&dir);
		dir = next;
	}
	return TAKE_FD(dir);
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
