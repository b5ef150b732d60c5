/* linux.sysctl: which namespace a kernel parameter belongs to, and setting it there. */
#ifndef SAMPAN_OCI_SYSCTL_H
#define SAMPAN_OCI_SYSCTL_H

#include "runtime/oci/config.h"

/* bytes of a parameter's path below /proc/sys */
#define SYSCTL_PATH_BYTES 256

/*
 * The path of @key below /proc/sys: "net.ipv4.ip_forward" and "net/ipv4/ip_forward" are one. The
 * first of the two separators decides, the other then stands for itself, so that an interface
 * called eth0.5 is "net/ipv4/conf/eth0.5/…" or "net.ipv4.conf.eth0/5.…".
 * Returns 0; -EINVAL for an empty component, "." or ".."; -ENAMETOOLONG.
 * Source: sysctl(8).
 */
int sysctl_path(const char *key, char ret_path[static SYSCTL_PATH_BYTES]);

/* A parameter may only touch what one of the container's own namespaces holds. */
int sysctl_check(const struct config *c, struct err *e);

/* Write them all, by a process inside those namespaces. @host_proc: the runtime's own /proc */
int sysctl_apply(const struct config *c, int host_proc, struct err *e);

/* Which namespace holds this sysctl: an enum ns_type, or -1 for none. */
int sysctl_owner(const char *key);

#endif
