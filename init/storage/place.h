/*
 * The data partition on one disk, made ready step by step: table repaired, partition created,
 * formatted, grown. Each step leaves the disk in a state that plan_next() recognises.
 */
#ifndef SAMPAN_STORAGE_PLACE_H
#define SAMPAN_STORAGE_PLACE_H

#include "init/storage/disk.h"
#include "lib/base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Where the data is. */
struct place {
	char device[DISK_NAME_BYTES_MAX + 8]; /* "/dev/vda3" */
	uint64_t bytes;			      /* of the partition */
};

/* What is told to the person at the console: one line, no newline. */
typedef void place_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Do what has to be done on one disk.
 * @may_label: the disk was named by the user: an empty one gets a partition table
 * @say: called before each step that changes the disk
 * Returns 0; -ENOSPC if there is no data partition and no room for one; -ENOTEMPTY if @may_label
 * and the disk holds something else; -EUCLEAN if the table makes no sense; otherwise -errno.
 */
int place_prepare(
	const struct disk *disk, bool may_label, place_say *say, struct place *ret, struct err *e);

#endif
