/* A container's networks as the API shows them. */
#ifndef SAMPAN_API_NETWORKS_H
#define SAMPAN_API_NETWORKS_H

#include <yyjson.h>

struct container;
struct container_state;
struct engine;

/* "NetworkSettings" of `inspect`. */
yyjson_mut_val *network_settings(struct engine *en, yyjson_mut_doc *doc, const struct container *c,
	const struct container_state *s);

/* "NetworkSettings" of `ps`, which is its Networks alone. */
yyjson_mut_val *network_summary(struct engine *en, yyjson_mut_doc *doc, const struct container *c,
	const struct container_state *s);

#endif
