/*
 * The processes of a service: started, listened to until they run, taken when they end. What that
 * means for the service is decided by the table in service.c.
 */
#ifndef SAMPAN_INIT_RUNS_H
#define SAMPAN_INIT_RUNS_H

#include "init/service.h"

void runs_init(void);

/* Start the program of exec=. Returns 0 or -errno if there is no child. */
int runs_spawn_main(struct service *svc);

/* Kill what the main process may have left behind; it is dead, not reaped yet, or about to be. */
void runs_kill_rest(struct service *svc);

/* It will not tell that it is ready any more. */
void runs_close_notify(struct service *svc);

#endif
