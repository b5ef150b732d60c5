/* Requests to rtnetlink and their answers, one at a time. Source: rtnetlink(7), netlink(7). */
#ifndef SAMPAN_OCI_RTNETLINK_H
#define SAMPAN_OCI_RTNETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

/* bytes of attributes in one request; the longest here is an address with six of them */
#define RTNL_ATTRS_BYTES 256

struct rtnl_request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
	};
	char attrs[RTNL_ATTRS_BYTES];
};

/* A socket in the calling process's network namespace. Returns it or -errno. */
int rtnl_open(void);

/* Start a request of @type with NLM_F_* @flags, and put an attribute behind it. */
void rtnl_begin(struct rtnl_request *q, uint16_t type, uint16_t flags, size_t body);
void rtnl_attr(struct rtnl_request *q, uint16_t type, const void *data, size_t len);

/*
 * Send @q and read until its acknowledgement or the end of its dump.
 * @each: called with every message in between; may be NULL
 * Returns 0 or -errno, the kernel's or that of the transport.
 */
int rtnl_talk(
	int sock, struct rtnl_request *q, void (*each)(struct nlmsghdr *msg, void *arg), void *arg);

#endif
