/* The progress of a pull or load, as the engine tells it line by line. */
#ifndef SAMPAN_CLI_PROGRESS_H
#define SAMPAN_CLI_PROGRESS_H

#include "runtime/cli/http.h"

#include <stdint.h>
#include <stdio.h>
#include <yyjson.h>

/* layers that have a line of their own on a terminal */
#define PROGRESS_LINES_MAX 128

struct progress {
	FILE *to;
	bool terminal; /* lines are written over, with bars */
	bool quiet;
	unsigned columns;
	unsigned n; /* lines */
	char ids[PROGRESS_LINES_MAX][80];
};

/* A bar: "[====>    ]  1.2MB/4MB", as wide as @columns allow; "" while nothing is known. */
void progress_bar(int64_t current, int64_t total, unsigned columns, char *buf, size_t size);

/*
 * Show all that @h tells until its end.
 * Returns 0; -EIO when the engine told an error, which fills @e.
 * Source: Docker Engine API v1.51, /images/create, CreateImageInfo.
 */
int progress_show(struct progress *p, struct http *h, struct err *e);

#endif
