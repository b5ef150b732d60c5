/* The cgroup v2 tree: /init for PID 1, /services/NAME, /containers/ID; every controller in all. */
#ifndef SAMPAN_INIT_CGROUP_H
#define SAMPAN_INIT_CGROUP_H

#include "init/config.h"
#include "lib/base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define CGROUP_SERVICES "services"
#define CGROUP_CONTAINERS "containers"

/*
 * Make the tree below options.cgroup_root, which is mounted. Whatever part fails is logged and
 * done without: a machine without limits is better than none.
 */
void cgroup_make_tree(void);

/* Protect @bytes of memory for all services together, so that their own memory.min can hold. */
void cgroup_protect_services(uint64_t bytes);

/*
 * Make the group of a service with its limits; a limit that the kernel refuses is logged.
 * Returns its directory's descriptor, -1 if there are no cgroups; other failures are -errno and
 * never -1 (-EPERM is returned as -EACCES).
 */
int cgroup_open_service(const struct service_config *c);

/* Kill every process in a group and below (cgroup.kill, Linux 5.14). @name may be NULL for all of
 * @parent. Returns whether there is such a group. */
bool cgroup_kill(const char *parent, const char *name);

/* Remove an empty group of a service that is down. */
void cgroup_remove_service(const char *name);

#endif
