/* The keys that let go of a terminal: ctrl-p,ctrl-q by default. */
#ifndef SAMPAN_UTIL_DETACH_KEYS_H
#define SAMPAN_UTIL_DETACH_KEYS_H

#include "lib/base/err.h"

/* keys of --detach-keys */
#define DETACH_KEYS_MAX 15

/*
 * Read "ctrl-p,ctrl-q", or "".
 * Returns how many bytes the keys are; -EINVAL with @e filled.
 */
int detach_keys_parse(const char *text, unsigned char ret[static DETACH_KEYS_MAX], struct err *e);

#endif
