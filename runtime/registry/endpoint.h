/*
 * Which hosts are asked for a repository, and how each is spoken to: mirrors, certificates of its
 * own, whether plain HTTP will do.
 */
#ifndef SAMPAN_REGISTRY_ENDPOINT_H
#define SAMPAN_REGISTRY_ENDPOINT_H

#include "runtime/registry/transfer.h"

#include <stddef.h>

/* What the administrator says of registries. Texts are borrowed and outlive all else. */
struct registry_settings {
	/* HOST[:PORT]/ca.crt, client.cert, client.key below each; NULL behind the last */
	const char *certs_dirs[REGISTRY_CERTS_DIRS_MAX + 1];
	const char *const *mirrors; /* URLs that are asked first for docker.io */
	size_t n_mirrors;
	const char *const *insecure; /* HOST[:PORT] without a certificate that can be checked */
	size_t n_insecure;
	unsigned stall_s; /* seconds without a byte after which a connection is given up */
};

/* Whether a mirror's URL is http or https, a host with or without a port, and no path: 1 or 0. */
int endpoint_is_mirror(const char *url);

struct endpoint {
	char base[512]; /* "https://registry-1.docker.io" */
	bool mirror;
	struct transfer_host host;
};

/*
 * The place to ask as number @i (from 0): mirrors, then the registry by HTTPS and, where that is
 * allowed, by HTTP.
 * @mirrors: whether mirrors will do, which have what is pulled, not what is to be pushed
 * Returns 1; 0 when there are no more; -errno with @e filled for files that cannot be used. After 1
 * the caller owes endpoint_free.
 */
int endpoint_get(const struct registry_settings *s, const char *domain, bool mirrors, unsigned i,
	struct endpoint *ret, struct err *e);
void endpoint_free(struct endpoint *ep);

#endif
