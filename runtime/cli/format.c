#include "runtime/cli/format.h"

#include <stdio.h>

void format_duration(uint64_t ms, char *buf, size_t size)
{
	unsigned long long s = ms / 1000;

	if (s < 60)
		snprintf(buf, size, "%llus", s);
	else if (s < 3600)
		snprintf(buf, size, "%llum %llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, size, "%lluh %llum", s / 3600, s / 60 % 60);
	else
		snprintf(buf, size, "%llud %lluh", s / 86400, s / 3600 % 24);
}
