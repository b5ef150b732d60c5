/* A directory tree copied whole into another file system. */
#ifndef SAMPAN_UTIL_COPYTREE_H
#define SAMPAN_UTIL_COPYTREE_H

#include "lib/util/path.h"

#include <sys/stat.h>

/* directories below each other: three descriptors and a listing each */
#define COPYTREE_DEPTH_MAX 128

/* files with more than one name: each is looked for among those before it */
#define COPYTREE_LINKED_MAX 16384

/*
 * Copy what is in the directory @from into the directory @to: contents (holes stay holes), owners,
 * modes, times, extended attributes, symlinks, hard links and special files. No symlink is
 * followed and no device opened. The working directory changes meanwhile: a program with threads
 * gives the one that copies a directory of its own first, unshare(CLONE_FS).
 * @from, @to: readable descriptors, borrowed; @to has none of the names yet
 * @top: owner, mode and times that @to itself gets
 * @ret_at: "/a/b", what a failure was about; "" for the top
 * Returns 0; -ELOOP for a tree deeper than COPYTREE_DEPTH_MAX; -EMLINK for more than
 * COPYTREE_LINKED_MAX linked files; otherwise -errno.
 */
int copytree(int from, int to, const struct stat *top, char ret_at[static PATH_BYTES_MAX]);

#endif
