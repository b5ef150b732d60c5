/* The id maps of a new user namespace. */
#ifndef SAMPAN_OCI_USERNS_MAPS_H
#define SAMPAN_OCI_USERNS_MAPS_H

#include "runtime/oci/config.h"

#include <sys/types.h>

/*
 * Write the maps of process @pid's new user namespace. Who may map anything does so itself. The
 * kernel lets everybody map the one id that is his own, groups only where setgroups(2) is given up;
 * for more there are the helpers newuidmap and newgidmap, which look into /etc/subuid and
 * /etc/subgid.
 * @host_proc: O_PATH of /proc; @pid is dumpable, or the caller may open everything
 * Returns 0 or -errno with @e filled.
 * Source: user_namespaces(7) "Defining user and group ID mappings".
 */
int userns_write_maps(const struct config *c, int host_proc, pid_t pid, struct err *e);

/* Write one map directly: "uid_map" or "gid_map". @field: the map's JSON path, for @e */
int userns_write_map(const struct config_id_maps *maps, int host_proc, pid_t pid, const char *file,
	const char *field, struct err *e);

#endif
