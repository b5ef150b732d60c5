/* ps: a container's processes, out of /proc. */
#include "runtime/oci/commands.h"

#include "lib/util/process.h"
#include "runtime/oci/members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AUTO_HANDLE __attribute__((cleanup(handle_close)))

struct ps_options {
	const char *format;
};

static const struct option_spec ps_specs[] = {
	{"format", 'f', OPTION_STR, offsetof(struct ps_options, format), "table or json"},
};

struct column {
	const char *name; /* as ps -o has it */
	const char *title;
	int width;
	void (*print)(const struct process *p, char *buf, size_t size);
	int field; /* of stat, when there is no function */
};

static void print_uid(const struct process *p, char *buf, size_t size)
{
	snprintf(buf, size, "%u", p->uid);
}

static void print_pid(const struct process *p, char *buf, size_t size)
{
	snprintf(buf, size, "%d", p->pid);
}

static void print_state(const struct process *p, char *buf, size_t size)
{
	snprintf(buf, size, "%c", p->state);
}

static void print_rss(const struct process *p, char *buf, size_t size)
{
	snprintf(buf, size, "%lld", p->stat[STAT_RSS] * (sysconf(_SC_PAGESIZE) / 1024));
}

static void print_vsz(const struct process *p, char *buf, size_t size)
{
	snprintf(buf, size, "%lld", p->stat[STAT_VSIZE] / 1024);
}

static void print_name(const struct process *p, char *buf, size_t size)
{
	snprintf(buf, size, "%s", p->name);
}

static const struct column columns[] = {
	{"uid", "UID", 8, print_uid, 0},
	{"pid", "PID", 8, print_pid, 0},
	{"ppid", "PPID", 8, NULL, STAT_PPID},
	{"pgid", "PGID", 8, NULL, STAT_PGRP},
	{"sid", "SID", 8, NULL, STAT_SESSION},
	{"stat", "STAT", 4, print_state, 0},
	{"tty", "TTY", 8, process_print_tty, 0},
	{"ni", "NI", 4, NULL, STAT_NICE},
	{"nlwp", "NLWP", 4, NULL, STAT_THREADS},
	{"vsz", "VSZ", 10, print_vsz, 0},
	{"rss", "RSS", 8, print_rss, 0},
	{"time", "TIME", 8, process_print_time, 0},
	{"comm", "COMMAND", 16, print_name, 0},
	{"args", "CMD", 16, process_print_command, 0},
};

#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void print_row(const struct process *p, const struct column *const *wanted, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct column *c = wanted[i];
		char buf[sizeof(p->command) + sizeof(p->name)];

		if (!p)
			snprintf(buf, sizeof(buf), "%s", c->title);
		else if (c->print)
			c->print(p, buf, sizeof(buf));
		else
			snprintf(buf, sizeof(buf), "%lld", p->stat[c->field]);
		/* Nothing is behind the last: no blanks either. */
		printf("%-*s%s", i + 1 < n ? c->width : 0, buf, i + 1 < n ? " " : "\n");
	}
}

static int add_columns(const char *list, const struct column **wanted, size_t *n, struct err *e)
{
	while (*list) {
		size_t len = strcspn(list, ",");
		size_t i = 0;

		while (i < N_COLUMNS && (strlen(columns[i].name) != len ||
						strncmp(list, columns[i].name, len) != 0))
			i++;
		if (i == N_COLUMNS || *n == N_COLUMNS)
			return err_set(e, EINVAL, "ps -o: unknown column \"%.*s\"", (int)len, list);
		wanted[(*n)++] = &columns[i];
		list += len + (list[len] == ',');
	}
	return 0;
}

/* ps's own options: which processes is answered by the container, so only what to print is left. */
static int choose_columns(char **args, const struct column **wanted, size_t *ret_n, struct err *e)
{
	int r = 0;

	*ret_n = 0;
	for (; r == 0 && *args; args++) {
		if (strcmp(*args, "-o") == 0 && args[1])
			r = add_columns(*++args, wanted, ret_n, e);
		else if (strcmp(*args, "-ef") != 0 && strcmp(*args, "-e") != 0 &&
			 strcmp(*args, "-f") != 0)
			r = err_set(e, ENOTSUP,
				"ps: expected -ef or -o COLUMN,… behind the ID, got \"%s\"", *args);
	}
	return r < 0 || *ret_n ? r
			       : add_columns("uid,pid,ppid,stat,tty,time,args", wanted, ret_n, e);
}

int cmd_ps(const struct globals *g, char **args, struct err *e)
{
	AUTO_HANDLE struct handle h = {.rootfd = -1, .dirfd = -1};
	const struct column *wanted[N_COLUMNS];
	struct ps_options opts = {.format = "table"};
	pid_t *pids = NULL;
	size_t n_wanted = 0;
	size_t n = 0;
	bool json = false;
	int r = options_parse(FIELDS(ps_specs), args, &opts, &args, e);

	if (r == 0)
		r = args_count(args, 1, -1, "ps [--format table|json] ID [-ef] [-o COLUMN,…]", e);
	if (r == 0)
		r = format_is_json(opts.format, &json, e);
	if (r == 0)
		r = choose_columns(args + 1, wanted, &n_wanted, e);
	if (r == 0)
		r = handle_open(&h, g, args[0], e);
	if (r == 0)
		r = members_list(&h, &pids, &n, e);
	if (r < 0)
		return r;
	if (json)
		putchar('[');
	else
		print_row(NULL, wanted, n_wanted);
	for (size_t i = 0; i < n; i++) {
		struct process p;

		if (json)
			printf("%s%d", i ? "," : "", pids[i]);
		else if (process_read(pids[i], &p) == 0)
			print_row(&p, wanted, n_wanted);
	}
	fputs(json ? "]\n" : "", stdout);
	free(pids);
	return 0;
}
