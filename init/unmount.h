/* Unmount what holds data, before the machine ends. */
#ifndef SAMPAN_INIT_UNMOUNT_H
#define SAMPAN_INIT_UNMOUNT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Unmount every file system that is not the kernel's own or in memory, the last mounted first; what
 * stays busy is made read-only. May block as long as a disk does.
 */
void unmount_all(void);

struct unmount_entry {
	const char *target; /* octal escapes undone */
	bool keep;	    /* of the kernel, or in memory */
};

/*
 * Read one line of /proc/self/mountinfo, which is cut up in place.
 * Returns 0 or -EINVAL. Source: proc_pid_mountinfo(5).
 */
int unmount_parse_line(char *line, struct unmount_entry *ret);

#endif
