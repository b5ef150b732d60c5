#include "lib/util/copytree.h"

#include "lib/base/fd.h"
#include "lib/util/xattrs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>

/* The first name of a file that has several. */
struct first_name {
	dev_t dev;
	ino_t ino;
	char *path; /* relative to the top */
};

struct copy {
	int top;
	char *path; /* of the entry at hand, below the top: "", "/a", "/a/b" */
	size_t len;
	unsigned depth;
	struct first_name *names;
	size_t n_names;
	struct xattrs xattrs;
};

static int copy_directory(struct copy *c, int from, int to);

/* Owner before attributes, because a change of owner takes capabilities away, and before the mode,
 * because it takes set-user-id away. Times last. */
static int finish(struct copy *c, int from, int to, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	int r;

	if (fchown(to, st->st_uid, st->st_gid) < 0)
		return -errno;
	r = xattrs_copy(&c->xattrs, from, to);
	if (r < 0)
		return r;
	if (fchmod(to, st->st_mode & 07777) < 0 || futimens(to, times) < 0)
		return -errno;
	return 0;
}

/* The same for what cannot be opened. @to is ours alone: @name there is what we have just made. */
static int finish_name(struct copy *c, int from, int to, const char *name, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	int r;

	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	r = xattrs_copy_named(&c->xattrs, from, to, name);
	if (r < 0)
		return r;
	if ((!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0) ||
		utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

/* From @start to @end of the same place in both files. A file that became shorter ends early. */
static int copy_range(int from, int to, off_t start, off_t end)
{
	if (lseek(to, start, SEEK_SET) < 0)
		return -errno;
	while (start < end) {
		ssize_t n = sendfile(to, from, &start, (size_t)(end - start));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
	}
	return 0;
}

/* A hole costs a tmpfs no memory only if it stays one. */
static int copy_data(int from, int to, off_t size)
{
	off_t end = 0;

	while (end < size) {
		off_t start = lseek(from, end, SEEK_DATA);
		int r;

		if (start < 0 && errno == ENXIO)
			break;
		end = start < 0 ? start : lseek(from, start, SEEK_HOLE);
		if (end < 0)
			return -errno;
		r = copy_range(from, to, start, end < size ? end : size);
		if (r < 0)
			return r;
	}
	return ftruncate(to, size) < 0 ? -errno : 0;
}

static int copy_file(struct copy *c, int from, int to, const char *name)
{
	AUTO_CLOSE int src =
		openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	AUTO_CLOSE int dst = -1;
	struct stat st;
	int r;

	if (src < 0 || fstat(src, &st) < 0)
		return -errno;
	/* It was one a moment ago. */
	if (!S_ISREG(st.st_mode))
		return -ESTALE;
	dst = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (dst < 0)
		return -errno;
	r = copy_data(src, dst, st.st_size);
	return r < 0 ? r : finish(c, src, dst, &st);
}

static int copy_subdirectory(struct copy *c, int from, int to, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	AUTO_CLOSE int src = openat(from, name, flags);
	AUTO_CLOSE int dst = -1;
	struct stat st;
	int r;

	if (c->depth == COPYTREE_DEPTH_MAX)
		return -ELOOP;
	if (src < 0 || fstat(src, &st) < 0 || mkdirat(to, name, 0700) < 0)
		return -errno;
	dst = openat(to, name, flags);
	if (dst < 0)
		return -errno;
	c->depth++;
	r = copy_directory(c, src, dst);
	c->depth--;
	return r < 0 ? r : finish(c, src, dst, &st);
}

static int copy_symlink(struct copy *c, int from, int to, const char *name, const struct stat *st)
{
	char text[PATH_BYTES_MAX];
	ssize_t len = readlinkat(from, name, text, sizeof(text));

	if (len < 0)
		return -errno;
	if ((size_t)len == sizeof(text))
		return -ENAMETOOLONG;
	text[len] = '\0';
	return symlinkat(text, to, name) < 0 ? -errno : finish_name(c, from, to, name, st);
}

static int copy_special(struct copy *c, int from, int to, const char *name, const struct stat *st)
{
	if (mknodat(to, name, st->st_mode & (S_IFMT | 0777), st->st_rdev) < 0)
		return -errno;
	return finish_name(c, from, to, name, st);
}

/* Returns 1 if the file at hand has been copied under another name, and has this one too now. */
static int link_again(const struct copy *c, int to, const char *name, const struct stat *st)
{
	for (size_t k = 0; k < c->n_names; k++) {
		const struct first_name *f = &c->names[k];

		if (f->ino == st->st_ino && f->dev == st->st_dev)
			return linkat(c->top, f->path, to, name, 0) < 0 ? -errno : 1;
	}
	return 0;
}

static int remember(struct copy *c, const struct stat *st)
{
	struct first_name *more;

	if (c->n_names == COPYTREE_LINKED_MAX)
		return -EMLINK;
	/* Grows whenever the number is a power of two. */
	if ((c->n_names & (c->n_names - 1)) == 0) {
		more = reallocarray(c->names, c->n_names ? 2 * c->n_names : 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		c->names = more;
	}
	more = &c->names[c->n_names];
	*more = (struct first_name){
		.dev = st->st_dev, .ino = st->st_ino, .path = strdup(c->path + 1)};
	if (!more->path)
		return -ENOMEM;
	c->n_names++;
	return 0;
}

static int copy_entry(struct copy *c, int from, int to, const char *name)
{
	struct stat st;
	int r;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return copy_subdirectory(c, from, to, name);
	if (st.st_nlink > 1) {
		r = link_again(c, to, name, &st);
		if (r == 0)
			r = remember(c, &st);
		else
			return r < 0 ? r : 0;
		if (r < 0)
			return r;
	}
	if (S_ISREG(st.st_mode))
		return copy_file(c, from, to, name);
	if (S_ISLNK(st.st_mode))
		return copy_symlink(c, from, to, name, &st);
	return copy_special(c, from, to, name, &st);
}

/* On failure c->path stays at what failed. */
static int copy_directory(struct copy *c, int from, int to)
{
	int listing = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = listing < 0 ? NULL : fdopendir(listing);
	const size_t len = c->len;
	struct dirent *entry;
	int r = 0;

	if (!d) {
		r = -errno;
		fd_close(&listing);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(d))) {
		size_t name_len = strlen(entry->d_name);

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (len + 1 + name_len >= PATH_BYTES_MAX) {
			r = -ENAMETOOLONG;
			break;
		}
		c->path[len] = '/';
		memcpy(c->path + len + 1, entry->d_name, name_len + 1);
		c->len = len + 1 + name_len;
		r = copy_entry(c, from, to, entry->d_name);
		if (r == 0) {
			c->len = len;
			c->path[len] = '\0';
		}
	}
	if (r == 0 && errno)
		r = -errno;
	closedir(d);
	return r;
}

int copytree(int from, int to, const struct stat *top, char ret_at[static PATH_BYTES_MAX])
{
	struct copy c = {.top = to, .path = ret_at};
	int r;

	ret_at[0] = '\0';
	r = copy_directory(&c, from, to);
	if (r == 0)
		r = finish(&c, from, to, top);
	for (size_t k = 0; k < c.n_names; k++)
		free(c.names[k].path);
	free(c.names);
	xattrs_end(&c.xattrs);
	return r;
}
