/* The last LOG_RING_BYTES of a stream, addressed by how many bytes came before. */
#ifndef SAMPAN_INIT_RING_H
#define SAMPAN_INIT_RING_H

#include "init/limits.h"

#include <stddef.h>
#include <stdint.h>

struct ring {
	uint64_t end; /* bytes ever written */
	char data[LOG_RING_BYTES];
};

/* Append @len bytes; what does not fit any more falls out at the other end. */
void ring_write(struct ring *ring, const char *buf, size_t len);

/* Returns the cursor of the oldest byte that is still there. */
uint64_t ring_start(const struct ring *ring);

/*
 * Copy up to @size bytes from @*cursor on, which is first moved into what the ring holds, and then
 * behind what was copied. Returns the bytes copied.
 */
size_t ring_read(const struct ring *ring, uint64_t *cursor, char *buf, size_t size);

#endif
