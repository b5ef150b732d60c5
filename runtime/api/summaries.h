/* Images and containers as lists show them: `ls`, `ps` and `system df`. */
#ifndef SAMPAN_API_SUMMARIES_H
#define SAMPAN_API_SUMMARIES_H

#include "runtime/api/call.h"

#include <stdbool.h>

struct container;
struct container_state;
struct image_record;

/* Append an object to @arr and return it. */
yyjson_mut_val *image_summary(
	struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *arr, const struct image_record *image);

/* @size: with the bytes that it has written, and with its image's */
yyjson_mut_val *container_summary(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *arr,
	const struct container *one, const struct container_state *s, bool size);

#endif
