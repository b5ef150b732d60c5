#include "runtime/image/tartree.h"

#include "lib/base/fd.h"
#include "runtime/image/layerpath.h"
#include "runtime/image/limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

/* bytes of the names of all attributes of one file; the kernel's XATTR_LIST_MAX */
#define XATTR_NAMES_BYTES 65536

/* A file that has several names: under which one it is in the archive. */
struct tar_seen {
	dev_t dev;
	ino_t ino;
	char *name; /* NULL: a free slot */
};

struct attributes {
	struct tar_xattr list[IMAGE_XATTRS_MAX];
	size_t n;
	char *names;
};

static int fail(const struct tar_tree *t, struct err *e, int errnum, const char *what)
{
	return err_set(
		e, errnum, "%s %.200s: %s", what, t->name.v ? t->name.v : "", strerror(errnum));
}

static struct tar_seen *slot_of(struct tar_seen *seen, size_t room, const struct stat *st)
{
	size_t i = (size_t)(st->st_ino * 0x9E3779B97F4A7C15ULL) & (room - 1);

	while (seen[i].name && (seen[i].ino != st->st_ino || seen[i].dev != st->st_dev))
		i = (i + 1) & (room - 1);
	return &seen[i];
}

static int grow(struct tar_tree *t)
{
	size_t room = t->seen_room ? 2 * t->seen_room : 256;
	struct tar_seen *seen = calloc(room, sizeof(*seen));

	if (!seen)
		return -ENOMEM;
	for (size_t i = 0; i < t->seen_room; i++) {
		const struct stat st = {.st_dev = t->seen[i].dev, .st_ino = t->seen[i].ino};

		if (t->seen[i].name)
			*slot_of(seen, room, &st) = t->seen[i];
	}
	free(t->seen);
	t->seen = seen;
	t->seen_room = room;
	return 0;
}

/* A file that is in the archive already, under another name, becomes a link to that. */
static int make_link(struct tar_tree *t, const struct stat *st, struct tar_entry *entry)
{
	struct tar_seen *slot;

	if (st->st_nlink < 2)
		return 0;
	if (2 * (t->n_seen + 1) > t->seen_room && grow(t) < 0)
		return -ENOMEM;
	slot = slot_of(t->seen, t->seen_room, st);
	if (slot->name) {
		entry->type = '1';
		entry->link = slot->name;
		entry->size = 0;
		return 0;
	}
	*slot = (struct tar_seen){st->st_dev, st->st_ino, strdup(entry->name)};
	t->n_seen++;
	return slot->name ? 0 : -ENOMEM;
}

static void free_attributes(struct attributes *a)
{
	for (size_t i = 0; i < a->n; i++) {
		void *value;

		memcpy(&value, &a->list[i].value, sizeof(value));
		free(value);
	}
	free(a->names);
}

/* The attributes of an open file that belong into an archive. */
static int read_attributes(int fd, struct attributes *a)
{
	ssize_t len;

	a->names = malloc(XATTR_NAMES_BYTES);
	if (!a->names)
		return -ENOMEM;
	len = flistxattr(fd, a->names, XATTR_NAMES_BYTES);
	if (len < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (const char *name = a->names; name < a->names + len; name += strlen(name) + 1) {
		ssize_t size;
		void *value;

		if (layer_xattr_classify(name) != LAYER_XATTR_PLAIN)
			continue;
		if (a->n == IMAGE_XATTRS_MAX)
			return -E2BIG;
		value = malloc(IMAGE_XATTR_BYTES_MAX);
		if (!value)
			return -ENOMEM;
		size = fgetxattr(fd, name, value, IMAGE_XATTR_BYTES_MAX);
		if (size < 0) { /* gone meanwhile */
			free(value);
			continue;
		}
		a->list[a->n++] = (struct tar_xattr){name, value, (size_t)size};
	}
	return 0;
}

static int copy_content(struct tar_tree *t, int fd)
{
	int r = 0;

	if (!t->bytes)
		t->bytes = malloc(IMAGE_READ_BYTES);
	if (!t->bytes)
		return -ENOMEM;
	while (r == 0 && t->w->left) {
		size_t want = t->w->left < IMAGE_READ_BYTES ? (size_t)t->w->left : IMAGE_READ_BYTES;
		ssize_t n = read(fd, t->bytes, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) /* it shrank: its size is in the archive already */
			return tar_write_fill(t->w);
		r = tar_write_data(t->w, t->bytes, (size_t)n);
	}
	return r;
}

/* Open the very file that @fd is, for reading. */
static int reopen(int fd, int flags)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static char type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return '0';
	case S_IFLNK:
		return '2';
	case S_IFCHR:
		return '3';
	case S_IFBLK:
		return '4';
	case S_IFDIR:
		return '5';
	case S_IFIFO:
		return '6';
	default:
		return 0;
	}
}

/* Header, attributes and content. @fd: open for reading, or -1. */
static int write_entry(struct tar_tree *t, int fd, struct tar_entry *entry)
{
	struct attributes attributes = {.n = 0};
	int r = fd >= 0 && entry->type != '1' ? read_attributes(fd, &attributes) : 0;

	entry->xattrs = attributes.list;
	entry->n_xattrs = attributes.n;
	if (r == 0)
		r = tar_write_entry(t->w, entry);
	entry->xattrs = NULL;
	entry->n_xattrs = 0;
	free_attributes(&attributes);
	if (r == 0 && entry->type == '0' && fd >= 0)
		r = copy_content(t, fd);
	return r;
}

/* With the name in t->name. @fd: of it, O_PATH will do. */
static int add_one(struct tar_tree *t, int fd, const struct stat *st, struct err *e)
{
	struct tar_entry entry = {.name = t->name.v,
		.type = type_of(st->st_mode),
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = st->st_mtim.tv_sec};
	char target[4096];
	AUTO_CLOSE int content = -1;
	int r;

	if (!entry.type) /* a socket */
		return 0;
	if (entry.type == '2') {
		ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);

		if (n < 0)
			return fail(t, e, errno, "read");
		target[n] = '\0';
		entry.link = target;
	}
	if (entry.type == '3' || entry.type == '4') {
		entry.major = major(st->st_rdev);
		entry.minor = minor(st->st_rdev);
	}
	if (entry.type == '0' || entry.type == '5') {
		content = reopen(fd, O_RDONLY | (entry.type == '5' ? O_DIRECTORY : O_NONBLOCK));
		if (content < 0)
			return fail(t, e, -content, "open");
	}
	if (entry.type == '0')
		entry.size = (uint64_t)st->st_size;
	r = entry.type == '0' ? make_link(t, st, &entry) : 0;
	if (r == 0)
		r = write_entry(t, content, &entry);
	return r < 0 ? fail(t, e, -r, "archive") : 0;
}

int tar_tree_entry(struct tar_tree *t, int fd, const char *name, struct err *e)
{
	struct stat st;
	size_t len = strlen(name);
	int r;

	t->name.len = 0;
	r = buf_add(&t->name, name, len);
	if (r == 0 && fstat(fd, &st) < 0)
		return fail(t, e, errno, "stat");
	if (r == 0 && S_ISDIR(st.st_mode) && (len == 0 || name[len - 1] != '/'))
		r = buf_add(&t->name, "/", 1);
	return r < 0 ? fail(t, e, -r, "archive") : add_one(t, fd, &st, e);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void dir_names_free(char **names)
{
	for (size_t i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
}

int dir_names(int fd, char ***ret)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	size_t n = 0, room = 16;
	char **names = malloc(room * sizeof(*names));
	struct dirent *entry;
	int r = 0;

	if (!d || !names)
		r = d ? -ENOMEM : -errno;
	if (!d)
		fd_close(&copy);
	while (d && r == 0 && (entry = readdir(d))) {
		char **more = names;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (n + 2 > room) {
			room *= 2;
			more = realloc(names, room * sizeof(*names));
		}
		if (more)
			names = more;
		names[n] = more ? strdup(entry->d_name) : NULL;
		r = names[n] ? 0 : -ENOMEM;
		n += r == 0;
	}
	if (d)
		closedir(d);
	if (r < 0) {
		if (names)
			names[n] = NULL;
		dir_names_free(names);
		return r;
	}
	names[n] = NULL;
	qsort(names, n, sizeof(*names), compare);
	*ret = names;
	return 0;
}

/* Whether the directory is in a file system that only shows what the kernel knows: its files are no
 * data, and reading some of them waits for ever or does something. */
static int is_kernels(int fd)
{
	static const unsigned long magics[] = {PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,
		SECURITYFS_MAGIC, BPF_FS_MAGIC};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if ((unsigned long)fs.f_type == magics[i])
			return 1;
	return 0;
}

static int add_children(struct tar_tree *t, int fd, struct err *e);

/* With the name in t->name, without the slash of a directory. */
static int add_node(struct tar_tree *t, int fd, struct err *e)
{
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		return fail(t, e, errno, "stat");
	if (!S_ISDIR(st.st_mode))
		return add_one(t, fd, &st, e);
	if (t->depth == IMAGE_PATH_DEPTH_MAX)
		return fail(t, e, ELOOP, "archive");
	/* A root without a name is no entry of its own. */
	if (t->name.len) {
		r = t->name.v[t->name.len - 1] == '/' ? 0 : buf_add(&t->name, "/", 1);
		r = r < 0 ? fail(t, e, -r, "archive") : add_one(t, fd, &st, e);
	}
	t->depth++;
	if (r == 0 && !is_kernels(fd))
		r = add_children(t, fd, e);
	t->depth--;
	return r;
}

static int add_children(struct tar_tree *t, int fd, struct err *e)
{
	size_t len = t->name.len;
	char **names;
	AUTO_CLOSE int dir = reopen(fd, O_RDONLY | O_DIRECTORY);
	int r = dir < 0 ? dir : dir_names(dir, &names);

	if (r < 0)
		return fail(t, e, -r, "list");
	for (size_t i = 0; r == 0 && names[i]; i++) {
		AUTO_CLOSE int child = openat(dir, names[i], O_PATH | O_NOFOLLOW | O_CLOEXEC);

		t->name.len = len;
		if (child < 0 && errno == ENOENT) /* removed meanwhile */
			continue;
		r = buf_add_str(&t->name, names[i]);
		if (r < 0 || child < 0)
			r = fail(t, e, r < 0 ? -r : errno, "open");
		else
			r = add_node(t, child, e);
	}
	dir_names_free(names);
	return r;
}

int tar_tree_add(struct tar_tree *t, int fd, const char *name, struct err *e)
{
	int r;

	t->name.len = 0;
	r = buf_add_str(&t->name, name);
	return r < 0 ? fail(t, e, -r, "archive") : add_node(t, fd, e);
}

void tar_tree_free(struct tar_tree *t)
{
	for (size_t i = 0; i < t->seen_room; i++)
		free(t->seen[i].name);
	free(t->seen);
	free(t->bytes);
	buf_free(&t->name);
	*t = (struct tar_tree){.w = t->w};
}
