/* How Docker words a duration: "About a minute", "3 hours" (go-units' HumanDuration). */
#ifndef SAMPAN_UTIL_DURATION_H
#define SAMPAN_UTIL_DURATION_H

#include <stddef.h>
#include <stdint.h>

/* @seconds: not negative; @buf: at least 40 bytes */
void duration_in_words(int64_t seconds, char *buf, size_t size);

#endif
