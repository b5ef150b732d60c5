/* The containers that the machine's image declares (docs/init.md), shown beside the engine's own.
 */
#ifndef SAMPAN_API_DECLARED_H
#define SAMPAN_API_DECLARED_H

#include "lib/base/err.h"

struct engine;

/*
 * Ask init for them and put them on the engine's list; one whose configuration cannot be read is
 * told in the log and left out. Returns 0, or -errno when init does not answer.
 */
int declared_load(struct engine *en, struct err *e);

#endif
