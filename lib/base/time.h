/* Times: for deadlines and back-off, for waiting, and of day. */
#ifndef SAMPAN_BASE_TIME_H
#define SAMPAN_BASE_TIME_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since boot, suspended time included (CLOCK_BOOTTIME). */
uint64_t time_now_ms(void);

/* The moment @ms from now as pthread_cond_timedwait wants it, of CLOCK_MONOTONIC. */
struct timespec time_in_ms(uint64_t ms);

/* The time of day: nanoseconds since 1970 (CLOCK_REALTIME). */
int64_t realtime_ns(void);

#endif
