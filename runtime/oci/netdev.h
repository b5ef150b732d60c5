/*
 * linux.netDevices: interfaces of the host that move into the container's network namespace, with
 * their addresses.
 * Source: OCI config-linux.md "Network Devices"; rtnetlink(7).
 */
#ifndef SAMPAN_OCI_NETDEV_H
#define SAMPAN_OCI_NETDEV_H

#include "runtime/oci/config.h"

/* May an interface have this name? @template: one "%d", for which the kernel finds a number, too */
bool netdev_name_valid(const char *name, bool template);

/* Refuse by their JSON path names that no interface can have, one that two devices would get, and
 * devices without a network namespace to go to. */
int netdev_check(const struct config *c, struct err *e);

/* What has been moved, so that it can be put back. All zero but the descriptors: nothing. */
struct netdev_moves {
	int own_ns; /* the runtime's network namespace */
	int host;   /* rtnetlink sockets in the two */
	int inner;
	struct netdev *v;
	size_t n;
};

#define NETDEV_NO_MOVES                                                                            \
	{                                                                                          \
		.own_ns = -1, .host = -1, .inner = -1                                              \
	}

/*
 * Move them all, rename them, give them their addresses and bring them up. When that fails, as when
 * anything later does, the caller has netdev_put_back() undo what was done.
 * @target: the container's network namespace, borrowed
 */
int netdev_move(
	const struct config *c, int host_proc, int target, struct netdev_moves *m, struct err *e);

/* The container is not going to be: what it was given goes back to the host. What fails is told to
 * @warn. */
void netdev_put_back(struct netdev_moves *m, void (*warn)(const char *fmt, ...));

/* The container owns them now. */
void netdev_forget(struct netdev_moves *m);

#endif
