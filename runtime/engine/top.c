#include "runtime/engine/top.h"

#include "lib/base/fd.h"
#include "lib/util/process.h"
#include "lib/util/utf8.h"
#include "runtime/engine/container.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* bytes of the runtime's list: seven digits and a comma for each of 100,000 processes */
#define LIST_BYTES_MAX 800000

/* The numbers of its processes, from who knows its cgroup. Returns a document to be freed, or NULL.
 */
static yyjson_doc *list_pids(struct engine *en, const struct container *c, struct err *e)
{
	const char *const args[] = {"ps", "--format", "json", c->id, NULL};
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int out = memfd_create("pids", MFD_CLOEXEC);
	AUTO_BUF struct buf text = {0};
	char *room = buf_reserve(&text, LIST_BYTES_MAX);
	yyjson_doc *doc;
	ssize_t len;

	if (null < 0 || out < 0 || !room) {
		err_set(e, ENOMEM, "list the processes: no descriptor or no memory");
		return NULL;
	}
	if (runtime_run(en, args, (const int[]){null, out, null}, e) < 0)
		return NULL;
	len = pread(out, room, LIST_BYTES_MAX, 0);
	doc = len > 0 ? yyjson_read(room, (size_t)len, 0) : NULL;
	if (!doc)
		err_set(e, EIO, "list the processes: the runtime's answer is not understood");
	return doc;
}

static void read_machine(struct top_machine *m)
{
	struct sysinfo si;

	*m = (struct top_machine){.now_s = realtime_ns() / 1000000000,
		.ticks = sysconf(_SC_CLK_TCK),
		.page = sysconf(_SC_PAGESIZE),
		.memory = 1};
	if (sysinfo(&si) == 0) {
		m->boot_s = m->now_s - si.uptime;
		m->memory = (long long)si.totalram * si.mem_unit;
	}
}

static void add_row(yyjson_mut_doc *doc, yyjson_mut_val *rows, const struct process *p,
	const struct top_machine *m, const struct top_column *const *columns, int n)
{
	yyjson_mut_val *row = yyjson_mut_arr_add_arr(doc, rows);

	for (int i = 0; i < n; i++) {
		char text[sizeof(p->command) + sizeof(p->name)] = "";
		AUTO_BUF struct buf clean = {0};

		if (columns[i]->print)
			columns[i]->print(p, m, text, sizeof(text));
		else
			(void)snprintf(text, sizeof(text), "%lld", p->stat[columns[i]->field]);
		if (utf8_add(&clean, text, strlen(text)) == 0 && buf_add_str(&clean, "") == 0)
			yyjson_mut_arr_add_strcpy(doc, row, clean.v);
	}
}

static bool has_pid(const struct top_column *const *columns, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(columns[i]->name, "pid") == 0)
			return true;
	return false;
}

int container_top(struct engine *en, struct container *c, const char *ps_args, yyjson_mut_doc *doc,
	yyjson_mut_val *top, struct err *e)
{
	const struct top_column *columns[TOP_COLUMNS_MAX];
	struct container_state s = container_state(en, c);
	yyjson_mut_val *titles = yyjson_mut_arr(doc);
	yyjson_mut_val *rows = yyjson_mut_arr(doc);
	int n = top_columns(ps_args, columns, e);
	struct top_machine m;
	yyjson_doc *pids;
	yyjson_val *pid;
	size_t i, max;

	if (n < 0)
		return n;
	if (s.status == CONTAINER_RESTARTING)
		return err_set(e, EBUSY,
			"Container %s is restarting, wait until the container is running", c->id);
	if (!container_runs(&s))
		return err_set(e, EBUSY, "container %s is not running", c->id);
	if (!has_pid(columns, n))
		return err_set(e, EIO, "Couldn't find PID field in ps output");
	pids = list_pids(en, c, e);
	if (!pids)
		return -e->code;
	read_machine(&m);
	for (int k = 0; k < n; k++)
		yyjson_mut_arr_add_str(doc, titles, columns[k]->title);
	yyjson_arr_foreach (yyjson_doc_get_root(pids), i, max, pid) {
		struct process p;

		if (process_read((pid_t)yyjson_get_int(pid), &p) == 0)
			add_row(doc, rows, &p, &m, columns, n);
	}
	yyjson_doc_free(pids);
	yyjson_mut_obj_add_val(doc, top, "Titles", titles);
	yyjson_mut_obj_add_val(doc, top, "Processes", rows);
	container_tell(en, c, "top", NULL);
	return 0;
}
