/* The seccomp section: what is accepted compiles to a filter within the kernel's limits, or is
 * refused with one line. */
#include "runtime/oci/seccomp.h"

#include "runtime/oci/limits.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct config *c)
{
	struct seccomp_filter filter;
	struct err e = {0};
	int r = seccomp_build(&c->seccomp, -1, -1, NULL, &filter, &e);

	if ((r < 0) != (e.code > 0) || (r < 0 && !e.msg[0]))
		abort();
	if (r == 0 && c->seccomp.val && (!filter.insns || filter.n > OCI_SECCOMP_INSNS_MAX))
		abort();
	seccomp_filter_free(&filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head[] =
		"{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\","
		"\"args\":[\"a\"]},\"linux\":{\"namespaces\":[{\"type\":\"mount\"}],\"seccomp\":";
	static const char tail[] = "}}";
	size_t len = (sizeof(head) - 1) + size + (sizeof(tail) - 1);
	char *text = calloc(1, len + YYJSON_PADDING_SIZE);
	struct err e = {0};
	struct config c;
	int r;

	if (!text)
		abort();
	memcpy(text, head, (sizeof(head) - 1));
	if (size)
		memcpy(text + (sizeof(head) - 1), data, size);
	memcpy(text + (sizeof(head) - 1) + size, tail, (sizeof(tail) - 1));
	r = config_parse(&c, text, len, NULL, NULL, &e);
	if (r == 0)
		r = config_check(&c, &e);
	if (r == 0)
		use(&c);
	config_free(&c);
	return 0;
}
