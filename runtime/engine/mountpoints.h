/*
 * The mount points of a container: all that its configuration, its host configuration and its image
 * ask for, in one list that is made with the container and stands on its record. Each is an object
 * with the members that `inspect` shows (Type, Name, Source, Destination, Driver, Mode, RW,
 * Propagation) and those that only the engine reads (MOUNTPOINT_…).
 * Source: Docker Engine API v1.51, MountPoint; `docker run --volume`, `--mount`, `--volumes-from`.
 */
#ifndef SAMPAN_ENGINE_MOUNTPOINTS_H
#define SAMPAN_ENGINE_MOUNTPOINTS_H

#include "runtime/engine/container.h"

/* of the record */
#define MOUNTPOINTS "MountPoints"

/* members that are not shown: the volume gets what the image has at its place; the source is made
 * when it is not there; the volume goes with its container; the entry of HostConfig.Mounts; the id
 * of an image */
#define MOUNTPOINT_COPY "Copy"
#define MOUNTPOINT_MAKE "MakeSource"
#define MOUNTPOINT_ANONYMOUS "Anonymous"
#define MOUNTPOINT_SPEC "Spec"
#define MOUNTPOINT_IMAGE "ImageID"

/* mount points of one container */
#define MOUNTPOINTS_MAX 1024

/* The list; never NULL, an array of objects. */
yyjson_val *mountpoints_of(const struct container *c);

/*
 * Complete the record of a container that is being made. Volumes that are not there are made, and
 * all are held for @id until volumes_release.
 * @record: taken over
 * Returns the new record, or NULL with @e filled.
 */
yyjson_doc *mountpoints_add(struct engine *en, const char *id, yyjson_doc *record, struct err *e);

bool mountpoints_use_volume(const struct container *c, const char *name);
bool mountpoints_use_image(const struct container *c, const char *id);

/* Fill empty volumes with what the image has at their places. */
int mountpoints_fill(struct engine *en, struct container *c, struct err *e);

/*
 * Before a start: volumes mounted, directories made. With c->op.
 * Returns 0 or -errno; then nothing is held.
 */
int mountpoints_take(struct engine *en, struct container *c, struct err *e);

/* After its end, or when it did not come to a start. With c->op. */
void mountpoints_give_back(struct engine *en, struct container *c);

/* It runs since before this engine did: its volumes are mounted. */
void mountpoints_taken_already(struct engine *en, struct container *c);

/* It is going away: its anonymous volumes are to go with it. */
void mountpoints_orphan(struct engine *en, struct container *c);

/* It is gone: so are those volumes, but for what others use. */
void mountpoints_remove_orphans(struct engine *en, struct container *c);

#endif
