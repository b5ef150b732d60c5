/* How much a container has written. */
#include "lib/base/fd.h"
#include "runtime/engine/container.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* directories in directories; what lies deeper is not counted */
#define DEPTH_MAX 256

/* Bytes of all files below the directory @fd, which is taken over. */
static int64_t count(int fd, unsigned depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *entry;
	int64_t bytes = 0;

	if (!d) {
		close(fd);
		return 0;
	}
	while ((entry = readdir(d))) {
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
			int sub = openat(dirfd(d), entry->d_name,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			bytes += sub < 0 ? 0 : count(sub, depth + 1);
		} else if (!S_ISDIR(st.st_mode)) {
			bytes += st.st_size;
		}
	}
	closedir(d);
	return bytes;
}

int64_t size_below(int fd)
{
	return count(fd, 0);
}

int64_t container_size_rw(struct engine *en, const struct container *c)
{
	char path[4096];
	int fd;

	container_path(en, c, "upper", path, sizeof(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : size_below(fd);
}

int64_t container_size_all(struct engine *en, const struct container *c)
{
	struct image_record image;
	struct err ignored = {0};
	int64_t bytes = container_size_rw(en, c);

	if (image_store_get(&en->images, container_image(c), &image, &ignored) == 0) {
		bytes += image.size;
		image_record_free(&image);
	}
	return bytes;
}
