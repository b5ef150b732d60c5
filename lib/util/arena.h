/*
 * Memory that lives and dies together: what a parsed document points to. Nothing is freed alone.
 *
 * It comes in large blocks whose pages are there from the start. A program that lives for a
 * millisecond spends more on one page fault each than on all that it keeps in the pages.
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

/* @size bytes, not zeroed. NULL when memory is out. */
void *arena_alloc(struct arena *a, size_t size);

/* Change the size of @p, which has @old bytes, and return where it is now; NULL, with @p as it was,
 * when memory is out. The newest object grows and shrinks in its place. */
void *arena_resize(struct arena *a, void *p, size_t old, size_t size);

/* A terminated copy of the @len bytes at @s, or NULL. */
char *arena_strndup(struct arena *a, const char *s, size_t len);

void arena_free(struct arena *a);

#endif
