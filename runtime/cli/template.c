#include "runtime/cli/template.h"

#include "lib/base/io.h"
#include "runtime/cli/format.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* columns of a table */
#define COLUMNS_MAX 32

static int add_json(struct buf *out, yyjson_mut_val *val)
{
	size_t len;
	char *text = val ? yyjson_mut_val_write(val, 0, &len) : strdup("null");
	int r = text ? buf_add_str(out, text) : -ENOMEM;

	free(text);
	return r;
}

/* Go escapes in the objects of a list what HTML would read. */
static int add_row(struct buf *out, yyjson_mut_val *row)
{
	AUTO_BUF struct buf text = {0};
	int r = add_json(&text, row);

	for (const char *at = text.v; r == 0 && *at; at++)
		r = strchr("<>&", *at) ? buf_printf(out, "\\u%04x", *at) : buf_add(out, at, 1);
	return r;
}

/* As Go prints a value: [a b], map[k:v], <no value> for what is not there. */
static int add_value(struct buf *out, yyjson_mut_val *val, int depth)
{
	bool is_map = yyjson_mut_is_obj(val);
	size_t i, n;
	yyjson_mut_val *key, *item;
	int r = 0;

	if (!val)
		return buf_add_str(out, "<no value>");
	if (yyjson_mut_is_null(val))
		return buf_add_str(out, "<nil>");
	if (yyjson_mut_is_str(val))
		return buf_add_str(out, yyjson_mut_get_str(val));
	if (!yyjson_mut_is_ctn(val) || depth == 0)
		return add_json(out, val);
	r = buf_add_str(out, is_map ? "map[" : "[");
	if (is_map) {
		yyjson_mut_obj_foreach (val, i, n, key, item) {
			if (r == 0)
				r = buf_printf(out, "%s%s:", i ? " " : "", yyjson_mut_get_str(key));
			if (r == 0)
				r = add_value(out, item, depth - 1);
		}
	} else {
		yyjson_mut_arr_foreach (val, i, n, item) {
			if (r == 0 && i > 0)
				r = buf_add(out, " ", 1);
			if (r == 0)
				r = add_value(out, item, depth - 1);
		}
	}
	return r < 0 ? r : buf_add_str(out, "]");
}

/* The value that ".A.B" names; "." is @val itself. Returns false when it is no such path. */
static bool look_up(const char *path, size_t len, yyjson_mut_val *val, yyjson_mut_val **ret)
{
	if (len == 0 || path[0] != '.')
		return false;
	while (len > 1) {
		const char *name = path + 1;
		size_t n = 0;

		while (n < len - 1 && name[n] != '.')
			n++;
		if (n == 0 || strcspn(name, " |()\"$") < n)
			return false;
		val = yyjson_mut_is_obj(val) ? yyjson_mut_obj_getn(val, name, n) : NULL;
		path += n + 1;
		len -= n + 1;
	}
	*ret = val;
	return true;
}

/* What stands between the braces. */
static int add_action(
	struct buf *out, const char *text, size_t len, yyjson_mut_val *val, struct err *e)
{
	const char *at = text;
	bool as_json = false;
	int r;

	while (len > 0 && *at == ' ')
		at++, len--;
	while (len > 0 && at[len - 1] == ' ')
		len--;
	if (len > 5 && strncmp(at, "json ", 5) == 0) {
		as_json = true;
		at += 5, len -= 5;
		while (len > 0 && *at == ' ')
			at++, len--;
	}
	if (!look_up(at, len, val, &val))
		return err_set(e, EINVAL,
			"template: {{%.*s}} is not understood: there is {{.Field}} and {{json "
			".Field}}",
			(int)strcspn(text, "}"), text);
	r = as_json ? add_json(out, val) : add_value(out, val, 8);
	return r < 0 ? err_set(e, ENOMEM, "no memory") : 0;
}

int template_fill(struct buf *out, const char *template, yyjson_mut_val *val, struct err *e)
{
	int r = 0;

	for (const char *at = template; *at && r == 0;) {
		if (at[0] == '{' && at[1] == '{') {
			const char *end = strstr(at, "}}");

			if (!end)
				return err_set(e, EINVAL, "template: unclosed action");
			r = add_action(out, at + 2, (size_t)(end - at - 2), val, e);
			at = end + 2;
		} else if (at[0] == '\\' && (at[1] == 't' || at[1] == 'n')) {
			r = buf_add(out, at[1] == 't' ? "\t" : "\n", 1);
			at += 2;
		} else {
			r = buf_add(out, at++, 1);
		}
	}
	return r;
}

static int add_blanks(struct buf *out, size_t n)
{
	int r = 0;

	while (n-- > 0 && r == 0)
		r = buf_add(out, " ", 1);
	return r;
}

/* Call @cell with the cells of @text that are columns, then with what is behind a line's last one.
 */
static int each_cell(const char *text,
	int (*cell)(void *arg, size_t column, const char *at, size_t len, bool last), void *arg)
{
	size_t column = 0;
	int r = 0;

	while (*text && r == 0) {
		size_t len = strcspn(text, "\t\n");
		bool last = text[len] != '\t';

		r = cell(arg, column, text, len, last);
		column = last ? 0 : column + 1;
		text += len + (text[len] != '\0');
	}
	return r;
}

struct aligner {
	struct buf *out;
	size_t width[COLUMNS_MAX];
	size_t pad;
};

static int measure(void *arg, size_t column, const char *at, size_t len, bool last)
{
	struct aligner *a = arg;
	size_t width = format_width(at, len) + a->pad;

	if (!last && column < COLUMNS_MAX && width > a->width[column])
		a->width[column] = width;
	return 0;
}

static int put_cell(void *arg, size_t column, const char *at, size_t len, bool last)
{
	struct aligner *a = arg;
	size_t width = column < COLUMNS_MAX ? a->width[column] : 0;
	size_t used = format_width(at, len);
	int r = buf_add(a->out, at, len);

	if (r < 0 || last)
		return r < 0 ? r : buf_add(a->out, "\n", 1);
	return add_blanks(a->out, width > used ? width - used : 1);
}

int table_align(struct buf *out, const char *text, size_t width, size_t pad)
{
	struct aligner a = {.out = out, .pad = pad};

	for (size_t i = 0; i < COLUMNS_MAX; i++)
		a.width[i] = width;
	(void)each_cell(text, measure, &a);
	return each_cell(text, put_cell, &a);
}

static yyjson_mut_val *header_row(const struct list_kind *kind, yyjson_mut_doc *doc)
{
	yyjson_mut_val *row = yyjson_mut_obj(doc);

	for (size_t i = 0; i < kind->n; i++)
		(void)yyjson_mut_obj_add_str(
			doc, row, kind->columns[i].key, kind->columns[i].header);
	return row;
}

static int put(const struct buf *b, struct err *e)
{
	int r = b->len ? io_write_all(1, b->v, b->len) : 0;

	return r < 0 ? err_set(e, -r, "write: %s", strerror(-r)) : 0;
}

static int fill_table(struct buf *out, const struct list_kind *kind, yyjson_mut_val *rows,
	const char *template, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	size_t i, n;
	yyjson_mut_val *row;
	int r = template_fill(out, template, header_row(kind, doc), e);

	if (r == 0)
		r = buf_add(out, "\n", 1);
	yyjson_mut_doc_free(doc);
	yyjson_mut_arr_foreach (rows, i, n, row) {
		if (r == 0)
			r = template_fill(out, template, row, e);
		if (r == 0)
			r = buf_add(out, "\n", 1);
	}
	return r;
}

int list_print(
	const struct list_kind *kind, yyjson_mut_val *rows, const char *format, struct err *e)
{
	AUTO_BUF struct buf text = {0};
	AUTO_BUF struct buf table = {0};
	const char *template = format;
	size_t i, n;
	yyjson_mut_val *row;
	int r = 0;

	if (!format || strcmp(format, "table") == 0)
		template = kind->table;
	else if (strncmp(format, "table ", 6) == 0)
		template = format + 6;
	if (template != format) {
		r = fill_table(&text, kind, rows, template, e);
		if (r == 0)
			r = table_align(&table, text.v, 10, 3);
		return r < 0 ? r : put(&table, e);
	}
	yyjson_mut_arr_foreach (rows, i, n, row) {
		if (r == 0)
			r = strcmp(format, "json") == 0 ? add_row(&text, row)
							: template_fill(&text, format, row, e);
		if (r == 0)
			r = buf_add(&text, "\n", 1);
	}
	return r < 0 ? r : put(&text, e);
}
