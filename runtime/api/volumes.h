/* What `volume` and `system df` share. */
#ifndef SAMPAN_API_VOLUMES_H
#define SAMPAN_API_VOLUMES_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <yyjson.h>

struct engine;
struct volume;

/* A volume as the API shows it. @usage: with the containers that use it, and its bytes */
yyjson_mut_val *volume_shown(
	struct engine *en, yyjson_mut_doc *doc, const struct volume *v, bool usage);

/* Call @fn with each volume, in the order of their names. */
int volumes_each(struct engine *en,
	void (*fn)(void *arg, struct engine *en, const struct volume *v), void *arg, struct err *e);

#endif
