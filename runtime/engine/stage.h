/*
 * Sources of a container's mounts that are no path of the host: a part of a volume, an image. Each
 * is mounted at containers/ID/mounts/N while the runtime makes the container, which takes a copy.
 */
#ifndef SAMPAN_ENGINE_STAGE_H
#define SAMPAN_ENGINE_STAGE_H

#include "runtime/engine/container.h"

/*
 * The mount point @mp as a path that the runtime can bind.
 * @number: of the mount; names the place
 * @path: filled; @size bytes
 * Returns 0; -ENOENT, -ELOOP … for a subpath that is not inside, with @e filled.
 */
int stage_mount(struct engine *en, struct container *c, yyjson_val *mp, size_t number, char *path,
	size_t size, struct err *e);

/* Unmount them all. */
void stage_clear(struct engine *en, struct container *c);

/* The same for all containers: what a killed engine left. */
void stage_clear_all(struct engine *en);

#endif
