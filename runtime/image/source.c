#include "runtime/image/source.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/util/path.h"
#include "runtime/image/limits.h"
#include "runtime/image/stream.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yyjson.h>

void blob_close(struct blob *b)
{
	if (b->owned)
		fd_close(&b->fd);
	*b = (struct blob){.fd = -1};
}

/* Unpack the compressed tar file @b into a file without a name. Returns its descriptor, -errno. */
static int spool(const struct blob *b, int dirfd, uint64_t bytes_max, struct err *e)
{
	/* O_TMPFILE is missing on overlayfs before Linux 6.6, where builds in containers run. */
	AUTO_CLOSE int fd = openat(dirfd, "image.tar", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stream s;
	const void *buf;
	ssize_t n;
	int r;

	if (fd < 0 || unlinkat(dirfd, "image.tar", 0) < 0)
		return err_set(
			e, errno, "make a file to unpack the image into: %s", strerror(errno));
	r = stream_open(&s, b, PACKING_ANY, NULL, NULL, bytes_max, e);
	if (r < 0)
		return r;
	while ((n = stream_next(&s, &buf, e)) > 0) {
		r = io_write_all(fd, buf, (size_t)n);
		if (r < 0) {
			n = err_set(e, -r, "unpack the image: %s", strerror(-r));
			break;
		}
	}
	stream_close(&s);
	return n < 0 ? (int)n : TAKE_FD(fd);
}

int image_source_open(struct image_source *s, const char *path, int spool_dirfd,
	uint64_t spool_bytes_max, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	struct blob whole;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "%s: %s", path, strerror(errno));
	*s = (struct image_source){.dirfd = -1, .fd = -1};
	if (S_ISDIR(st.st_mode)) {
		s->dirfd = TAKE_FD(fd);
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s: is neither a directory nor a file", path);
	whole = (struct blob){.fd = fd, .size = (uint64_t)st.st_size};
	r = stream_detect(&whole);
	if (r < 0)
		return err_set(e, -r, "%s: %s", path, strerror(-r));
	if (r != PACKING_NONE) {
		r = spool(&whole, spool_dirfd, spool_bytes_max, e);
		if (r < 0)
			return err_wrap(e, "%s", path);
		fd_close(&fd);
		fd = r;
		if (fstat(fd, &st) < 0)
			return err_set(e, errno, "%s: %s", path, strerror(errno));
	}
	r = tar_index_read(fd, (uint64_t)st.st_size, &s->index, e);
	if (r < 0)
		return err_wrap(e, "%s", path);
	s->fd = TAKE_FD(fd);
	return 0;
}

int image_source_of_file(struct image_source *s, int fd, const char *name, struct err *e)
{
	struct tar_member *m = calloc(1, sizeof(*m));
	struct stat st;

	*s = (struct image_source){.dirfd = -1, .fd = fd, .index = {.members = m}};
	if (m)
		m->name = strdup(name);
	if (!m || !m->name || fstat(fd, &st) < 0) {
		int saved = m && m->name ? errno : ENOMEM;

		image_source_close(s);
		return err_set(e, saved, "open a layer: %s", strerror(saved));
	}
	m->size = (uint64_t)st.st_size;
	s->index.n_members = 1;
	return 0;
}

void image_source_close(struct image_source *s)
{
	fd_close(&s->dirfd);
	fd_close(&s->fd);
	tar_index_free(&s->index);
}

int image_source_blob(
	const struct image_source *s, const char *name, struct blob *ret, struct err *e)
{
	const struct tar_member *m;
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (s->dirfd < 0) {
		m = tar_index_find(&s->index, name);
		if (!m)
			return err_set(e, ENOENT, "%s: is not in the image", name);
		*ret = (struct blob){.fd = s->fd, .offset = m->offset, .size = m->size};
		return 0;
	}
	/* O_NONBLOCK: a fifo in the place of a blob must not stop us. */
	fd = path_open_in_root(s->dirfd, name, O_RDONLY | O_NONBLOCK, 0);
	if (fd == -ENOENT)
		return err_set(e, ENOENT, "%s: is not in the image", name);
	if (fd < 0)
		return err_set(e, -fd, "%s: %s", name, strerror(-fd));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s: is no regular file", name);
	*ret = (struct blob){.fd = TAKE_FD(fd), .owned = 1, .size = (uint64_t)st.st_size};
	return 0;
}

int image_source_has(const struct image_source *s, const char *name)
{
	struct blob b;

	if (image_source_blob(s, name, &b, NULL) < 0)
		return 0;
	blob_close(&b);
	return 1;
}

int image_source_read(const struct image_source *s, const char *name, char **ret_text,
	size_t *ret_len, struct err *e)
{
	struct blob b;
	char *text;
	int r = image_source_blob(s, name, &b, e);

	if (r < 0)
		return r;
	if (b.size > IMAGE_JSON_BYTES_MAX) {
		blob_close(&b);
		return err_set(e, EFBIG, "%s: %llu bytes, at most %u are read", name,
			(unsigned long long)b.size, IMAGE_JSON_BYTES_MAX);
	}
	text = malloc(b.size + YYJSON_PADDING_SIZE);
	if (!text)
		r = err_set(e, ENOMEM, "%s: no memory", name);
	else if (io_pread_all(b.fd, text, b.size, b.offset) < 0)
		r = err_set(e, EIO, "%s: could not be read whole", name);
	if (r < 0) {
		free(text);
	} else {
		*ret_text = text;
		*ret_len = b.size;
	}
	blob_close(&b);
	return r;
}
