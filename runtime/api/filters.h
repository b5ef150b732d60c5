/* The "filters" parameter: {"label": ["a=b"]} or, of old, {"label": {"a=b": true}}. */
#ifndef SAMPAN_API_FILTERS_H
#define SAMPAN_API_FILTERS_H

#include "runtime/api/call.h"

struct filters {
	yyjson_doc *doc; /* NULL: none */
};

/*
 * Read the parameter; any filter that is not among @known (NULL-terminated) is refused by name.
 * Returns 0 or -EINVAL. After 0 the caller owes filters_free.
 */
int filters_read(struct filters *f, const struct call *c, const char *const *known, struct err *e);
void filters_free(struct filters *f);

/* Whether there is a filter of that name. */
bool filters_have(const struct filters *f, const char *name);

/* Whether one of its values is @value; true when there is no such filter. */
bool filters_match(const struct filters *f, const char *name, const char *value);

/* Call @test with each value, until one fits; true when there is no such filter. */
bool filters_any(const struct filters *f, const char *name,
	bool (*test)(void *arg, const char *value), void *arg);

/* Whether @value is a part of @text; "^" at its beginning and "$" at its end hold it to those. */
bool filter_part(const char *text, const char *value);

/*
 * A filter of true or false: "dangling".
 * Returns 0 with @ret as it was when it is not there; -EINVAL in Docker's words.
 */
int filters_bool(const struct filters *f, const char *name, bool *ret, struct err *e);

/* Whether @labels (an object) has all that the label filters ask for. */
bool filters_labels(const struct filters *f, const char *name, yyjson_val *labels);

#endif
