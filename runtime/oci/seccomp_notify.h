/*
 * SCMP_ACT_NOTIFY: the filter's listener goes to an agent of the host's.
 * Source: OCI config-linux.md "The Container Process State"; seccomp_unotify(2).
 */
#ifndef SAMPAN_OCI_SECCOMP_NOTIFY_H
#define SAMPAN_OCI_SECCOMP_NOTIFY_H

#include "runtime/oci/seccomp.h"
#include "runtime/oci/state.h"

struct seccomp_agent {
	int fd;	    /* connection to the agent; -1: none */
	char *text; /* malloc: the container process state */
	size_t len;
};

/* Connect to the agent at listenerPath. Returns a descriptor that gives up sending after
 * OCI_SECCOMP_SEND_MS, or -errno with @e filled. */
int seccomp_agent_connect(const char *path, struct err *e);

/*
 * Write down what the agent is told of the calling process.
 * @host_proc: the runtime's /proc, in which it has the number that the runtime sees
 * @first: it is the container's first process, whose number the state lacks here
 */
int seccomp_agent_describe(struct seccomp_agent *a, const struct config_seccomp *s,
	const struct state *state, enum container_status status, bool first, int host_proc,
	struct err *e);

/*
 * Load @f, and send its listener with the text to the agent. From the moment the filter is there,
 * any system call of this thread may be one that waits for the agent's answer, or one that kills:
 * so another thread, which the filter does not hold, does the sending, and this one does nothing
 * but look at memory until that is done. When it fails, the other thread tells @tell and ends the
 * process.
 * Returns 0 or -errno with @e filled while the filter is not loaded.
 */
int seccomp_load_and_notify(
	const struct seccomp_filter *f, struct seccomp_agent *a, int tell, struct err *e);

#endif
