/*
 * Memory that lives and dies together: what a parsed document points to. Nothing is freed alone.
 */
#ifndef SAMPAN_UTIL_ARENA_H
#define SAMPAN_UTIL_ARENA_H

#include <stddef.h>

struct arena_block;

/* Zero-initialise; free with arena_free(). */
struct arena {
	struct arena_block *head;
};

/* @n objects of @size bytes, zeroed and aligned for any type. NULL when memory is out or the
 * product overflows. */
void *arena_calloc(struct arena *a, size_t n, size_t size);

/* A terminated copy of the @len bytes at @s, or NULL. */
char *arena_strndup(struct arena *a, const char *s, size_t len);

void arena_free(struct arena *a);

#endif
