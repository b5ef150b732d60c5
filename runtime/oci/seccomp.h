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
 * @warn: told of system calls that nobody here knows, when it is compiled; NULL: nobody is
 * Returns 0 or -errno with @e naming the JSON path.
 */
int seccomp_build(const struct config_seccomp *s, int cachefd, int workfd,
	void (*warn)(const char *fmt, ...), struct seccomp_filter *ret, struct err *e);

/* Write the program to @name below @dirfd, and read it back: exec into a container reuses it. */
int seccomp_save(const struct seccomp_filter *f, int dirfd, const char *name, struct err *e);
int seccomp_restore(struct seccomp_filter *f, int dirfd, const char *name, struct err *e);

/* The file format: @head, then the instructions. Written below @workfd, it appears as @name of
 * @dirfd; read from the position behind the head. Return 0 or -errno. */
int seccomp_write_program(int workfd, int dirfd, const char *name, const char *head,
	size_t head_len, const struct seccomp_filter *f);
int seccomp_read_program(int fd, struct seccomp_filter *ret);

/*
 * Load it for the calling thread.
 * @listen: ask for the listener of SCMP_ACT_NOTIFY
 * Returns 0, or the listener's descriptor; otherwise -errno.
 */
int seccomp_load_filter(const struct seccomp_filter *f, bool listen);

void seccomp_filter_free(struct seccomp_filter *f);

#endif
