/*
 * What a container uses, as the parts of the API's statistics. What the kernel does not count,
 * because a controller is off, is left out or 0, as Docker has it.
 * Source: Docker Engine API v1.51, ContainerStatsResponse; kernel admin-guide/cgroup-v2.rst,
 * filesystems/proc.rst.
 */
#ifndef SAMPAN_API_USAGE_H
#define SAMPAN_API_USAGE_H

#include <stdint.h>
#include <yyjson.h>

/* "cpu_stats". @cgroup: its directory; -1: nothing runs. @proc: /proc, for the whole machine's */
yyjson_mut_val *usage_cpu(yyjson_mut_doc *doc, int cgroup, int proc);

/* "memory_stats". @machine: bytes of memory that there are at most */
yyjson_mut_val *usage_memory(yyjson_mut_doc *doc, int cgroup, uint64_t machine);

/* "pids_stats" */
yyjson_mut_val *usage_pids(yyjson_mut_doc *doc, int cgroup);

/* "blkio_stats" */
yyjson_mut_val *usage_blkio(yyjson_mut_doc *doc, int cgroup);

/* "networks": every interface but lo of the namespace of @process, a directory of /proc; NULL when
 * there is none. */
yyjson_mut_val *usage_networks(yyjson_mut_doc *doc, int process);

#endif
