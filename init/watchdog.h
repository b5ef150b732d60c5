/* The hardware watchdog: fed from the loop, so that a loop which hangs resets the machine. */
#ifndef SAMPAN_INIT_WATCHDOG_H
#define SAMPAN_INIT_WATCHDOG_H

#include <stdint.h>

/* Take /dev/watchdog if it is there and sampan.watchdog=off is not given; may be called again. */
void watchdog_open(void);

uint64_t watchdog_deadline(void);
void watchdog_tick(uint64_t now_ms);

/* Stop it; only at the very end, when the machine is to stay off. */
void watchdog_disarm(void);

#endif
