/* Where and when a process runs, as the process itself sets it before execve. */
#ifndef SAMPAN_OCI_SCHEDULING_H
#define SAMPAN_OCI_SCHEDULING_H

#include "runtime/oci/config.h"

/* Scheduler and I/O priority of @p, memory policy and personality of @c. */
int scheduling_apply(const struct config *c, const struct config_process *p, struct err *e);

/* The CPUs of the runtime itself while it makes an exec process; nothing if @p names none. */
int scheduling_affinity_initial(const struct config_process *p, struct err *e);

/* The exec process's own, once it is in the container's cgroup. Without a list it gets all that the
 * cgroup has, if there was an initial one to get rid of. */
int scheduling_affinity_final(const struct config_process *p, struct err *e);

#endif
