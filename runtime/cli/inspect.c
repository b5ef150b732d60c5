/* All that the engine has of an object. */
#include "runtime/cli/command.h"
#include "runtime/cli/template.h"

#include "lib/base/io.h"

#include <stdio.h>
#include <string.h>

struct inspect {
	bool size;
	const char *format;
	const char *type;
};

static const struct option inspect_options[] = {
	OPT('f', "format", "FORMAT", inspect, format, option_text, "json, or a template"),
	OPT('s', "size", NULL, inspect, size, option_bool, "also what a container has written"),
	OPT(0, "type", "TYPE", inspect, type, option_text, "container, image, network or volume"),
};

/* In the order in which a name is looked for. */
static const struct {
	const char *type;
	const char *before, *behind;
} kinds[] = {
	{"container", "/containers/", "/json"},
	{"image", "/images/", "/json"},
	{"network", "/networks/", ""},
	{"volume", "/volumes/", ""},
};

/* Returns the object; or NULL with -ENOENT in @e when nothing has that name. */
static yyjson_doc *find(const struct inspect *o, const char *name, struct err *e)
{
	yyjson_doc *doc = NULL;

	for (size_t i = 0; i < N_OF(kinds); i++) {
		AUTO_BUF struct buf url = {0};
		int r;

		if (o->type && strcmp(o->type, kinds[i].type) != 0)
			continue;
		r = engine_target(&url, kinds[i].before, name, kinds[i].behind);
		if (r == 0 && o->size && i == 0)
			r = url_param(&url, "size", "1");
		doc = r == 0 ? engine_get(url.v, e) : NULL;
		if (doc || e->code != ENOENT)
			return doc;
	}
	if (!o->type)
		(void)err_set(e, ENOENT, "Error: No such object: %s", name);
	return NULL;
}

static int print_filled(const char *format, yyjson_mut_val *objects, struct err *e)
{
	AUTO_BUF struct buf out = {0};
	yyjson_mut_val *one;
	size_t i, n;
	int r = 0;

	yyjson_mut_arr_foreach (objects, i, n, one) {
		if (r == 0)
			r = template_fill(
				&out, strcmp(format, "json") == 0 ? "{{json .}}" : format, one, e);
		if (r == 0)
			r = buf_add(&out, "\n", 1);
	}
	if (out.len > 0)
		(void)io_write_all(1, out.v, out.len);
	return r;
}

static int inspect_run(void *options, int argc, char **argv)
{
	const struct inspect *o = options;
	AUTO_MUT_DOC yyjson_mut_doc *all = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *objects = yyjson_mut_arr(all);
	struct err e = {0};
	int status = 0, r;

	yyjson_mut_doc_set_root(all, objects);
	for (size_t i = 0; o->type && strcmp(o->type, kinds[i].type) != 0;) {
		if (++i == N_OF(kinds)) {
			(void)err_set(&e, EINVAL, "unknown type: %s", o->type);
			return command_fail(&e);
		}
	}
	for (int i = 1; i < argc; i++) {
		AUTO_DOC yyjson_doc *doc = find(o, argv[i], &e);

		if (doc)
			(void)yyjson_mut_arr_append(
				objects, yyjson_val_mut_copy(all, yyjson_doc_get_root(doc)));
		else
			status = command_fail(&e);
	}
	r = o->format ? print_filled(o->format, objects, &e) : command_print_json(all, &e);
	return r < 0 ? command_fail(&e) : status;
}

const struct command cmd_inspect = {"inspect", "NAME|ID...", "show all that is known of an object",
	OPTIONS(inspect_options), sizeof(struct inspect), 1, -1, inspect_run, NULL};
