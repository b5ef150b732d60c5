#include "lib/util/arena.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

/* bytes of the first block, which is enough for a small document, and of every other */
#define FIRST_BLOCK_BYTES 16384
#define BLOCK_BYTES 65536

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t size;
	_Alignas(max_align_t) unsigned char data[];
};

static size_t round_up(size_t size)
{
	return (size + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
}

static struct arena_block *add_block(struct arena *a, size_t need)
{
	const size_t usual = a->head ? BLOCK_BYTES : FIRST_BLOCK_BYTES;
	size_t whole = sizeof(struct arena_block) + need;
	struct arena_block *b;

	if (whole < usual)
		whole = usual;
	b = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		-1, 0);
	if (b == MAP_FAILED)
		return NULL;
	*b = (struct arena_block){.next = a->head, .size = whole - sizeof(*b)};
	a->head = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b = a->head;
	size_t need = round_up(size);

	if (size > SIZE_MAX / 2)
		return NULL;
	if (!b || b->size - b->used < need)
		b = add_block(a, need);
	if (!b)
		return NULL;
	b->used += need;
	return b->data + b->used - need;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
	size_t need;
	void *p;

	if (__builtin_mul_overflow(n, size, &need))
		return NULL;
	p = arena_alloc(a, need);
	return p ? memset(p, 0, need) : NULL;
}

void *arena_resize(struct arena *a, void *p, size_t old, size_t size)
{
	struct arena_block *b = a->head;
	size_t had = round_up(old);
	void *copy;

	if (size > SIZE_MAX / 2)
		return NULL;
	if (b && b->used >= had && (unsigned char *)p == b->data + b->used - had &&
		round_up(size) <= b->size - b->used + had) {
		b->used += round_up(size) - had;
		return p;
	}
	if (size <= old)
		return p;
	copy = arena_alloc(a, size);
	return copy ? memcpy(copy, p, old) : NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	if (copy) {
		memcpy(copy, s, len);
		copy[len] = '\0';
	}
	return copy;
}

void arena_free(struct arena *a)
{
	while (a->head) {
		struct arena_block *next = a->head->next;

		munmap(a->head, sizeof(*a->head) + a->head->size);
		a->head = next;
	}
}
