/* Monotonic time in milliseconds: what deadlines and back-off are counted in. */
#ifndef SAMPAN_BASE_TIME_H
#define SAMPAN_BASE_TIME_H

#include <stdint.h>

/* Milliseconds since boot, suspended time included (CLOCK_BOOTTIME). */
uint64_t time_now_ms(void);

#endif
