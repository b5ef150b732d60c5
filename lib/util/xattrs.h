/* Extended attributes of one file onto another. */
#ifndef SAMPAN_UTIL_XATTRS_H
#define SAMPAN_UTIL_XATTRS_H

/* Zero at first; its memory is kept from file to file. */
struct xattrs {
	char *list;
	char *value;
	int cwd; /* descriptor + 1 of where the process was; 0: it is still there */
};

/*
 * Copy all attributes of @from that the caller can see. What the other file system or a user
 * namespace has no place for is left out: a tmpfs knows user.* since Linux 6.6, and trusted.* and
 * the labels of a security module are not for everybody to give.
 * Returns 0 or -errno.
 */
int xattrs_copy(struct xattrs *x, int from, int to);

/* The same for the file @name in both directories, which is not opened and not followed. */
int xattrs_copy_named(struct xattrs *x, int from_dir, int to_dir, const char *name);

/* Free the memory and go back to the working directory that xattrs_copy_named may have left. */
void xattrs_end(struct xattrs *x);

#endif
