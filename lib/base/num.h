/* Strict numbers from text: the whole string or nothing. */
#ifndef SAMPAN_BASE_NUM_H
#define SAMPAN_BASE_NUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Parse a decimal number without sign or blanks.
 * @s: @len bytes, need not be terminated
 * @ret_value: untouched on failure
 * Returns 0; -EINVAL if empty or not digits only; -ERANGE above @max.
 */
int num_parse_u64(const char *s, size_t len, uint64_t max, uint64_t *ret_value);

/*
 * Parse a size in bytes with an optional binary suffix K, M, G or T ("64M").
 * Returns as num_parse_u64.
 */
int num_parse_size(const char *s, size_t len, uint64_t *ret_bytes);

/*
 * Parse a duration into milliseconds: a number followed by "ms", "s" or "m" ("500ms", "10s").
 * Returns as num_parse_u64; a number without unit is -EINVAL.
 */
int num_parse_ms(const char *s, size_t len, uint64_t *ret_ms);

#endif
