#include "init/backoff.h"

uint64_t backoff_next(
	uint64_t last_ms, uint64_t min_ms, uint64_t max_ms, uint64_t ran_ms, uint64_t healthy_ms)
{
	if (last_ms == 0 || ran_ms >= healthy_ms)
		return min_ms;
	if (last_ms > max_ms / 2)
		return max_ms;
	return last_ms * 2 > min_ms ? last_ms * 2 : min_ms;
}
