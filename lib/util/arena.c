#include "lib/util/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* bytes: one block holds a typical config.json's arrays */
#define ARENA_BLOCK_BYTES 8192

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t size;
	_Alignas(max_align_t) unsigned char data[];
};

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
	struct arena_block *b = a->head;
	size_t need;
	void *p;

	if (__builtin_mul_overflow(n, size, &need) || need > SIZE_MAX / 2)
		return NULL;
	need = (need + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
	if (!b || b->size - b->used < need) {
		size_t room = need > ARENA_BLOCK_BYTES ? need : ARENA_BLOCK_BYTES;

		b = malloc(sizeof(*b) + room);
		if (!b)
			return NULL;
		b->next = a->head;
		b->used = 0;
		b->size = room;
		a->head = b;
	}
	p = b->data + b->used;
	b->used += need;
	return memset(p, 0, need);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = arena_calloc(a, len + 1, 1);

	if (copy)
		memcpy(copy, s, len);
	return copy;
}

void arena_free(struct arena *a)
{
	while (a->head) {
		struct arena_block *next = a->head->next;

		free(a->head);
		a->head = next;
	}
}
