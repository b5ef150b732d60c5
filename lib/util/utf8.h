/* Text from elsewhere on its way into JSON, which must be UTF-8. */
#ifndef SAMPAN_UTIL_UTF8_H
#define SAMPAN_UTIL_UTF8_H

#include "lib/util/buf.h"

/*
 * The length of the sequence of two bytes or more at @s, of which @len > 0 are there; 0 if it is
 * none.
 * Source: Unicode 15, table 3-7.
 */
size_t utf8_len(const unsigned char *s, size_t len);

/* Append @bytes, with U+FFFD for each NUL and each byte that is no part of a character, as Go does.
 * Returns 0 or -ENOMEM. */
int utf8_add(struct buf *b, const char *bytes, size_t len);

#endif
