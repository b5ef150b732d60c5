/* What the engine is, what happens in it, and what runs in a container. */
#include "runtime/cli/command.h"
#include "runtime/cli/format.h"
#include "runtime/cli/template.h"

#include "lib/base/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Print the answer to @target through @format, or through @text when that is NULL. */
static int show(const char *target, const char *format, const char *text)
{
	AUTO_DOC yyjson_doc *doc = NULL;
	AUTO_MUT_DOC yyjson_mut_doc *copy = NULL;
	AUTO_BUF struct buf out = {0};
	struct err e = {0};

	doc = engine_get(target, &e);
	if (!doc)
		return command_fail(&e);
	copy = yyjson_doc_mut_copy(doc, NULL);
	if (format && strcmp(format, "json") == 0)
		format = "{{json .}}";
	if (template_fill(&out, format ? format : text, yyjson_mut_doc_get_root(copy), &e) < 0)
		return command_fail(&e);
	return puts(out.v ? out.v : "") < 0;
}

struct format {
	const char *format;
};

static const struct option format_options[] = {
	OPT('f', "format", "FORMAT", format, format, option_text, "json, or a template"),
};

static int version_run(void *options, int argc, char **argv)
{
	const struct format *o = options;

	(void)argc, (void)argv;
	return show("/version", o->format,
		"Client: sampan\n Version:           {{.Version}}\n API version:       1.51\n\n"
		"Server: {{.Platform.Name}}\n Engine:\n  Version:          {{.Version}}\n"
		"  API version:      {{.ApiVersion}} (minimum version {{.MinAPIVersion}})\n"
		"  Kernel:           {{.KernelVersion}}\n  OS/Arch:          {{.Os}}/{{.Arch}}");
}

static int info_run(void *options, int argc, char **argv)
{
	const struct format *o = options;

	(void)argc, (void)argv;
	return show("/info", o->format,
		"Containers: {{.Containers}}\n Running: {{.ContainersRunning}}\n"
		" Paused: {{.ContainersPaused}}\n Stopped: {{.ContainersStopped}}\n"
		"Images: {{.Images}}\nServer Version: {{.ServerVersion}}\n"
		"Storage Driver: {{.Driver}}\nLogging Driver: {{.LoggingDriver}}\n"
		"Cgroup Driver: {{.CgroupDriver}}\nCgroup Version: {{.CgroupVersion}}\n"
		"Kernel Version: {{.KernelVersion}}\nOperating System: {{.OperatingSystem}}\n"
		"Architecture: {{.Architecture}}\nCPUs: {{.NCPU}}\n"
		"Total Memory: {{.MemTotal}} bytes\nName: {{.Name}}\nID: {{.ID}}\n"
		"Docker Root Dir: {{.DockerRootDir}}");
}

static int add_words(struct buf *text, yyjson_val *words)
{
	yyjson_val *word;
	size_t i, n;
	int r = 0;

	if (yyjson_is_arr(words)) {
		yyjson_arr_foreach (words, i, n, word) {
			if (r == 0)
				r = buf_printf(text, "%s%s", i ? "\t" : "", yyjson_get_str(word));
		}
	}
	return r < 0 ? r : buf_add(text, "\n", 1);
}

static int top_run(void *options, int argc, char **argv)
{
	AUTO_BUF struct buf url = {0};
	AUTO_BUF struct buf words = {0};
	AUTO_BUF struct buf text = {0};
	AUTO_BUF struct buf table = {0};
	AUTO_DOC yyjson_doc *doc = NULL;
	struct err e = {0};
	yyjson_val *list, *one;
	size_t i, n;
	int r = engine_target(&url, "/containers/", argv[1], "/top");

	(void)options;
	for (int w = 2; w < argc && r == 0; w++)
		r = buf_printf(&words, "%s%s", w > 2 ? " " : "", argv[w]);
	if (r == 0 && words.len > 0)
		r = url_param(&url, "ps_args", words.v);
	if (r == 0)
		doc = engine_get(url.v, &e);
	if (!doc)
		return command_fail(&e);
	r = add_words(&text, yyjson_obj_get(yyjson_doc_get_root(doc), "Titles"));
	list = yyjson_obj_get(yyjson_doc_get_root(doc), "Processes");
	if (yyjson_is_arr(list)) {
		yyjson_arr_foreach (list, i, n, one) {
			if (r == 0)
				r = add_words(&text, one);
		}
	}
	if (r == 0)
		r = table_align(&table, text.v, 20, 3);
	return r < 0 || io_write_all(1, table.v, table.len) < 0;
}

struct events {
	const char *since, *until, *format;
	struct filters filters;
};

static const struct option events_options[] = {
	OPT('f', "filter", "KEY=VALUE", events, filters, option_filter, "only those that fit"),
	OPT(0, "format", "FORMAT", events, format, option_text, "json, or a template"),
	OPT(0, "since", "TIME", events, since, option_text, "also earlier ones"),
	OPT(0, "until", "TIME", events, until, option_text, "and no later ones"),
};

static int by_key(const void *a, const void *b)
{
	return strcmp(
		yyjson_get_str(*(yyjson_val *const *)a), yyjson_get_str(*(yyjson_val *const *)b));
}

/* " (exitCode=3, name=two)" */
static int add_attributes(struct buf *out, yyjson_val *attributes)
{
	size_t i, n, count = yyjson_obj_size(attributes);
	yyjson_val **keys = count ? calloc(count, sizeof(yyjson_val *)) : NULL, *key, *value;
	int r = 0;

	if (!keys)
		return 0;
	yyjson_obj_foreach (attributes, i, n, key, value)
		keys[i] = key;
	qsort(keys, count, sizeof(yyjson_val *), by_key);
	for (i = 0; i < count && r == 0; i++)
		r = buf_printf(out, "%s%s=%s", i ? ", " : " (", yyjson_get_str(keys[i]),
			field_text(attributes, yyjson_get_str(keys[i])));
	free(keys);
	return r < 0 ? r : buf_add(out, ")", 1);
}

static int put_event(void *arg, yyjson_val *event, struct err *e)
{
	const struct events *o = arg;
	yyjson_val *actor = yyjson_obj_get(event, "Actor");
	AUTO_MUT_DOC yyjson_mut_doc *doc = NULL;
	AUTO_BUF struct buf out = {0};
	char when[64];
	int r;

	if (o->format) {
		doc = yyjson_mut_doc_new(NULL);
		r = template_fill(&out, strcmp(o->format, "json") == 0 ? "{{json .}}" : o->format,
			yyjson_val_mut_copy(doc, event), e);
	} else {
		format_time_ns(field_int(event, "timeNano"), when, sizeof(when));
		r = buf_printf(&out, "%s %s %s %s", when, field_text(event, "Type"),
			field_text(event, "Action"), field_text(actor, "ID"));
		if (r == 0)
			r = add_attributes(&out, yyjson_obj_get(actor, "Attributes"));
	}
	if (r < 0)
		return r;
	return puts(out.v ? out.v : "") < 0 || fflush(stdout) != 0
		       ? err_set(e, EIO, "write: %s", strerror(errno))
		       : 0;
}

static int events_run(void *options, int argc, char **argv)
{
	struct events *o = options;
	AUTO_HTTP struct http h = HTTP_NONE;
	AUTO_BUF struct buf url = {0};
	struct err e = {0};
	int r = buf_add_str(&url, "/events");

	(void)argc, (void)argv;
	if (r == 0)
		r = command_moment(&url, "since", o->since, &e);
	if (r == 0)
		r = command_moment(&url, "until", o->until, &e);
	if (r == 0)
		r = filters_param(&url, &o->filters);
	if (r == 0)
		r = engine_open(&h, "GET", url.v, NULL, false, &e);
	if (r == 0)
		r = engine_lines(&h, put_event, o, &e);
	return r < 0 ? command_fail(&e) : 0;
}

const struct command cmd_version = {"version", "", "show the versions", OPTIONS(format_options),
	sizeof(struct format), 0, 0, version_run, NULL};
const struct command cmd_info = {"info", "", "show what the engine is and has",
	OPTIONS(format_options), sizeof(struct format), 0, 0, info_run, NULL};
const struct command cmd_top = {"top", "NAME [PS OPTIONS]", "list a container's processes",
	{.ordered = true}, 0, 1, -1, top_run, NULL};
const struct command cmd_events = {"events", "", "show what happens, as it happens",
	OPTIONS(events_options), sizeof(struct events), 0, 0, events_run, NULL};
