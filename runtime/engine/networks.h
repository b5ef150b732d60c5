/*
 * The networks that need no networking: "none", a container's own loopback, and "host". Their ids,
 * and those that Docker gives to a running container's part in one, follow from the engine's and
 * the container's, so that they are on no record and the same after a restart.
 */
#ifndef SAMPAN_ENGINE_NETWORKS_H
#define SAMPAN_ENGINE_NETWORKS_H

#include "runtime/engine/container.h"

struct network {
	const char *name;
	const char *driver;
};

/* NULL behind the last. */
const struct network *network_at(size_t i);

/* By name, id, or the beginning of an id; NULL when there is none or more than one. */
const struct network *network_find(const struct engine *en, const char *ref);

/* 64 digits. */
void network_id(const struct engine *en, const struct network *net, char ret[CONTAINER_ID_BYTES]);

/* When it was made, with the engine's first start; ns since 1970. */
int64_t network_created_ns(const struct engine *en);

/* The network of a container; NULL when it has another container's. */
const struct network *network_of(const struct container *c);

/* Ids of its end of the network and of its namespace in this run; "" when it does not run. */
void network_endpoint_id(
	const struct container *c, const struct container_state *s, char ret[CONTAINER_ID_BYTES]);
void network_sandbox_id(
	const struct container *c, const struct container_state *s, char ret[CONTAINER_ID_BYTES]);

#endif
