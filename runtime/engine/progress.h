/* Whoever waits for a pull or a push, and is told how it gets on; from the calling thread alone. */
#ifndef SAMPAN_ENGINE_PROGRESS_H
#define SAMPAN_ENGINE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* milliseconds between two lines about one layer, and two looks at whether the listener is gone */
#define PROGRESS_MS 100

struct progress {
	/* A line by itself. @id: of what it is about, or NULL */
	void (*message)(void *arg, const char *id, const char *text);
	/* Where a layer is. @total: bytes, 0 where nothing is counted */
	void (*update)(
		void *arg, const char *id, const char *action, uint64_t current, uint64_t total);
	/* A push's result: {"Tag", "Digest", "Size"}; NULL allowed. */
	void (*pushed)(void *arg, const char *tag, const char *digest, uint64_t size);
	/* Whether nobody listens any more: it is then given up. */
	bool (*gone)(void *arg);
	void *arg;
};

#endif
