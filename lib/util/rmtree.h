/* Removal of a directory tree that somebody else filled: any depth, no symlink followed. */
#ifndef SAMPAN_UTIL_RMTREE_H
#define SAMPAN_UTIL_RMTREE_H

/*
 * Remove the file or directory @name in @dirfd and all that is in it. Mount points are not crossed
 * (they make it fail with -EBUSY). Nobody else may rename inside the tree meanwhile.
 * Two descriptors are enough for a tree of any depth: deep directories are first moved up into
 * @name, so a tree deeper than the limit of open files or PATH_MAX cannot survive.
 * Returns 0, also when @name does not exist; otherwise -errno.
 */
int rmtree_at(int dirfd, const char *name);

/* Remove everything inside the directory @dirfd, which stays. Returns as rmtree_at. */
int rmtree_contents(int dirfd);

/*
 * Remove of the directory @dirfd what nobody wants.
 * @keep: asked for each name: 1 to keep it, 0 to remove it, -errno to end
 * Returns as rmtree_at, or what @keep ended it with.
 */
int rmtree_contents_but(int dirfd, int (*keep)(void *arg, const char *name), void *arg);

#endif
