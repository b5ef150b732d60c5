#include "runtime/api/router.h"

#include "lib/base/num.h"

#include <stdlib.h>

#include <string.h>

int route_match(const char *pattern, char *path, char *params[static CALL_PARAMS_MAX])
{
	char *ends[CALL_PARAMS_MAX];
	size_t n = 0;

	for (; *pattern; pattern++) {
		const char *close;
		char *end;

		if (*pattern != '{') {
			if (*pattern != *path++)
				return 0;
			continue;
		}
		close = strchr(pattern, '}');
		/* "{name*}" goes up to what stands behind it in the pattern, which is the path's
		 * end part: image names have slashes. */
		if (close[-1] == '*') {
			size_t rest = strlen(close + 1);
			size_t len = strlen(path);

			if (len <= rest || strcmp(path + len - rest, close + 1) != 0)
				return 0;
			end = path + len - rest;
		} else {
			end = path + strcspn(path, "/");
		}
		if (end == path || n == CALL_PARAMS_MAX)
			return 0;
		params[n] = path;
		ends[n++] = end;
		path = end;
		pattern = close;
	}
	if (*path)
		return 0;
	/* Only now: a path that does not match is tried on. */
	for (size_t i = 0; i < n; i++)
		*ends[i] = '\0';
	return 1;
}

char *route_version(char *path, int *ret_minor, struct err *e)
{
	uint64_t minor = API_MINOR_MAX;
	char *rest = path;

	if (strncmp(path, "/v1.", 4) == 0 && path[4] >= '0' && path[4] <= '9') {
		size_t len = strcspn(path + 4, "/");

		rest = path + 4 + len;
		if (num_parse_u64(path + 4, len, 9999, &minor) < 0) {
			err_set(e, EINVAL, "invalid API version: %.16s", path + 1);
			return NULL;
		}
	}
	if (minor < API_MINOR_MIN) {
		err_set(e, EINVAL,
			"client version 1.%d is too old. Minimum supported API version is 1.%d, "
			"please upgrade your client to a newer version",
			(int)minor, API_MINOR_MIN);
		return NULL;
	}
	if (minor > API_MINOR_MAX) {
		err_set(e, EINVAL,
			"client version 1.%d is too new. Maximum supported API version is 1.%d",
			(int)minor, API_MINOR_MAX);
		return NULL;
	}
	*ret_minor = (int)minor;
	return rest;
}

static int find_and_run(const struct route *routes, size_t n, struct call *c, struct err *e)
{
	const char *method = http_method_str(c->conn->parser.method);
	bool other_method = false;
	char *path = c->query.text;

	path = route_version(path, &c->minor, e);
	if (!path)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		const struct route *r = &routes[i];
		char *copy;

		if (strcmp(r->method, method) != 0 &&
			!(strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0)) {
			char *unused[CALL_PARAMS_MAX];

			copy = strdup(path);
			other_method |= copy && route_match(r->pattern, copy, unused);
			free(copy);
			continue;
		}
		if (c->minor < r->min_minor || !route_match(r->pattern, path, c->params))
			continue;
		if (!r->handler)
			return err_set(e, ENOTSUP, "%s %s is not served", r->method, r->pattern);
		return r->handler(c, e);
	}
	if (other_method)
		return err_set(e, ENOTSUP, "%s is not served for %s", method, path);
	return err_set(e, ENOENT, "page not found");
}

void route_call(const struct route *routes, size_t n, struct call *c)
{
	struct err e = {0};
	int r = query_parse(&c->query, c->conn->target, &e);

	if (r == 0)
		r = find_and_run(routes, n, c, &e);
	/* In the middle of an answer the end of the connection is all that can be said. */
	if (r < 0 && c->conn->answer == HTTP_ANSWER_NONE)
		(void)call_reply_error(c, &e);
	else if (c->conn->answer != HTTP_ANSWER_DONE)
		c->conn->close = true;
	query_free(&c->query);
}
