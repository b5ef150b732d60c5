/* The option tmpcopyup: a tmpfs that starts with what the image has at its place. */
#ifndef SAMPAN_OCI_TMPCOPYUP_H
#define SAMPAN_OCI_TMPCOPYUP_H

#include "runtime/oci/config.h"

/*
 * Copy what the image has at the destination of the @i-th mount @m into its new file system @tmpfs:
 * contents (holes stay holes), owners, modes, times, extended attributes, symlinks, hard links and
 * special files. Nothing that is mounted there or below: masks come after all mounts, and a link of
 * the image's would lead to what they are to hide.
 * @root: the container's, O_PATH; it may be changed by others while it is read
 * @tmpfs: detached, so that nobody sees it before it is whole, and writable
 * Returns 0 or -errno with @e naming the file.
 */
int tmpcopyup(const struct config_mount *m, size_t i, int root, int tmpfs, struct err *e);

#endif
