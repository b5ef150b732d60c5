#include "runtime/api/query.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Decode in place. @plus: "+" is a blank, as in parameters. Returns 0 or -EINVAL. */
static int decode(char *s, bool plus)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '%') {
			int high = hex_digit(s[1]);
			int low = high < 0 ? -1 : hex_digit(s[2]);

			/* A NUL would end the text for us and not for the client. */
			if (low < 0 || high + low == 0)
				return -EINVAL;
			*to++ = (char)(high << 4 | low);
			s += 2;
		} else {
			*to++ = plus && *s == '+' ? ' ' : *s;
		}
	}
	*to = '\0';
	return 0;
}

static int split_params(struct query *q, char *s)
{
	char *rest = NULL;

	for (char *part = strtok_r(s, "&", &rest); part; part = strtok_r(NULL, "&", &rest)) {
		char *equals = strchr(part, '=');

		if (q->n == API_QUERY_MAX)
			return -E2BIG;
		if (equals)
			*equals = '\0';
		if (decode(part, true) < 0 || (equals && decode(equals + 1, true) < 0))
			return -EINVAL;
		q->params[q->n].key = part;
		q->params[q->n++].value = equals ? equals + 1 : "";
	}
	return 0;
}

int query_parse(struct query *q, const char *target, struct err *e)
{
	char *mark;
	int r = 0;

	*q = (struct query){.text = strdup(target)};
	if (!q->text)
		return err_set(e, ENOMEM, "out of memory");
	q->path = q->text;
	mark = strchr(q->text, '?');
	if (mark) {
		*mark = '\0';
		r = split_params(q, mark + 1);
	}
	/* Not before the "?" was looked for: an encoded one belongs to the path. */
	if (r == 0)
		r = decode(q->text, false);
	if (r < 0) {
		query_free(q);
		return err_set(e, EINVAL,
			r == -E2BIG ? "more than %d query parameters"
				    : "the request's target has a bad percent-encoding",
			API_QUERY_MAX);
	}
	return 0;
}

void query_free(struct query *q)
{
	free(q->text);
	*q = (struct query){0};
}

const char *query_str(const struct query *q, const char *key)
{
	for (size_t i = 0; i < q->n; i++)
		if (strcmp(q->params[i].key, key) == 0)
			return q->params[i].value;
	return NULL;
}

bool query_bool(const struct query *q, const char *key, bool absent)
{
	static const char *const no[] = {"", "0", "no", "false", "none"};
	const char *value = query_str(q, key);

	if (!value)
		return absent;
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (strcasecmp(value, no[i]) == 0)
			return false;
	return true;
}

int query_i64(const struct query *q, const char *key, int64_t *ret, struct err *e)
{
	const char *value = query_str(q, key);
	long long n;
	char *end;

	if (!value || !value[0])
		return 0;
	errno = 0;
	n = strtoll(value, &end, 10);
	if (errno || *end || isspace((unsigned char)value[0]))
		return err_set(e, EINVAL, "invalid value for %s: expected a number, got \"%.64s\"",
			key, value);
	*ret = n;
	return 0;
}
