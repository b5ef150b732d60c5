/*
 * A declared container: create, adopt, start, delete. Each step is one run of sampan-oci, and none
 * of them stays. Called by the table in service.c.
 */
#ifndef SAMPAN_INIT_CONTAINER_H
#define SAMPAN_INIT_CONTAINER_H

#include "init/service.h"

/* Mount the root filesystem and run sampan-oci create. Returns 0 or -errno if there is no child. */
int container_create(struct service *svc);

/*
 * Create has ended well: take over the process that it left.
 * Returns 0, or -errno with @e filled: there is no such process, or it is not our child.
 */
int container_adopt(struct service *svc, struct err *e);

/* Run sampan-oci start. Returns as container_create(). */
int container_launch(struct service *svc);

/* Unmount the root filesystem and run sampan-oci delete. Returns as container_create(). */
int container_delete(struct service *svc);

#endif
