/* What the kernel command line asks of storage. */
#ifndef SAMPAN_STORAGE_REQUEST_H
#define SAMPAN_STORAGE_REQUEST_H

#include "init/storage/gpt.h"
#include "init/storage/limits.h"
#include "lib/base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct request {
	bool no_disk;			/* sampan.data=none */
	char disk[DISK_NAME_BYTES_MAX]; /* sampan.data=/dev/NAME; empty: find it */
	bool has_boot;			/* sampan.boot=GUID */
	uint8_t boot[GUID_BYTES];	/* the ESP that the boot loader read from */
};

/*
 * Read the words that concern storage; the last one of a kind wins.
 * @cmdline: @len bytes, need not be terminated; words in double quotes belong together
 * Returns 0; -EINVAL for a value that is none of the above, named in @e.
 */
int request_parse(const char *cmdline, size_t len, struct request *ret, struct err *e);

#endif
