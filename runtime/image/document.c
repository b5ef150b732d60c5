#include "runtime/image/document.h"

#include <stdlib.h>
#include <string.h>

static void ignore(void *arg, const char *path)
{
	(void)arg;
	(void)path;
}

int document_parse(struct document *d, char *text, size_t len, const char *name, struct err *e)
{
	*d = (struct document){.text = text};
	d->doc = json_parse(text, len, name, e);
	if (!d->doc) {
		document_free(d);
		return e ? -e->code : -EINVAL;
	}
	d->ctx = (struct json_ctx){.arena = &d->arena, .unknown = ignore};
	d->root = (struct json_at){.val = yyjson_doc_get_root(d->doc), .ctx = &d->ctx};
	return 0;
}

int document_parse_copy(
	struct document *d, const char *text, size_t len, const char *name, struct err *e)
{
	char *copy = malloc(len + YYJSON_PADDING_SIZE);

	*d = (struct document){0};
	if (!copy)
		return err_set(e, ENOMEM, "%s: out of memory", name);
	memcpy(copy, text, len);
	return document_parse(d, copy, len, name, e);
}

void document_free(struct document *d)
{
	yyjson_doc_free(d->doc);
	free(d->text);
	arena_free(&d->arena);
	*d = (struct document){0};
}
