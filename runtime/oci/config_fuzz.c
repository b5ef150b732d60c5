/* config.json as an attacker writes it: any input ends with a parsed configuration or one error
 * line, and what passes the check can be turned into a filter, device program and plan. */
#include "runtime/oci/config.h"
#include "runtime/oci/device_rules.h"
#include "runtime/oci/namespaces.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct config *c)
{
	const struct config_resources *res = &c->resources;
	struct bpf_insn *insns = calloc(device_rules_insns_max(res->n_devices), sizeof(*insns));
	struct ns_plan plan;

	if (!insns)
		abort();
	if (device_rules_compile(res->devices, res->n_devices, insns) >
		device_rules_insns_max(res->n_devices))
		abort();
	free(insns);
	ns_plan_make(c, &plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + YYJSON_PADDING_SIZE);
	struct err e = {0};
	struct config c;
	int r;

	if (!text)
		abort();
	if (size)
		memcpy(text, data, size);
	r = config_parse(&c, text, size, NULL, NULL, &e);
	if (r == 0)
		use(&c);
	if (r == 0)
		r = config_check(&c, &e);
	/* One line, with a code, or none at all. */
	if ((r < 0) != (e.code > 0) || (r < 0 && !e.msg[0]))
		abort();
	config_free(&c);
	return 0;
}
