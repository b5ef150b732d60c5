/* What CRIU answers, and the log that it writes. */
#include "runtime/oci/criu_message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A text of the answer is part of it. */
static void check(const struct criu_text *text, const char *buf, size_t size)
{
	if (text->v && (text->v < buf || text->v + text->len > buf + size))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of exactly this size, so that one byte too far is seen. */
	char *buf = malloc(size ? size : 1);
	struct criu_response r;
	struct criu_text found;

	if (!buf)
		abort();
	if (size)
		memcpy(buf, data, size);
	if (criu_read_response(buf, size, &r) == 0) {
		check(&r.error_text, buf, size);
		check(&r.script, buf, size);
	}
	criu_find_error(buf, size, &found);
	check(&found, buf, size);
	free(buf);
	return 0;
}
