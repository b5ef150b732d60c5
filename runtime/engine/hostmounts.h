/* The mounts of the host, as /proc/self/mountinfo lists them. */
#ifndef SAMPAN_ENGINE_HOSTMOUNTS_H
#define SAMPAN_ENGINE_HOSTMOUNTS_H

#include <stdbool.h>

/* Take what is mounted on @path away, now or once nobody is in it. */
void mount_detach(const char *path);

/* Detach all that is mounted below the directory @dir, but for what @keep, asked with the path from
 * there, wants kept (NULL: nothing). */
void mounts_detach_below(const char *dir, bool (*keep)(void *arg, const char *path), void *arg);

/* The propagation of the mount that holds @path: whether it has a peer group, or a master. Returns
 * 0 or -errno. */
int mount_propagation_of(const char *path, bool *ret_shared, bool *ret_slave);

#endif
