#include "runtime/engine/changes.h"

#include "lib/base/fd.h"
#include "lib/util/buf.h"
#include "runtime/engine/container.h"
#include "runtime/image/limits.h"
#include "runtime/image/tartree.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

struct walk {
	struct changes *found;
	struct buf path;
	unsigned depth;
	struct err *e;
};

/* One directory: the container's own, and what the image has in its place. */
struct level {
	int upper;
	int lower;	  /* -1: none */
	bool hidden;	  /* nothing of the image shows in it */
	bool placeholder; /* something in it only stands for a mount */
};

/* What the runtime makes for the mounts that every container has. */
static const struct {
	const char *path;
	mode_t type;
} placeholders[] = {
	{"/dev", S_IFDIR},
	{"/etc", S_IFDIR},
	{"/etc/hostname", S_IFREG},
	{"/etc/hosts", S_IFREG},
	{"/etc/resolv.conf", S_IFREG},
	{"/proc", S_IFDIR},
	{"/sys", S_IFDIR},
};

static bool is_placeholder(const char *path, const struct stat *st)
{
	for (size_t i = 0; i < sizeof(placeholders) / sizeof(placeholders[0]); i++)
		if (strcmp(path, placeholders[i].path) == 0)
			return (st->st_mode & S_IFMT) == placeholders[i].type &&
			       (S_ISDIR(st->st_mode) || st->st_size == 0);
	return false;
}

static int fail(struct walk *w, int errnum)
{
	return err_set(
		w->e, errnum, "changes: %.256s: %s", w->path.v ? w->path.v : "/", strerror(errnum));
}

static int note(struct walk *w, enum change_kind kind)
{
	struct changes *f = w->found;

	if (f->n == f->room) {
		size_t room = f->room ? 2 * f->room : 64;
		struct change *v = realloc(f->v, room * sizeof(*v));

		if (!v)
			return fail(w, ENOMEM);
		f->v = v;
		f->room = room;
	}
	f->v[f->n] = (struct change){strdup(w->path.v), kind};
	return f->v[f->n].path ? (f->n++, 0) : fail(w, ENOMEM);
}

static bool is_opaque(int fd)
{
	char path[64];
	char value[2];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return getxattr(path, "trusted.overlay.opaque", value, sizeof(value)) == 1 &&
	       value[0] == 'y';
}

static int walk_level(struct walk *w, struct level *level);

/* A directory of the container's own. @below: of the image, or -1. */
static int walk_dir(struct walk *w, const struct level *in, int fd, const struct stat *st,
	int below, const struct stat *below_st)
{
	bool was_dir = below >= 0 && S_ISDIR(below_st->st_mode);
	bool stands_for = below < 0 && is_placeholder(w->path.v, st);
	size_t at = w->found->n;
	AUTO_CLOSE int lower =
		was_dir ? openat(below, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct level level = {.upper = fd, .lower = lower, .hidden = in->hidden || is_opaque(fd)};
	bool same;
	int r = note(w, below >= 0 || stands_for ? CHANGE_MODIFIED : CHANGE_ADDED);

	if (r < 0)
		return r;
	if (++w->depth > IMAGE_PATH_DEPTH_MAX)
		return fail(w, ELOOP);
	r = walk_level(w, &level);
	w->depth--;
	same = stands_for ||
	       (was_dir && st->st_mode == below_st->st_mode && st->st_uid == below_st->st_uid &&
		       st->st_gid == below_st->st_gid &&
		       (level.placeholder || st->st_mtim.tv_sec == below_st->st_mtim.tv_sec));
	if (r == 0 && same && w->found->n == at + 1)
		free(w->found->v[--w->found->n].path);
	return r;
}

/* What is called @name in the container's own directory or, where that hides the image's, in the
 * image's alone. */
static int walk_name(struct walk *w, struct level *level, const char *name)
{
	AUTO_CLOSE int fd = openat(level->upper, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int missing = fd < 0 ? errno : 0;
	AUTO_CLOSE int below =
		level->lower < 0 ? -1 : openat(level->lower, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat below_st = {0};
	struct stat st;

	if (missing && missing != ENOENT)
		return fail(w, missing);
	if (below >= 0 && fstat(below, &below_st) < 0)
		return fail(w, errno);
	/* A whiteout in the lowest layer, which was opened as it is. */
	if (below >= 0 && S_ISCHR(below_st.st_mode) && below_st.st_rdev == 0)
		fd_close(&below);
	if (missing)
		return level->hidden && below >= 0 ? note(w, CHANGE_DELETED) : 0;
	if (fstat(fd, &st) < 0)
		return fail(w, errno);
	if (S_ISCHR(st.st_mode) && st.st_rdev == 0)
		return below >= 0 ? note(w, CHANGE_DELETED) : 0;
	if (below < 0 && is_placeholder(w->path.v, &st))
		level->placeholder = true;
	if (S_ISDIR(st.st_mode))
		return walk_dir(w, level, fd, &st, below, &below_st);
	if (below < 0 && is_placeholder(w->path.v, &st))
		return 0;
	return note(w, below >= 0 ? CHANGE_MODIFIED : CHANGE_ADDED);
}

/* The next of two sorted lists, whatever both have once. */
static const char *next_name(char ***a, char ***b)
{
	const char *first = **a ? **a : NULL;
	const char *second = **b ? **b : NULL;
	int order = !first ? 1 : !second ? -1 : strcmp(first, second);

	if (!first && !second)
		return NULL;
	*a += order <= 0;
	*b += order >= 0;
	return order <= 0 ? first : second;
}

static int walk_level(struct walk *w, struct level *level)
{
	static char *none[] = {NULL};
	size_t len = w->path.len;
	char **upper = NULL;
	char **lower = NULL;
	char **a, **b;
	const char *name;
	int r = dir_names(level->upper, &upper);

	if (r == 0 && level->hidden && level->lower >= 0)
		r = dir_names(level->lower, &lower);
	if (r < 0)
		fail(w, -r);
	a = upper ? upper : none;
	b = lower ? lower : none;
	while (r == 0 && (name = next_name(&a, &b))) {
		w->path.len = len;
		r = buf_printf(&w->path, "/%s", name);
		r = r < 0 ? fail(w, -r) : walk_name(w, level, name);
	}
	dir_names_free(upper);
	dir_names_free(lower);
	return r;
}

int container_changes(
	struct engine *en, const struct container *c, struct changes *ret, struct err *e)
{
	struct walk w = {.found = ret, .e = e};
	AUTO_CLOSE int upper = -1;
	AUTO_CLOSE int lower = rootfs_open_image(en, container_image(c), e);
	struct level level;
	char path[4096];
	int r;

	*ret = (struct changes){0};
	if (lower < 0 && lower != -ENODATA)
		return lower;
	container_path(en, c, "upper", path, sizeof(path));
	upper = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (upper < 0)
		return err_set(e, errno, "open %s: %s", path, strerror(errno));
	level = (struct level){.upper = upper, .lower = lower < 0 ? -1 : lower};
	r = walk_level(&w, &level);
	buf_free(&w.path);
	if (r < 0)
		changes_free(ret);
	return r;
}

void changes_free(struct changes *changes)
{
	for (size_t i = 0; i < changes->n; i++)
		free(changes->v[i].path);
	free(changes->v);
	*changes = (struct changes){0};
}
