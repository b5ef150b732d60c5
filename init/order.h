/* Who waits for whom: after= at start, its reverse at shutdown. */
#ifndef SAMPAN_INIT_ORDER_H
#define SAMPAN_INIT_ORDER_H

#include "init/service.h"

/* Name what does not exist, and refuse services whose after= goes round in a circle. */
void order_check(void);

/* Returns the name of a service that @svc still has to wait for, or NULL. */
const char *order_waits_for(const struct service *svc);

/* Is a service still active that names @svc in its after=? Then @svc has to stay. */
bool order_is_needed(const struct service *svc);

#endif
