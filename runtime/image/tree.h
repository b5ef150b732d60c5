/*
 * The root filesystem that layers are unpacked into: parents, removals, whiteouts, times of
 * directories. Every path is clean (layer_path_clean) and is resolved inside the root.
 */
#ifndef SAMPAN_IMAGE_TREE_H
#define SAMPAN_IMAGE_TREE_H

#include "runtime/image/limits.h"
#include "runtime/image/pathmap.h"

#include <stdint.h>
#include <time.h>

struct tree_parent {
	char *path;
	int fd;
	uint64_t used; /* clock of the last use */
};

struct tree_dir {
	char *path;
	struct timespec mtime;
};

struct tree {
	int rootfd; /* borrowed, readable */
	/* One layer by itself, to be stacked by overlayfs: what it hides below is written down as
	 * overlayfs reads it, and not removed. */
	int overlay;
	/* No layer, but a root that is in use: directories that are made have the time of now. */
	int in_use;
	/* Does tree_set_opaque's work where that is not permitted; NULL: it does it itself. */
	int (*set_opaque)(int dirfd);
	struct tree_parent parents[IMAGE_OPEN_PARENTS];
	uint64_t clock;
	struct pathmap layer_paths; /* what the layer at hand brought, parents included */
	struct pathmap dir_index;   /* path → place in dirs */
	struct tree_dir *dirs;
	size_t n_dirs;
	size_t dirs_room;
};

void tree_init(struct tree *t, int rootfd);
void tree_free(struct tree *t);

/* A new layer begins: nothing came from it yet. */
void tree_next_layer(struct tree *t);

/*
 * The directory that the first @len bytes of @path name; symlinks on the way are followed inside
 * the root.
 * @make: make what is missing, mode 0755, owner root, time 0
 * Returns a borrowed descriptor, good until the call after the next one to this function, or
 * -errno.
 */
int tree_parent(struct tree *t, const char *path, size_t len, int make);

/* Keep the descriptor of a directory that was just made; it is taken over. */
int tree_adopt(struct tree *t, const char *path, int fd);

/* Note that the layer at hand brought @path. Returns 0 or -ENOMEM. */
int tree_note(struct tree *t, const char *path);

/* Set the time that @path gets in the end, when it is a directory then. Returns 0 or -ENOMEM. */
int tree_set_dir_time(struct tree *t, const char *path, struct timespec mtime);

/*
 * Remove @name in @dirfd, whichever layer brought it.
 * @dirfd: stays open, other parents may not
 */
int tree_remove(struct tree *t, int dirfd, const char *name);

/* Note that nothing of lower layers shows in the directory @dirfd of an overlay. 0 or -errno. */
int tree_set_opaque(int dirfd);

/* The same by way of t->set_opaque. */
int tree_make_opaque(const struct tree *t, int dirfd);

/* Whether @name in @dirfd is a whiteout of this overlay layer: 1 or 0. */
int tree_is_whiteout(const struct tree *t, int dirfd, const char *name);

/* Remove of @path, which is @name in @dirfd, what lower layers brought: a whiteout. */
int tree_hide(struct tree *t, int dirfd, const char *name, const char *path);

/* Remove of the directory @path, open as @dirfd, what lower layers brought: an opaque whiteout. */
int tree_hide_children(struct tree *t, int dirfd, const char *path);

/* Give the directories their times. Returns 0 or -errno. */
int tree_finish(struct tree *t);

#endif
