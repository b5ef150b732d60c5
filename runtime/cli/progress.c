#include "runtime/cli/progress.h"

#include "runtime/cli/engine.h"
#include "runtime/cli/format.h"

#include <string.h>

void progress_bar(int64_t current, int64_t total, unsigned columns, char *buf, size_t size)
{
	char now[32], all[32], bar[56] = "";
	int done;

	buf[0] = '\0';
	if (current <= 0 && total <= 0)
		return;
	format_size((double)current, 4, now, sizeof(now));
	format_size((double)total, 4, all, sizeof(all));
	if (total <= 0) {
		snprintf(buf, size, "%8s", now);
		return;
	}
	done = current >= total ? 50 : (int)(current * 100 / total / 2);
	if (columns > 110) {
		memset(bar, ' ', 52);
		memset(bar, '=', (size_t)done);
		bar[done < 50 ? done : 50] = '>';
		bar[51] = '\0';
	}
	if (bar[0])
		snprintf(buf, size, "[%s] %8s/%s", bar, now, current > total ? now : all);
	else
		snprintf(buf, size, "%8s/%s", now, current > total ? now : all);
}

/* How many lines up the line of @id is; a new id has a new line, 0. */
static unsigned line_of(struct progress *p, const char *id)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (strcmp(p->ids[i], id) == 0)
			return p->n - i;
	}
	if (p->n == PROGRESS_LINES_MAX)
		return 0;
	snprintf(p->ids[p->n++], sizeof(p->ids[0]), "%s", id);
	fputc('\n', p->to);
	return 1;
}

static void show_on_terminal(
	struct progress *p, const char *id, const char *status, yyjson_val *detail)
{
	char bar[160];
	unsigned up = 0;

	if (id[0])
		up = line_of(p, id);
	else
		p->n = 0;
	progress_bar(field_int(detail, "current"), field_int(detail, "total"), p->columns, bar,
		sizeof(bar));
	if (up)
		fprintf(p->to, "\33[%uA", up);
	fprintf(p->to, "\33[2K\r%s%s%s%s%s", id, id[0] ? ": " : "", status, bar[0] ? " " : "", bar);
	if (up)
		fprintf(p->to, "\r\33[%uB", up);
	else
		fputc('\n', p->to);
	(void)fflush(p->to);
}

static int show_line(void *arg, yyjson_val *line, struct err *e)
{
	struct progress *p = arg;
	const char *id = field_text(line, "id"), *status = field_text(line, "status");
	const char *stream = field_text(line, "stream"), *error = field_text(line, "error");
	yyjson_val *detail = yyjson_obj_get(line, "progressDetail");

	if (error[0])
		return err_set(e, EIO, "%s", error);
	if (p->quiet)
		return 0;
	if (stream[0])
		fputs(stream, p->to);
	else if (p->terminal)
		show_on_terminal(p, id, status, detail);
	/* what only moves a bar is nothing for a file */
	else if (field_int(detail, "current") <= 0 && field_int(detail, "total") <= 0)
		fprintf(p->to, "%s%s%s\n", id, id[0] ? ": " : "", status);
	return 0;
}

int progress_show(struct progress *p, struct http *h, struct err *e)
{
	int r = engine_lines(h, show_line, p, e);

	(void)fflush(p->to);
	return r;
}
