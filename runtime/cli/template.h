/*
 * What --format takes of Go's templates: text, {{.Field.Of.Field}}, {{json .Field}}. All else is
 * refused by name. And tables, which docker makes of such a template with tabs.
 */
#ifndef SAMPAN_CLI_TEMPLATE_H
#define SAMPAN_CLI_TEMPLATE_H

#include "lib/base/err.h"
#include "lib/util/buf.h"

#include <stddef.h>
#include <yyjson.h>

/*
 * Append @template filled from @val, without a newline. "\t" and "\n" stand for tab and newline.
 * Returns 0, or -EINVAL with @e filled.
 */
int template_fill(struct buf *out, const char *template, yyjson_mut_val *val, struct err *e);

/*
 * Append @text, lines whose cells are divided by tabs, with its columns aligned: each as wide as
 * its widest cell and @pad more, @width at least. What follows a line's last tab is no column.
 * Returns 0 or -ENOMEM.
 */
int table_align(struct buf *out, const char *text, size_t width, size_t pad);

/* A column that a list may show. */
struct column {
	const char *key;
	const char *header;
};

struct list_kind {
	const struct column *columns; /* in the order of their keys */
	size_t n;
	const char *table; /* the template of the table */
};

/*
 * Print @rows, an array of objects, to standard output.
 * @format: of --format: NULL or "table": the table; "json": a line each; a template
 * Returns 0 or -errno with @e filled.
 */
int list_print(
	const struct list_kind *kind, yyjson_mut_val *rows, const char *format, struct err *e);

#endif
