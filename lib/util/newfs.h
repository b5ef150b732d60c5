/* Parameters of a new file system, given to an fsopen(2) descriptor one by one. */
#ifndef SAMPAN_UTIL_NEWFS_H
#define SAMPAN_UTIL_NEWFS_H

#include <stddef.h>

/* The kernel's own words about what it refused, "e tmpfs: Bad value for 'size'"; "" when it said
 * nothing. */
void newfs_log(int fs, char *buf, size_t size);

/* Give @key the text @value. Returns 0; -ENAMETOOLONG beyond the kernel's 255 bytes; -errno. */
int newfs_set(int fs, const char *key, const char *value);

/*
 * One word of a mount's options, "size=64k" or "sync". A hint (mount_option_is_hint) that a file
 * system does not know is left out.
 * @type: of the file system: overlay's long "lowerdir=" becomes one parameter per layer
 * Returns 0 or -errno.
 */
int newfs_option(int fs, const char *type, const char *word);

#endif
