/* How long a service that keeps ending waits before it is started again. */
#ifndef SAMPAN_INIT_BACKOFF_H
#define SAMPAN_INIT_BACKOFF_H

#include <stdint.h>

/*
 * @last_ms: the wait before the run that just ended; 0 if there was none
 * @min_ms, @max_ms: the first wait, and the longest
 * @ran_ms, @healthy_ms: how long it ran, and how long it must run to be forgiven
 * Returns the next wait, milliseconds: @min_ms at first and after a healthy run, then doubled.
 */
uint64_t backoff_next(
	uint64_t last_ms, uint64_t min_ms, uint64_t max_ms, uint64_t ran_ms, uint64_t healthy_ms);

#endif
