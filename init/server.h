/* init.sock: who may ask, and the answers. */
#ifndef SAMPAN_INIT_SERVER_H
#define SAMPAN_INIT_SERVER_H

#include "init/service.h"

#include <stdint.h>

/* Listen on options.run_dir/init.sock. Returns 0 or -errno; may be called again after a failure. */
int server_open(void);

/* Something that a client may be waiting for. */
void server_service_changed(const struct service *svc);
void server_log_grew(unsigned slot);
void server_exits_changed(void);

uint64_t server_deadline(void);
void server_tick(uint64_t now_ms);

#endif
