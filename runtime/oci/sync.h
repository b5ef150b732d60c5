/*
 * What the runtime and the container's process tell each other while it is being made: fixed-size
 * messages over a SOCK_SEQPACKET pair, and over the start socket.
 */
#ifndef SAMPAN_OCI_SYNC_H
#define SAMPAN_OCI_SYNC_H

#include "lib/base/err.h"

#include <stdint.h>
#include <sys/types.h>

enum sync_type {
	SYNC_GO = 1,  /* runtime → process: maps are written, carry on; pid as the host sees it */
	SYNC_HOOKS,   /* process → runtime: namespaces and mounts stand, run your hooks */
	SYNC_HOOKED,  /* runtime → process: done */
	SYNC_READY,   /* process → runtime: only the start is missing */
	SYNC_ACK,     /* runtime → process: the state is on disk; value 1: start at once */
	SYNC_START,   /* start → process */
	SYNC_STARTED, /* process → start: the request is taken; end of file then means executed */
	SYNC_ERROR,   /* process → either: code and text */
};

struct sync_msg {
	uint32_t type;
	int32_t value;
	struct err err;
};

/* Returns 0; -EPIPE when the other side is gone; otherwise -errno. */
int sync_send(int fd, enum sync_type type, int32_t value);
int sync_send_error(int fd, const struct err *err);

/*
 * Wait for a message.
 * Returns its type; 0 at the end of the stream; -EBADMSG for one of a wrong length; -errno. For
 * SYNC_ERROR @e holds what the other side recorded, and -e->code is returned.
 */
int sync_recv(int fd, struct sync_msg *msg, struct err *e);

/*
 * Receive one message, and the descriptor that comes along with it.
 * @ret_fd: O_CLOEXEC, the caller's; -1 if there is none
 * Returns its bytes; 0 at the end of the stream; -EMSGSIZE if it is longer than @size; otherwise
 * -errno.
 */
ssize_t sync_recv_fd(int fd, void *buf, size_t size, int *ret_fd);

#endif
