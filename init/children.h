/* Every child that ends is taken here, and nobody else waits. */
#ifndef SAMPAN_INIT_CHILDREN_H
#define SAMPAN_INIT_CHILDREN_H

#include <stdbool.h>

/* Take up to REAP_BATCH children that ended. Returns whether there may be more. */
bool children_reap(void);

/* Is there no child left at all? */
bool children_none(void);

#endif
