#include "init/ring.h"

#include <string.h>

void ring_write(struct ring *ring, const char *buf, size_t len)
{
	if (len > LOG_RING_BYTES) {
		ring->end += len - LOG_RING_BYTES;
		buf += len - LOG_RING_BYTES;
		len = LOG_RING_BYTES;
	}
	while (len > 0) {
		size_t at = ring->end % LOG_RING_BYTES;
		size_t n = LOG_RING_BYTES - at < len ? LOG_RING_BYTES - at : len;

		memcpy(ring->data + at, buf, n);
		ring->end += n;
		buf += n;
		len -= n;
	}
}

uint64_t ring_start(const struct ring *ring)
{
	return ring->end > LOG_RING_BYTES ? ring->end - LOG_RING_BYTES : 0;
}

size_t ring_read(const struct ring *ring, uint64_t *cursor, char *buf, size_t size)
{
	size_t done = 0;

	if (*cursor < ring_start(ring))
		*cursor = ring_start(ring);
	if (*cursor > ring->end)
		*cursor = ring->end;
	while (done < size && *cursor < ring->end) {
		size_t at = *cursor % LOG_RING_BYTES;
		size_t n = LOG_RING_BYTES - at;

		if (n > ring->end - *cursor)
			n = ring->end - *cursor;
		if (n > size - done)
			n = size - done;
		memcpy(buf + done, ring->data + at, n);
		*cursor += n;
		done += n;
	}
	return done;
}
