/* The option tmpcopyup: a tmpfs that starts with what the image has at its place. */
#ifndef SAMPAN_OCI_TMPCOPYUP_H
#define SAMPAN_OCI_TMPCOPYUP_H

#include "runtime/oci/config.h"

/*
 * Copy the directory @covered, without what is mounted below it, into the new file system @tmpfs
 * of the @i-th mount @m: contents (holes stay holes), owners, modes, times, extended attributes,
 * symlinks, hard links and special files.
 * @covered: O_PATH of the directory; it may be changed by others while it is read
 * @tmpfs: detached, so that nobody sees it before it is whole, and writable
 * Returns 0 or -errno with @e naming the file.
 */
int tmpcopyup(const struct config_mount *m, size_t i, int covered, int tmpfs, struct err *e);

#endif
