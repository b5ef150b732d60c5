#include "runtime/image/pathmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 1024

/* FNV-1a, then a finalizer so that the low bits, which choose the slot, depend on all bytes. */
static uint64_t hash_of(const char *path, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)path[i]) * 0x100000001b3ull;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	return h ? h : 1;
}

static struct pathmap_slot *find(struct pathmap_slot *slots, size_t n, uint64_t hash)
{
	size_t i = hash & (n - 1);

	while (slots[i].hash && slots[i].hash != hash)
		i = (i + 1) & (n - 1);
	return &slots[i];
}

static int grow(struct pathmap *m)
{
	size_t n = m->n_slots ? m->n_slots * 2 : FIRST_SLOTS;
	struct pathmap_slot *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_slots; i++) {
		if (m->slots[i].hash)
			*find(slots, n, m->slots[i].hash) = m->slots[i];
	}
	free(m->slots);
	m->slots = slots;
	m->n_slots = n;
	return 0;
}

int pathmap_put(struct pathmap *m, const char *path, size_t len, uint32_t value)
{
	struct pathmap_slot *slot;
	uint64_t hash = hash_of(path, len);

	if (m->n_used * 3 >= m->n_slots * 2 && grow(m) < 0)
		return -ENOMEM;
	slot = find(m->slots, m->n_slots, hash);
	m->n_used += slot->hash == 0;
	*slot = (struct pathmap_slot){hash, value};
	return 0;
}

const uint32_t *pathmap_get(const struct pathmap *m, const char *path, size_t len)
{
	const struct pathmap_slot *slot;

	if (m->n_slots == 0)
		return NULL;
	slot = find(m->slots, m->n_slots, hash_of(path, len));
	return slot->hash ? &slot->value : NULL;
}

void pathmap_clear(struct pathmap *m)
{
	if (m->n_used)
		memset(m->slots, 0, m->n_slots * sizeof(*m->slots));
	m->n_used = 0;
}

void pathmap_free(struct pathmap *m)
{
	free(m->slots);
	*m = (struct pathmap){0};
}
