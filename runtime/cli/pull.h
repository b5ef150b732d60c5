/* Images from a registry or a file. */
#ifndef SAMPAN_CLI_PULL_H
#define SAMPAN_CLI_PULL_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <stdio.h>

struct pull {
	const char *platform;
	bool all, quiet;
	FILE *to; /* where the progress is shown */
};

/* Pull @image ("NAME[:TAG|@DIGEST]"), showing progress. Returns 0 or -errno with @e filled. */
int pull_image(const struct pull *o, const char *image, struct err *e);

/* @image with ":latest" if it has neither tag nor digest. */
void pull_name(const char *image, char *buf, size_t size);

#endif
