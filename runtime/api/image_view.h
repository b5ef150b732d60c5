/* What the handlers of images share: an image as the API shows it. */
#ifndef SAMPAN_API_IMAGE_VIEW_H
#define SAMPAN_API_IMAGE_VIEW_H

#include "runtime/api/call.h"
#include "runtime/engine/engine.h"

/* RepoTags or, @digests, RepoDigests. */
yyjson_mut_val *image_names(yyjson_mut_doc *doc, const struct image_record *r, bool digests);

/* Whether the name has a digest in it. */
bool image_is_digest_name(const char *name);

/* The config's "config". */
yyjson_val *image_config_of(const struct image_record *r);

/* A field of the config itself; NULL when there is none. */
yyjson_val *image_field(const struct image_record *r, const char *key);

/* "2024-05-01T12:00:00.123Z" in nanoseconds since 1970; 0 for what is nothing of the kind. */
int64_t image_time_ns(const char *text);

/* How many containers are of it. */
int64_t image_count_users(struct call *c, const char *id);

/* Remove an image, tell the events, and add what went to @arr. */
int image_delete(struct call *c, const struct image_record *image, yyjson_mut_doc *doc,
	yyjson_mut_val *arr, struct err *e);

#endif
