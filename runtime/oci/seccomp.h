/*
 * The seccomp section as a BPF program. Compiled by libseccomp before the container exists, loaded
 * by the container's process with one system call.
 * Source: OCI config-linux.md "Seccomp"; seccomp(2).
 */
#ifndef SAMPAN_OCI_SECCOMP_H
#define SAMPAN_OCI_SECCOMP_H

#include "runtime/oci/config.h"

#include <linux/filter.h>

struct seccomp_filter {
	struct sock_filter *insns; /* malloc; NULL: no filter */
	size_t n;
	unsigned flags; /* SECCOMP_FILTER_FLAG_* */
};

/*
 * Compile, or take the same section's program from the cache.
 * @cachefd: directory of compiled programs, borrowed; -1: no cache
 * @workfd: directory of the container, where what goes into the cache is written first
 * Returns 0 or -errno with @e naming the JSON path.
 */
int seccomp_build(const struct config_seccomp *s, int cachefd, int workfd,
	struct seccomp_filter *ret, struct err *e);

/* Write the program to @name below @dirfd, and read it back: exec into a container reuses it. */
int seccomp_save(const struct seccomp_filter *f, int dirfd, const char *name, struct err *e);
int seccomp_restore(struct seccomp_filter *f, int dirfd, const char *name, struct err *e);

/* Load it for the calling process. Returns 0 or -errno. */
int seccomp_load_filter(const struct seccomp_filter *f);

void seccomp_filter_free(struct seccomp_filter *f);

#endif
