#include "lib/util/duration.h"

#include <stdio.h>
#include <string.h>

void duration_in_words(int64_t seconds, char *buf, size_t size)
{
	static const struct {
		int64_t below, unit; /* seconds */
		int64_t round;
		const char *text;
	} steps[] = {
		{1, 0, 0, "Less than a second"},
		{2, 0, 0, "1 second"},
		{60, 1, 0, "%lld seconds"},
		{120, 0, 0, "About a minute"},
		{3600, 60, 0, "%lld minutes"},
		{5400, 0, 0, "About an hour"},
		{48 * 3600 - 1800, 3600, 1800, "%lld hours"},
		{14 * 86400 - 1800, 86400, 1800, "%lld days"},
		{60 * 86400 - 1800, 7 * 86400, 1800, "%lld weeks"},
		{2 * 365 * 86400 - 1800, 30 * 86400, 1800, "%lld months"},
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (seconds >= steps[i].below)
			continue;
		if (steps[i].unit == 0)
			snprintf(buf, size, "%s", steps[i].text);
		else
			snprintf(buf, size, "%lld%s",
				(long long)((seconds + steps[i].round) / steps[i].unit),
				steps[i].text + strlen("%lld"));
		return;
	}
	snprintf(buf, size, "%lld years", (long long)(seconds / (365LL * 86400)));
}
