/* Id-mapped mounts, on the detached copies that rootfs_open_sources made. */
#ifndef SAMPAN_OCI_IDMAP_H
#define SAMPAN_OCI_IDMAP_H

#include "runtime/oci/container.h"

/*
 * Map what can be mapped before there is a container: mounts with lists of their own, by a user
 * namespace made for each different pair of lists, and those of a container that joins a user
 * namespace, by that one.
 * Returns 0 or -errno with @e filled.
 */
int idmap_sources(const struct container *c, struct err *e);

/*
 * Refuse them all: the caller may make no copies of the host's mounts, so that no file system that
 * he sees is one he may map. Source: mount_setattr(2) MOUNT_ATTR_IDMAP, "CAP_SYS_ADMIN in the user
 * namespace the filesystem was mounted in".
 */
int idmap_refuse(const struct config *c, struct err *e);

/* Map the rest, by the new user namespace of the container's process @pid, whose maps are written.
 */
int idmap_sources_by_process(const struct container *c, pid_t pid, struct err *e);

#endif
