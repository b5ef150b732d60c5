/*
 * Compiled filters, kept for the next container with an equal section.
 *
 * One file per filter, named by a hash of the section's text and starting with that text. Only an
 * equal text is a hit, so a collision of the hash costs a compilation and nothing more. A file
 * appears by rename from the directory of the container that is being made: what is left of a
 * runtime that was killed goes with that. The newest stay, as many as the limits allow.
 */
#ifndef SAMPAN_OCI_SECCOMP_CACHE_H
#define SAMPAN_OCI_SECCOMP_CACHE_H

#include "runtime/oci/seccomp.h"

struct seccomp_cache_key {
	char *text; /* malloc */
	size_t len;
	char name[32];
};

/* Returns 0 or -ENOMEM. */
int seccomp_cache_key(const struct config_seccomp *s, struct seccomp_cache_key *k);

/* Returns 0 or -errno: -ENOENT when there is none. */
int seccomp_cache_read(int cachefd, const struct seccomp_cache_key *k, struct seccomp_filter *ret);

/* Put it in, and the oldest out while there is too much. Returns 0 or -errno. */
int seccomp_cache_write(
	int cachefd, int workfd, const struct seccomp_cache_key *k, const struct seccomp_filter *f);

#endif
