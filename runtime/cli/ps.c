/* The list of containers. */
#include "lib/util/duration.h"
#include "runtime/cli/command.h"
#include "runtime/cli/format.h"
#include "runtime/cli/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct ps {
	bool all, quiet, latest, no_trunc, size;
	int64_t last;
	const char *format;
	struct filters filters;
};

static const struct option ps_options[] = {
	OPT('a', "all", NULL, ps, all, option_bool, "also those that do not run"),
	OPT('f', "filter", "KEY=VALUE", ps, filters, option_filter, "only those that fit"),
	OPT(0, "format", "FORMAT", ps, format, option_text, "table, json, or a template"),
	OPT('n', "last", "N", ps, last, option_int, "the N created last"),
	OPT('l', "latest", NULL, ps, latest, option_bool, "the one created last"),
	OPT(0, "no-trunc", NULL, ps, no_trunc, option_bool, "do not shorten"),
	OPT('q', "quiet", NULL, ps, quiet, option_bool, "only ids"),
	OPT('s', "size", NULL, ps, size, option_bool, "what they have written"),
};

static const struct column ps_columns[] = {
	{"Command", "COMMAND"},
	{"CreatedAt", "CREATED AT"},
	{"ID", "CONTAINER ID"},
	{"Image", "IMAGE"},
	{"Labels", "LABELS"},
	{"LocalVolumes", "LOCAL VOLUMES"},
	{"Mounts", "MOUNTS"},
	{"Names", "NAMES"},
	{"Networks", "NETWORKS"},
	{"Platform", "PLATFORM"},
	{"Ports", "PORTS"},
	{"RunningFor", "CREATED"},
	{"Size", "SIZE"},
	{"State", "STATE"},
	{"Status", "STATUS"},
};

#define PS_TABLE                                                                                   \
	"{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"

/* Append with a comma where something stands already. */
static void add_word(struct buf *b, const char *word)
{
	(void)buf_printf(b, "%s%s", b->len ? "," : "", word);
}

static void put_names(struct buf *b, yyjson_val *c, bool trunc)
{
	yyjson_val *names = yyjson_obj_get(c, "Names"), *name;
	size_t i, n;

	if (!names)
		return;
	yyjson_arr_foreach (names, i, n, name) {
		const char *text = yyjson_get_str(name);

		if (!text)
			continue;
		text += text[0] == '/';
		/* "/other/alias" is a link of another container */
		if (!trunc || !strchr(text, '/'))
			add_word(b, text);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In the order of their names, as Docker shows a map. */
static void put_labels(struct buf *b, yyjson_val *c, bool trunc)
{
	yyjson_val *labels = yyjson_obj_get(c, "Labels"), *key, *value;
	size_t i, n, count = yyjson_obj_size(labels);
	const char **names = count ? calloc(count, sizeof(*names)) : NULL;

	(void)trunc;
	if (!names)
		return;
	yyjson_obj_foreach (labels, i, n, key, value)
		names[i] = yyjson_get_str(key);
	qsort(names, count, sizeof(*names), by_text);
	for (i = 0; i < count; i++) {
		add_word(b, names[i]);
		(void)buf_printf(b, "=%s", field_text(labels, names[i]));
	}
	free(names);
}

static void put_mounts(struct buf *b, yyjson_val *c, bool trunc)
{
	yyjson_val *mounts = yyjson_obj_get(c, "Mounts"), *mount;
	size_t i, n;

	if (!mounts)
		return;
	yyjson_arr_foreach (mounts, i, n, mount) {
		const char *name = field_text(mount, "Name");

		add_word(b, "");
		(void)format_cut(b, name[0] ? name : field_text(mount, "Source"), trunc ? 15 : 0);
	}
}

static void put_volumes(struct buf *b, yyjson_val *c, bool trunc)
{
	yyjson_val *mounts = yyjson_obj_get(c, "Mounts"), *mount;
	size_t i, n;
	int local = 0;

	(void)trunc;
	if (mounts)
		yyjson_arr_foreach (mounts, i, n, mount) {
			local += strcmp(field_text(mount, "Driver"), "local") == 0;
		}
	(void)buf_printf(b, "%d", local);
}

static void put_networks(struct buf *b, yyjson_val *c, bool trunc)
{
	yyjson_val *settings = yyjson_obj_get(c, "NetworkSettings");
	yyjson_val *networks = yyjson_obj_get(settings, "Networks"), *key, *value;
	size_t i, n;

	(void)trunc;
	if (!networks)
		return;
	yyjson_obj_foreach (networks, i, n, key, value)
		add_word(b, yyjson_get_str(key));
}

static void put_ports(struct buf *b, yyjson_val *c, bool trunc)
{
	yyjson_val *ports = yyjson_obj_get(c, "Ports"), *port;
	size_t i, n;

	(void)trunc;
	if (!ports)
		return;
	yyjson_arr_foreach (ports, i, n, port) {
		long long public = field_int(port, "PublicPort");
		const char *ip = field_text(port, "IP");

		if (b->len)
			(void)buf_add_str(b, ", ");
		if (public)
			(void)buf_printf(
				b, strchr(ip, ':') ? "[%s]:%lld->" : "%s:%lld->", ip, public);
		(void)buf_printf(b, "%lld/%s", (long long)field_int(port, "PrivatePort"),
			field_text(port, "Type"));
	}
}

static void put_size(struct buf *b, yyjson_val *c, bool trunc)
{
	char size[32];
	int64_t whole = field_int(c, "SizeRootFs");

	(void)trunc;
	format_size((double)field_int(c, "SizeRw"), 3, size, sizeof(size));
	(void)buf_add_str(b, size);
	if (whole > 0) {
		format_size((double)whole, 3, size, sizeof(size));
		(void)buf_printf(b, " (virtual %s)", size);
	}
}

static void put_command(struct buf *b, yyjson_val *c, bool trunc)
{
	(void)format_quoted(b, field_text(c, "Command"), trunc ? 20 : 0);
}

static void put_id(struct buf *b, yyjson_val *c, bool trunc)
{
	(void)buf_printf(b, trunc ? "%.12s" : "%s", field_text(c, "Id"));
}

static void put_image(struct buf *b, yyjson_val *c, bool trunc)
{
	const char *image = field_text(c, "Image");

	/* an image that has no name */
	if (trunc && strncmp(image, "sha256:", 7) == 0 && strlen(image) == 71)
		(void)buf_printf(b, "%.12s", image + 7);
	else
		(void)buf_add_str(b, image[0] ? image : "<no image>");
}

static void put_created_at(struct buf *b, yyjson_val *c, bool trunc)
{
	char text[64];

	(void)trunc;
	format_time(field_int(c, "Created"), text, sizeof(text));
	(void)buf_add_str(b, text);
}

static void put_running_for(struct buf *b, yyjson_val *c, bool trunc)
{
	char text[64];

	(void)trunc;
	duration_in_words(time(NULL) - field_int(c, "Created"), text, sizeof(text));
	(void)buf_printf(b, "%s ago", text);
}

static void put_state(struct buf *b, yyjson_val *c, bool trunc)
{
	(void)trunc;
	(void)buf_add_str(b, field_text(c, "State"));
}

static void put_status(struct buf *b, yyjson_val *c, bool trunc)
{
	(void)trunc;
	(void)buf_add_str(b, field_text(c, "Status"));
}

/* As ps_columns; NULL: null. */
static void (*const ps_values[])(struct buf *b, yyjson_val *c, bool trunc) = {put_command,
	put_created_at, put_id, put_image, put_labels, put_volumes, put_mounts, put_names,
	put_networks, NULL, put_ports, put_running_for, put_size, put_state, put_status};

static yyjson_mut_val *row_of(yyjson_mut_doc *doc, yyjson_val *container, bool trunc)
{
	yyjson_mut_val *row = yyjson_mut_obj(doc);

	for (size_t i = 0; i < N_OF(ps_columns); i++) {
		AUTO_BUF struct buf b = {0};

		if (!ps_values[i]) {
			(void)yyjson_mut_obj_add_null(doc, row, ps_columns[i].key);
			continue;
		}
		ps_values[i](&b, container, trunc);
		(void)yyjson_mut_obj_add_strncpy(
			doc, row, ps_columns[i].key, b.v ? b.v : "", b.len);
	}
	return row;
}

static int ps_target(struct buf *url, struct ps *ps)
{
	char limit[24];
	int r = buf_add_str(url, "/containers/json");

	if (ps->latest)
		ps->last = 1;
	snprintf(limit, sizeof(limit), "%lld", (long long)ps->last);
	if (r == 0 && ps->last > 0)
		r = url_param(url, "limit", limit);
	if (r == 0 && (ps->all || ps->last > 0))
		r = url_param(url, "all", "1");
	if (r == 0 && (ps->size || (ps->format && strstr(ps->format, ".Size"))))
		r = url_param(url, "size", "1");
	return r < 0 ? r : filters_param(url, &ps->filters);
}

static int ps_run(void *options, int argc, char **argv)
{
	struct ps *ps = options;
	const struct list_kind kind = {
		ps_columns, N_OF(ps_columns), ps->size ? PS_TABLE "\t{{.Size}}" : PS_TABLE};
	struct err e = {0};
	AUTO_BUF struct buf url = {0};
	AUTO_DOC yyjson_doc *list = NULL;
	AUTO_MUT_DOC yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *rows = yyjson_mut_arr(doc);
	yyjson_val *one;
	size_t i, n;

	(void)argc, (void)argv;
	if (ps_target(&url, ps) == 0)
		list = engine_get(url.v, &e);
	if (!list)
		return command_fail(&e);
	yyjson_arr_foreach (yyjson_doc_get_root(list), i, n, one)
		(void)yyjson_mut_arr_append(rows, row_of(doc, one, !ps->no_trunc));
	return list_print(&kind, rows, ps->quiet && !ps->format ? "{{.ID}}" : ps->format, &e) < 0
		       ? command_fail(&e)
		       : 0;
}

const struct command cmd_ps = {
	"ps", "", "list containers", OPTIONS(ps_options), sizeof(struct ps), 0, 0, ps_run, NULL};
