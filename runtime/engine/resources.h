/*
 * What a container may use: the resource fields of a host config, checked as Docker checks them and
 * brought into the words of the runtime-spec.
 * Source: Docker Engine API v1.51, Resources; OCI config-linux.md; kernel
 * admin-guide/cgroup-v2.rst.
 */
#ifndef SAMPAN_ENGINE_RESOURCES_H
#define SAMPAN_ENGINE_RESOURCES_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <yyjson.h>

/*
 * Check the fields of @host and fill in those that depend on others. What this kernel cannot limit
 * is taken out of it, with a line in @warnings (an array), as Docker does.
 * @update: of a container that is there already: a field that is not given stays as it was
 * @controllers: of cgroup version 2 that there are, "cpu io memory pids cpuset"
 * Returns 0 or -EINVAL in Docker's words.
 */
int resources_check(yyjson_mut_doc *doc, yyjson_mut_val *host, bool update, const char *controllers,
	yyjson_mut_val *warnings, struct err *e);

/* The controllers of this machine, in @buf. "" when there are none. */
void resources_controllers(char *buf, size_t size);

/*
 * Bring those fields of @change that are given into @host, which is a running container's.
 * Returns 0 or -EBUSY in Docker's words for what does not go together with what is there.
 */
int resources_merge(yyjson_mut_doc *doc, yyjson_mut_val *host, yyjson_val *change, struct err *e);

/* linux.resources but for devices. NULL with @e filled: a path that is no device. */
yyjson_mut_val *resources_spec(yyjson_mut_doc *doc, yyjson_val *host, struct err *e);

#endif
