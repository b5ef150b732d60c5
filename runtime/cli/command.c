#include "runtime/cli/command.h"

#include "lib/base/io.h"
#include "runtime/cli/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *command_program = "sampan";

int command_fail(const struct err *e)
{
	fprintf(stderr, "%s\n", e->msg);
	return EXIT_FAILED;
}

int option_filter(void *to, const struct option *o, const char *value, struct err *e)
{
	struct filters *f = (struct filters *)(void *)((char *)to + o->offset);
	const char *equals = strchr(value, '=');
	yyjson_mut_val *root, *values, *key;

	if (!equals)
		return option_refuse(o, value, "it must be of the form name=value", e);
	if (!f->doc) {
		f->doc = yyjson_mut_doc_new(NULL);
		yyjson_mut_doc_set_root(f->doc, yyjson_mut_obj(f->doc));
	}
	root = yyjson_mut_doc_get_root(f->doc);
	values = yyjson_mut_obj_getn(root, value, (size_t)(equals - value));
	if (!values) {
		values = yyjson_mut_obj(f->doc);
		key = yyjson_mut_strncpy(f->doc, value, (size_t)(equals - value));
		(void)yyjson_mut_obj_add(root, key, values);
	}
	(void)yyjson_mut_obj_add_bool(f->doc, values, equals + 1, true);
	return 0;
}

int filters_param(struct buf *url, struct filters *filters)
{
	char *text = filters->doc ? yyjson_mut_write(filters->doc, 0, NULL) : NULL;
	int r = text ? url_param(url, "filters", text) : 0;

	free(text);
	yyjson_mut_doc_free(filters->doc);
	filters->doc = NULL;
	return r;
}

int command_moment(struct buf *url, const char *key, const char *text, struct err *e)
{
	char moment[48];

	if (!text)
		return 0;
	if (format_moment(text, time(NULL), moment, sizeof(moment)) < 0)
		return err_set(e, EINVAL, "invalid value for \"%s\": %s is no time", key, text);
	return url_param(url, key, moment);
}

int command_print_json(yyjson_mut_doc *doc, struct err *e)
{
	size_t len;
	char *text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, &len);
	int r = text ? io_write_all(1, text, len) : -ENOMEM;

	free(text);
	return r < 0 ? err_set(e, -r, "write: %s", strerror(-r)) : 0;
}
