/* The bodies of create and exec as an attacker writes them: any JSON ends as a whole object that
 * another pass leaves as it is, or with one error that names the field. */
#include "runtime/api/shape.h"
#include "lib/util/detach_keys.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct shape *const shapes[] = {&shape_config, &shape_host_config,
	&shape_networking_config, &shape_exec_config, &shape_exec_start};

/* Returns the object's text, to be freed, or NULL where it was refused. */
static char *apply(yyjson_val *val, const struct shape *shape)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	struct err e = {0};
	yyjson_mut_val *out = shape_apply(doc, val, shape, "Where", &e);
	char *text = NULL;

	if (out) {
		text = yyjson_mut_val_write(out, 0, NULL);
		if (!text)
			abort();
	}
	if (!out != (e.code > 0) || (!out && !e.msg[0]) || strchr(e.msg, '\n'))
		abort();
	yyjson_mut_doc_free(doc);
	return text;
}

static void check(yyjson_val *val, const struct shape *shape)
{
	char *once = apply(val, shape);
	yyjson_doc *doc = once ? yyjson_read(once, strlen(once), 0) : NULL;
	char *twice = doc ? apply(yyjson_doc_get_root(doc), shape) : NULL;

	if (once && (!twice || strcmp(once, twice) != 0))
		abort();
	free(once);
	free(twice);
	yyjson_doc_free(doc);
}

static void check_keys(yyjson_val *top)
{
	const char *text = yyjson_get_str(yyjson_obj_get(top, "DetachKeys"));
	unsigned char keys[DETACH_KEYS_MAX];
	struct err e = {0};
	int n = text ? detach_keys_parse(text, keys, &e) : 0;

	if (n > DETACH_KEYS_MAX || (n < 0) != (e.code > 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of the exact size: a byte read behind it is noticed. */
	char *text = malloc(size + 1);
	yyjson_doc *doc;

	if (!text)
		abort();
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	doc = yyjson_read(text, size, 0);
	if (doc) {
		for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
			check(yyjson_doc_get_root(doc), shapes[i]);
		check_keys(yyjson_doc_get_root(doc));
	}
	yyjson_doc_free(doc);
	free(text);
	return 0;
}
