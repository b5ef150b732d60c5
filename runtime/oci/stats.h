/*
 * What a cgroup has used, in the words of runc's `events`: its JSON is what engines parse. Numbers
 * that only version 1 has are left out, which their parsers read as 0.
 * Source: kernel admin-guide/cgroup-v2.rst, accounting/psi.rst; runc types/events.go.
 */
#ifndef SAMPAN_OCI_STATS_H
#define SAMPAN_OCI_STATS_H

#include "lib/base/err.h"

#include <stdint.h>
#include <yyjson.h>

/*
 * Put the numbers of the cgroup @cgroupfd into the object @data. What the kernel does not count,
 * because a controller is off, is not in it.
 * Returns 0 or -errno with @e filled.
 */
int stats_collect(int cgroupfd, yyjson_mut_doc *doc, yyjson_mut_val *data, struct err *e);

#endif
