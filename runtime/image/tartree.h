/*
 * Files of a disk as entries of a tar file, in the order of their names, as Docker writes them:
 * owners by number, times in seconds, sockets left out, a second name of a file as a hard link.
 * Directories of proc, sysfs and the like are there, and empty.
 * Nothing is opened by more than one component of a path, and no symlink is followed: somebody else
 * may rename in the tree meanwhile.
 */
#ifndef SAMPAN_IMAGE_TARTREE_H
#define SAMPAN_IMAGE_TARTREE_H

#include "lib/base/err.h"
#include "lib/util/buf.h"
#include "runtime/image/tarwrite.h"

#include <sys/types.h>

struct tar_seen;

/* Zero-initialise but for @w; tar_tree_free. */
struct tar_tree {
	struct tar_writer *w;
	struct tar_seen *seen; /* files with several names */
	size_t n_seen, seen_room;
	struct buf name; /* of the entry at hand */
	void *bytes;	 /* of files */
	unsigned depth;
};

/*
 * Write one file or directory, without what is in it.
 * @fd: of it, O_PATH will do
 * @name: its name in the archive; "" and "x/" are directories themselves
 * Returns 0 or -errno.
 */
int tar_tree_entry(struct tar_tree *t, int fd, const char *name, struct err *e);

/*
 * Write what @fd is and, of a directory, all that is in it.
 * @fd: O_PATH will do
 * @name: its name in the archive; what is in it gets "NAME/…" ("/…" for "/", "…" for "")
 */
int tar_tree_add(struct tar_tree *t, int fd, const char *name, struct err *e);
void tar_tree_free(struct tar_tree *t);

/*
 * The names in the directory @fd, sorted by their bytes, without "." and "..".
 * Returns 0 or -errno. @ret: an array that ends with NULL, to be freed with its strings.
 */
int dir_names(int fd, char ***ret);
void dir_names_free(char **names);

#endif
