/* The kernel's command line: words between blanks, a double quote keeps blanks in a word. */
#ifndef SAMPAN_INIT_CMDLINE_H
#define SAMPAN_INIT_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is @word, whole, one of the words of @line? */
bool cmdline_has(const char *line, const char *word);

/*
 * Find the last word "@key=VALUE".
 * @ret_len: the length of VALUE
 * Returns VALUE inside @line, or NULL.
 */
const char *cmdline_value(const char *line, const char *key, size_t *ret_len);

/* As cmdline_value, for a time like "30s"; "off" is 0. Returns @otherwise if it is not there or is
 * no time. */
uint64_t cmdline_ms(const char *line, const char *key, uint64_t otherwise);

#endif
