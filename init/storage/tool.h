/* The file system's own programs: mke2fs and e2fsck stay separate programs of e2fsprogs. */
#ifndef SAMPAN_STORAGE_TOOL_H
#define SAMPAN_STORAGE_TOOL_H

#include "lib/base/err.h"

/*
 * Run a program and wait for it; its output goes where ours goes.
 * @argv: NULL-terminated; argv[0] is searched in PATH
 * Returns its exit status; -ECANCELED if a signal ended it; otherwise -errno.
 */
int tool_run(const char *const argv[], struct err *e);

/* Make an empty ext4 labelled "sampan-data" on a partition, and have it on the disk. */
int tool_make_ext4(const char *device, struct err *e);

/*
 * Check a file system and repair what can be repaired without asking.
 * Returns 0 if it is clean now; -EUCLEAN if somebody has to decide; otherwise -errno.
 */
int tool_check_ext4(const char *device, struct err *e);

#endif
