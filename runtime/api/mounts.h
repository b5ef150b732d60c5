/* A container's mount points as the API shows them. */
#ifndef SAMPAN_API_MOUNTS_H
#define SAMPAN_API_MOUNTS_H

#include <stdbool.h>
#include <yyjson.h>

struct container;

/* The "Mounts" of `inspect` and `ps`. */
yyjson_mut_val *mounts_shown(yyjson_mut_doc *doc, const struct container *c);

/* Whether a volume's name, a source or a destination is @value: the filter "volume". */
bool mounts_have(const struct container *c, const char *value);

#endif
