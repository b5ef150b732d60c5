/*
 * Talking to CRIU: one process of it ("criu swrk") for each request, which answers over a socket.
 * Source: criu.org/RPC; criu(8) "swrk".
 */
#ifndef SAMPAN_OCI_CRIU_H
#define SAMPAN_OCI_CRIU_H

#include "lib/base/err.h"
#include "runtime/oci/criu_message.h"

#include <stddef.h>

/* The oldest that freezes cgroups of version 2 (3.14) and leaves pid namespaces alone (3.15). */
#define CRIU_VERSION_MIN 31500
#define CRIU_VERSION_MIN_TEXT "3.15"

/* The first descriptor of criu_call.inherit in CRIU: behind the standard ones and the socket. */
#define CRIU_FIRST_INHERITED 4
#define CRIU_INHERITED_MAX 4

struct criu_call {
	const char *program; /* looked up in PATH */
	const struct criu_writer *request;
	/* What it may say between request and answer. @fd: the descriptor that came along, or -1;
	 * its own. NULL: nothing. A failure ends the request. */
	int (*notified)(void *arg, const struct criu_response *r, int fd, struct err *e);
	/* Called in CRIU's process before it is CRIU, and may replace descriptors in inherit; or
	 * NULL. With it the numbers of descriptors in the request are those of CRIU's process, else
	 * ours: a directory that we hold is on a mount of our namespace, where CRIU could mount
	 * nothing if it has another. */
	int (*prepare)(void *arg, struct err *e);
	void *arg;
	const int *inherit; /* descriptors that it gets as CRIU_FIRST_INHERITED and so on */
	size_t n_inherit;
	int cgroup;	   /* O_PATH of the one that it starts in; -1: ours */
	bool keeps_stdio;  /* what it makes has our standard descriptors; else none has */
	bool stays_behind; /* it waits for a next request, and ends without success when none comes
			    */
};

/*
 * Run CRIU for one request.
 * @ret: its answer, without texts
 * Returns 0; -ENOENT if there is no such program; -EIO if CRIU says that it failed; otherwise
 * -errno.
 * @e is filled.
 */
int criu_call(const struct criu_call *c, struct criu_response *ret, struct err *e);

/* Is CRIU there and new enough? Returns 0; -ENOENT; -ENOTSUP; otherwise -errno. @e is filled. */
int criu_check_version(const char *program, struct err *e);

/* Can it and the kernel tell which pages have changed since a dump? As above. */
int criu_check_tracking(const char *program, struct err *e);

/*
 * Put what CRIU's log says of its failure behind the message of @e.
 * @dirfd: where the log is; @where: that directory's path
 */
void criu_explain(int dirfd, const char *where, const char *log, struct err *e);

#endif
