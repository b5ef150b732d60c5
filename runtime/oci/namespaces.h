/* Which namespaces are made, which are joined, in what order and by whom. */
#ifndef SAMPAN_OCI_NAMESPACES_H
#define SAMPAN_OCI_NAMESPACES_H

#include "runtime/oci/config.h"

#include <sys/types.h>

struct ns_plan {
	uint64_t clone_flags; /* made by clone3 itself */
	unsigned join_before; /* bit of enum ns_type: joined by whoever calls clone3 */
	unsigned join_after;  /* joined by the new process */
	bool new_cgroup;      /* unshared by the new process, once it is in its cgroup */
	bool offset_time; /* made by the new process: its clocks must be set before anybody is in it
			   */
	bool intermediate; /* a process in between has to call clone3 */
};

/*
 * Decide. Pure.
 *
 * clone3 makes everything at once, owned by the caller's user namespace (or the new one made by
 * the same call). That is wrong in three cases, and then a process in between does it: joining a
 * user namespace that must own what is made new, joining others while a new user namespace is
 * made, which has no rights over them, and joining a pid namespace, which only children are in.
 */
void ns_plan_make(const struct config *c, struct ns_plan *ret);

/* Open the paths of the namespaces to join, checked for their type. @fds: NS_N, filled with -1
 * where there is none. */
int ns_open(const struct config *c, int fds[static NS_N], struct err *e);

/*
 * Make the container's process by the plan.
 * @cgroupfd: where it is born; -1: where the caller is
 * Returns 1 in the new process; 0 in the caller, with its number and pidfd; -errno with @e filled.
 */
int ns_clone(const struct ns_plan *plan, const int fds[static NS_N], int cgroupfd, pid_t *ret_pid,
	int *ret_pidfd, struct err *e);

/* In the new process: join what the plan left to it. */
int ns_join_after(const struct ns_plan *plan, const int fds[static NS_N], struct err *e);

/* In the new process: make the time namespace whose clocks are offset, and enter it. */
int ns_set_clocks(const struct config *c, int host_proc, struct err *e);

/* Is the container's root not the machine's, because of a user namespace of the container's or
 * around the runtime? Then it can make no device nodes and do nothing that only the machine's root
 * may. */
bool ns_user_confined(const struct config *c);

/* Open the user namespace of process @pid. Returns a descriptor or -errno. */
int ns_open_user(int host_proc, pid_t pid);

/* Bits of enum ns_type that this configuration sets apart from the runtime's own. */
unsigned ns_mask(const struct config *c);

#endif
