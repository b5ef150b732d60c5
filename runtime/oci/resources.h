/*
 * What `update` does with two sets of limits: those that the container has and those that are to
 * change. Pure functions.
 */
#ifndef SAMPAN_OCI_RESOURCES_H
#define SAMPAN_OCI_RESOURCES_H

#include "runtime/oci/config.h"

/*
 * Put the linux.resources @change over the linux.resources @base: an object goes into an object,
 * anything else takes the place of what was there. A limit that is 0, "", [] or null is not given,
 * as runc's update has it; a burst and an idle of 0 are. As runc also: a memory limit of -1 that
 * comes without a swap limit takes that off too.
 */
void resources_merge(yyjson_mut_doc *doc, yyjson_mut_val *base, yyjson_val *change);

/*
 * What has to be written: the values of @change, and of @merged those that the kernel's files hold
 * together with one of them (the swap limit is counted from the memory limit, quota and period are
 * one line, leaving idle resets the weight).
 */
struct config_resources resources_to_write(
	const struct config_resources *change, const struct config_resources *merged);

#endif
