/*
 * Paths as keys: which ones a layer brought, and where something about one is kept. Only hashes are
 * stored: two paths of one hash would at worst keep a file that a whiteout of the same image hides.
 */
#ifndef SAMPAN_IMAGE_PATHMAP_H
#define SAMPAN_IMAGE_PATHMAP_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialise; free with pathmap_free(). */
struct pathmap {
	struct pathmap_slot {
		uint64_t hash; /* 0: empty */
		uint32_t value;
	} * slots;
	size_t n_slots; /* a power of two */
	size_t n_used;
};

/* Set the value of the path of @len bytes. Returns 0 or -ENOMEM. */
int pathmap_put(struct pathmap *m, const char *path, size_t len, uint32_t value);

/* The value of a path, or NULL. Valid until the next pathmap_put. */
const uint32_t *pathmap_get(const struct pathmap *m, const char *path, size_t len);

/* Forget all paths and keep the memory. */
void pathmap_clear(struct pathmap *m);
void pathmap_free(struct pathmap *m);

#endif
