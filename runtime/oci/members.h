/* The processes of a container that has no cgroup, as an ordinary user's may be. */
#ifndef SAMPAN_OCI_MEMBERS_H
#define SAMPAN_OCI_MEMBERS_H

#include "runtime/oci/commands.h"

/*
 * List the container's processes: those in its cgroup or, when it has none, those in its pid
 * namespace.
 * @ret_pids: malloc
 * Returns 0 or -errno with @e filled.
 */
int members_list(const struct handle *h, pid_t **ret_pids, size_t *ret_n, struct err *e);

/* Send @sig to each of them. Returns 0 or -errno with @e filled. */
int members_signal(const struct handle *h, int sig, struct err *e);

#endif
