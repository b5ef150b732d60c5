#include "runtime/image/tree.h"

#include "lib/base/fd.h"
#include "lib/util/path.h"
#include "lib/util/rmtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

void tree_init(struct tree *t, int rootfd)
{
	*t = (struct tree){.rootfd = rootfd};
	for (size_t i = 0; i < IMAGE_OPEN_PARENTS; i++)
		t->parents[i].fd = -1;
}

static void drop_parent(struct tree_parent *p)
{
	fd_close(&p->fd);
	free(p->path);
	*p = (struct tree_parent){.fd = -1};
}

/* A directory or symlink went away: what was resolved through it is void. @keep lies above it. */
static void drop_parents(struct tree *t, int keep)
{
	for (size_t i = 0; i < IMAGE_OPEN_PARENTS; i++) {
		if (t->parents[i].fd != keep)
			drop_parent(&t->parents[i]);
	}
}

void tree_free(struct tree *t)
{
	drop_parents(t, -1);
	pathmap_free(&t->layer_paths);
	pathmap_free(&t->dir_index);
	for (size_t i = 0; i < t->n_dirs; i++)
		free(t->dirs[i].path);
	free(t->dirs);
}

void tree_next_layer(struct tree *t)
{
	pathmap_clear(&t->layer_paths);
}

static int keep_parent(struct tree *t, char *path, int fd)
{
	struct tree_parent *oldest = &t->parents[0];

	for (size_t i = 0; i < IMAGE_OPEN_PARENTS; i++) {
		if (t->parents[i].used < oldest->used)
			oldest = &t->parents[i];
	}
	drop_parent(oldest);
	*oldest = (struct tree_parent){path, fd, ++t->clock};
	return fd;
}

static int add_dir(struct tree *t, const char *path, size_t len, struct timespec mtime)
{
	struct tree_dir *dirs = t->dirs;

	if (t->n_dirs == t->dirs_room) {
		size_t room = t->dirs_room ? t->dirs_room * 2 : 1024;

		dirs = realloc(dirs, room * sizeof(*dirs));
		if (!dirs)
			return -ENOMEM;
		t->dirs = dirs;
		t->dirs_room = room;
	}
	dirs[t->n_dirs].path = strndup(path, len);
	dirs[t->n_dirs].mtime = mtime;
	if (!dirs[t->n_dirs].path ||
		pathmap_put(&t->dir_index, path, len, (uint32_t)t->n_dirs) < 0) {
		free(dirs[t->n_dirs].path);
		return -ENOMEM;
	}
	t->n_dirs++;
	return 0;
}

int tree_set_dir_time(struct tree *t, const char *path, struct timespec mtime)
{
	const uint32_t *at = pathmap_get(&t->dir_index, path, strlen(path));

	if (!at)
		return add_dir(t, path, strlen(path), mtime);
	t->dirs[*at].mtime = mtime;
	return 0;
}

/* The first @len bytes of @dir name a directory that was just made, by whoever this process is. */
static int give_to_root(const struct tree *t, const char *dir, size_t len)
{
	char path[PATH_BYTES_MAX];
	AUTO_CLOSE int fd = -1;

	if (snprintf(path, sizeof(path), "%.*s", (int)len, dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = path_open_in_root(t->rootfd, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	return fchown(fd, 0, 0) < 0 ? -errno : 0;
}

/* Make the directory @dir and its parents, which no entry describes. Returns its descriptor. */
static int make_implied(struct tree *t, const char *dir)
{
	size_t len = 0;
	int fd = path_make_dirs_in_root(t->rootfd, dir, 0755);

	if (fd < 0)
		return fd;
	/* path_make_dirs gives an O_PATH descriptor; this one is kept, and must allow listing. */
	close(fd);
	do {
		len += strcspn(dir + len, "/");
		if (t->in_use || pathmap_get(&t->dir_index, dir, len))
			continue;
		fd = t->overlay ? give_to_root(t, dir, len) : 0;
		if (fd < 0)
			return fd;
		if (add_dir(t, dir, len, (struct timespec){0}) < 0)
			return -ENOMEM;
	} while (dir[len++]);
	return path_open_in_root(t->rootfd, dir, O_RDONLY | O_DIRECTORY, 0);
}

int tree_parent(struct tree *t, const char *path, size_t len, int make)
{
	char *dir;
	int fd;

	if (len == 0)
		return t->rootfd;
	for (size_t i = 0; i < IMAGE_OPEN_PARENTS; i++) {
		struct tree_parent *p = &t->parents[i];

		if (p->fd >= 0 && strncmp(p->path, path, len) == 0 && p->path[len] == '\0') {
			p->used = ++t->clock;
			return p->fd;
		}
	}
	dir = strndup(path, len);
	if (!dir)
		return -ENOMEM;
	fd = path_open_in_root(t->rootfd, dir, O_RDONLY | O_DIRECTORY, 0);
	if (fd == -ENOENT && make)
		fd = make_implied(t, dir);
	if (fd < 0) {
		free(dir);
		return fd;
	}
	return keep_parent(t, dir, fd);
}

int tree_adopt(struct tree *t, const char *path, int fd)
{
	char *copy = strdup(path);

	if (!copy) {
		close(fd);
		return -ENOMEM;
	}
	keep_parent(t, copy, fd);
	return 0;
}

int tree_note(struct tree *t, const char *path)
{
	size_t len = strlen(path);

	/* From the end: once a parent is known, its parents are. */
	while (len > 0 && !pathmap_get(&t->layer_paths, path, len)) {
		if (pathmap_put(&t->layer_paths, path, len, 1) < 0)
			return -ENOMEM;
		while (len > 0 && path[len - 1] != '/')
			len--;
		if (len > 0)
			len--;
	}
	return 0;
}

int tree_remove(struct tree *t, int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode))
		drop_parents(t, dirfd);
	return rmtree_at(dirfd, name);
}

static int hide(struct tree *t, int dirfd, const char *name, const char *path, unsigned depth);

static int hide_children(struct tree *t, int dirfd, const char *path, unsigned depth)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char child[PATH_BYTES_MAX];
	struct dirent *entry;
	int r = 0;

	if (!d) {
		r = -errno;
		fd_close(&fd);
		return r;
	}
	while (r == 0 && (entry = readdir(d))) {
		int n;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		n = snprintf(
			child, sizeof(child), "%s%s%s", path, path[0] ? "/" : "", entry->d_name);
		/* Not @dirfd, which a removal further down may close with the other parents. */
		r = n < (int)sizeof(child) ? hide(t, fd, entry->d_name, child, depth + 1)
					   : -ENAMETOOLONG;
	}
	closedir(d);
	return r;
}

static int hide(struct tree *t, int dirfd, const char *name, const char *path, unsigned depth)
{
	AUTO_CLOSE int fd = -1;

	if (depth > IMAGE_PATH_DEPTH_MAX)
		return -ELOOP;
	if (!pathmap_get(&t->layer_paths, path, strlen(path)))
		return tree_remove(t, dirfd, name);
	/* This layer brought it; if it is a directory, lower layers may have brought children. */
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP || errno == ENOENT ? 0 : -errno;
	return hide_children(t, fd, path, depth);
}

int tree_set_opaque(int dirfd)
{
	return fsetxattr(dirfd, "trusted.overlay.opaque", "y", 1, 0) < 0 ? -errno : 0;
}

int tree_make_opaque(const struct tree *t, int dirfd)
{
	return t->set_opaque ? t->set_opaque(dirfd) : tree_set_opaque(dirfd);
}

int tree_is_whiteout(const struct tree *t, int dirfd, const char *name)
{
	struct stat st;

	return t->overlay && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

static int make_whiteout(int dirfd, const char *name)
{
	if (mknodat(dirfd, name, S_IFCHR, makedev(0, 0)) < 0)
		return errno == EEXIST ? 0 : -errno;
	return fchownat(dirfd, name, 0, 0, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Source: the kernel's overlayfs.rst, "whiteouts and opaque directories". */
static int hide_in_overlay(struct tree *t, int dirfd, const char *name, const char *path)
{
	AUTO_CLOSE int fd = -1;

	if (!pathmap_get(&t->layer_paths, path, strlen(path)))
		return make_whiteout(dirfd, name);
	/* The layer brought something in its place, which hides it unless directories merge. */
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : tree_make_opaque(t, fd);
}

int tree_hide(struct tree *t, int dirfd, const char *name, const char *path)
{
	return t->overlay ? hide_in_overlay(t, dirfd, name, path) : hide(t, dirfd, name, path, 0);
}

int tree_hide_children(struct tree *t, int dirfd, const char *path)
{
	return t->overlay ? tree_make_opaque(t, dirfd) : hide_children(t, dirfd, path, 0);
}

int tree_finish(struct tree *t)
{
	for (size_t i = 0; i < t->n_dirs; i++) {
		const struct tree_dir *dir = &t->dirs[i];
		const struct timespec times[2] = {dir->mtime, dir->mtime};
		/* A later layer may have replaced it by something else. */
		AUTO_CLOSE int fd = path_open_in_root(
			t->rootfd, dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

		if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
			continue;
		if (fd < 0)
			return fd;
		if (futimens(fd, times) < 0)
			return -errno;
	}
	return 0;
}
