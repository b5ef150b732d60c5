/* Service files come from the image, and from whoever writes one by hand. */
#include "init/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct service_config c;
	struct err e = {0};
	size_t args = 0;

	if (size > SERVICE_FILE_BYTES_MAX)
		return 0;
	if (config_parse("fuzz", (const char *)data, size, &c, &e) < 0) {
		/* an error has a line for the person, and one line only */
		if (e.msg[0] == '\0' || strncmp(e.msg, "fuzz", 4) != 0)
			abort();
		return 0;
	}
	/* what the rest of init relies on */
	for (size_t i = 0; i < c.args_len; i++)
		args += c.args[i] == '\0';
	if (args != c.argc || c.args_len > sizeof(c.args) || (c.argc > 0 && c.args[0] != '/'))
		abort();
	if (c.stop_signal < 1 || c.stop_signal > 64 || c.shutdown_signal < 1 ||
		c.backoff_min_ms == 0 || c.backoff_min_ms > c.backoff_max_ms)
		abort();
	for (unsigned i = 0; i < c.after_count; i++)
		if (!config_name_ok(c.after[i], strlen(c.after[i])))
			abort();
	return 0;
}
