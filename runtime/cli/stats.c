/* What containers use. */
#include "runtime/cli/command.h"
#include "runtime/cli/format.h"
#include "runtime/cli/template.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* milliseconds between two looks: processor time is a difference */
#define INTERVAL_MS 1000

struct stats {
	bool all, no_stream, no_trunc;
	const char *format;
};

static const struct option stats_options[] = {
	OPT('a', "all", NULL, stats, all, option_bool, "also those that do not run"),
	OPT(0, "format", "FORMAT", stats, format, option_text, "table, json, or a template"),
	OPT(0, "no-stream", NULL, stats, no_stream, option_bool, "once"),
	OPT(0, "no-trunc", NULL, stats, no_trunc, option_bool, "do not shorten"),
};

static const struct column stats_columns[] = {
	{"BlockIO", "BLOCK I/O"},
	{"CPUPerc", "CPU %"},
	{"Container", "CONTAINER"},
	{"ID", "CONTAINER ID"},
	{"MemPerc", "MEM %"},
	{"MemUsage", "MEM USAGE / LIMIT"},
	{"Name", "NAME"},
	{"NetIO", "NET I/O"},
	{"PIDs", "PIDS"},
};

static const struct list_kind stats_kind = {stats_columns, N_OF(stats_columns),
	"{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t"
	"{{.PIDs}}"};

/* The member that @path ("cpu_stats/cpu_usage/total_usage") leads to. */
static double number(yyjson_val *stats, const char *path)
{
	return (double)yyjson_get_sint(yyjson_ptr_get(stats, path));
}

static void add_pair(yyjson_mut_doc *doc, yyjson_mut_val *row, const char *key, double a, double b)
{
	char first[32], second[32], text[80];

	format_size(a, 3, first, sizeof(first));
	format_size(b, 3, second, sizeof(second));
	snprintf(text, sizeof(text), "%s / %s", first, second);
	(void)yyjson_mut_obj_add_strcpy(doc, row, key, text);
}

static void add_percent(yyjson_mut_doc *doc, yyjson_mut_val *row, const char *key, double part)
{
	char text[32];

	snprintf(text, sizeof(text), "%.2f%%", part * 100);
	(void)yyjson_mut_obj_add_strcpy(doc, row, key, text);
}

static void add_blocks(yyjson_mut_doc *doc, yyjson_mut_val *row, yyjson_val *stats)
{
	yyjson_val *list = yyjson_ptr_get(stats, "/blkio_stats/io_service_bytes_recursive"), *one;
	double in = 0, out = 0;
	size_t i, n;

	if (yyjson_is_arr(list)) {
		yyjson_arr_foreach (list, i, n, one) {
			char op = (char)(field_text(one, "op")[0] | 0x20);

			in += op == 'r' ? (double)field_int(one, "value") : 0;
			out += op == 'w' ? (double)field_int(one, "value") : 0;
		}
	}
	add_pair(doc, row, "BlockIO", in, out);
}

static void add_networks(yyjson_mut_doc *doc, yyjson_mut_val *row, yyjson_val *stats)
{
	yyjson_val *all = yyjson_obj_get(stats, "networks"), *key, *one;
	double in = 0, out = 0;
	size_t i, n;

	if (yyjson_is_obj(all)) {
		yyjson_obj_foreach (all, i, n, key, one) {
			in += (double)field_int(one, "rx_bytes");
			out += (double)field_int(one, "tx_bytes");
		}
	}
	add_pair(doc, row, "NetIO", in, out);
}

static yyjson_mut_val *row_of(const struct stats *o, yyjson_mut_doc *doc, const char *given,
	yyjson_val *before, yyjson_val *now)
{
	yyjson_mut_val *row = yyjson_mut_obj(doc);
	double cpu = number(now, "/cpu_stats/cpu_usage/total_usage") -
		     number(before, "/cpu_stats/cpu_usage/total_usage");
	double system = number(now, "/cpu_stats/system_cpu_usage") -
			number(before, "/cpu_stats/system_cpu_usage");
	double memory = number(now, "/memory_stats/usage"),
	       limit = number(now, "/memory_stats/limit");
	double cache = number(now, "/memory_stats/stats/inactive_file");
	const char *id = field_text(now, "id"), *name = field_text(now, "name");
	char used[32], all[32], text[80];

	memory -= cache < memory ? cache : 0;
	add_blocks(doc, row, now);
	add_percent(doc, row, "CPUPerc",
		system > 0 && cpu > 0 ? cpu / system * number(now, "/cpu_stats/online_cpus") : 0);
	(void)yyjson_mut_obj_add_str(doc, row, "Container", given);
	(void)yyjson_mut_obj_add_strncpy(
		doc, row, "ID", id, o->no_trunc ? strlen(id) : strnlen(id, 12));
	add_percent(doc, row, "MemPerc", limit > 0 ? memory / limit : 0);
	format_binary_size(memory, used, sizeof(used));
	format_binary_size(limit, all, sizeof(all));
	snprintf(text, sizeof(text), "%s / %s", used, all);
	(void)yyjson_mut_obj_add_strcpy(doc, row, "MemUsage", text);
	(void)yyjson_mut_obj_add_strcpy(doc, row, "Name", name + (name[0] == '/'));
	add_networks(doc, row, now);
	snprintf(text, sizeof(text), "%.0f", number(now, "/pids_stats/current"));
	(void)yyjson_mut_obj_add_strcpy(doc, row, "PIDs", text);
	return row;
}

static yyjson_doc *sample(const char *name, struct err *e)
{
	AUTO_BUF struct buf url = {0};

	if (engine_target(&url, "/containers/", name, "/stats?stream=0&one-shot=1") < 0)
		return NULL;
	return engine_get(url.v, e);
}

struct watched {
	const char *name;
	yyjson_doc *before, *now;
};

/* Look at each. One that is gone is left out, unless it was named. */
static int look(struct watched *all, size_t n, bool named, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct err gone = {0};

		yyjson_doc_free(all[i].before);
		all[i].before = all[i].now;
		all[i].now = sample(all[i].name, &gone);
		if (!all[i].now && (named || gone.code != ENOENT))
			return err_set(e, gone.code, "%s", gone.msg);
	}
	return 0;
}

static int print(const struct stats *o, struct watched *all, size_t n, struct err *e)
{
	AUTO_MUT_DOC yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *rows = yyjson_mut_arr(doc);

	for (size_t i = 0; i < n; i++) {
		if (all[i].now && all[i].before)
			(void)yyjson_mut_arr_append(rows,
				row_of(o, doc, all[i].name, yyjson_doc_get_root(all[i].before),
					yyjson_doc_get_root(all[i].now)));
	}
	return list_print(&stats_kind, rows, o->format, e);
}

/* Until the user has seen enough. */
static int watch(const struct stats *o, struct watched *all, size_t n, bool named, struct err *e)
{
	int r = look(all, n, named, e);

	while (r == 0) {
		(void)poll(NULL, 0, INTERVAL_MS);
		r = look(all, n, named, e);
		if (r == 0 && !o->no_stream) {
			fputs("\33[H\33[2J", stdout);
			(void)fflush(stdout);
		}
		if (r == 0)
			r = print(o, all, n, e);
		if (o->no_stream)
			break;
	}
	return r;
}

static int stats_run(void *options, int argc, char **argv)
{
	const struct stats *o = options;
	AUTO_DOC yyjson_doc *list = NULL;
	struct err e = {0};
	struct watched *all;
	bool named = argc > 1;
	size_t n;
	int r;

	if (!named) {
		list = engine_get(o->all ? "/containers/json?all=1" : "/containers/json", &e);
		if (!list)
			return command_fail(&e);
	}
	n = named ? (size_t)argc - 1 : yyjson_arr_size(yyjson_doc_get_root(list));
	all = calloc(n + 1, sizeof(*all));
	if (!all)
		return EXIT_FAILED;
	for (size_t i = 0; i < n; i++)
		all[i].name =
			named ? argv[i + 1]
			      : field_text(yyjson_arr_get(yyjson_doc_get_root(list), i), "Id");
	r = watch(o, all, n, named, &e);
	for (size_t i = 0; i < n; i++) {
		yyjson_doc_free(all[i].before);
		yyjson_doc_free(all[i].now);
	}
	free(all);
	return r < 0 ? command_fail(&e) : 0;
}

const struct command cmd_stats = {"stats", "[NAME]...", "show what containers use",
	OPTIONS(stats_options), sizeof(struct stats), 0, -1, stats_run, NULL};
