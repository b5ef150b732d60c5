/* The target of a request: its path and parameters, percent-decoded. Pure functions of the text. */
#ifndef SAMPAN_API_QUERY_H
#define SAMPAN_API_QUERY_H

#include "lib/base/err.h"
#include "runtime/api/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query {
	char *text; /* owned: the target, cut up in place */
	const char *path;
	struct {
		const char *key;
		const char *value;
	} params[API_QUERY_MAX];
	size_t n;
};

/*
 * Cut up @target ("/v1.41/containers/json?all=1").
 * Returns 0; -EINVAL for bad percent-encoding, a NUL or too many parameters; -ENOMEM. After 0 the
 * caller owes query_free.
 */
int query_parse(struct query *q, const char *target, struct err *e);
void query_free(struct query *q);

/* The value of @key, or NULL. */
const char *query_str(const struct query *q, const char *key);

/* Docker's truth: absent, "", "0", "no", "false" and "none" are false, all else is true. */
bool query_bool(const struct query *q, const char *key, bool absent);

/* A decimal number. Returns 0 (@ret as it was when absent or empty) or -EINVAL with @e filled. */
int query_i64(const struct query *q, const char *key, int64_t *ret, struct err *e);

#endif
