#include "runtime/registry/challenge.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char token_chars[] = "!#$%&'*+-.^_`|~0123456789"
				  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static const struct {
	const char *name;
	size_t offset;
	size_t size;
} params[] = {
#define PARAM(name, member)                                                                        \
	{                                                                                          \
		name, offsetof(struct challenge, member), sizeof(((struct challenge *)0)->member)  \
	}
	PARAM("realm", realm),
	PARAM("service", service),
	PARAM("scope", scope),
	PARAM("error", error),
	PARAM("error_description", description),
#undef PARAM
};

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* Read a quoted string or a token at *@s into @out. Returns 0, -EINVAL or -ENAMETOOLONG. */
static int read_value(const char **s, char *out, size_t size)
{
	const char *at = *s;
	size_t n = 0;
	bool quoted = *at == '"';

	if (quoted)
		at++;
	while (quoted ? *at && *at != '"' : *at && strchr(token_chars, *at) != NULL) {
		if (quoted && *at == '\\' && at[1])
			at++;
		if ((unsigned char)*at < ' ')
			return -EINVAL;
		if (out && n + 1 >= size)
			return -ENAMETOOLONG;
		if (out)
			out[n] = *at;
		n++;
		at++;
	}
	if (quoted && *at++ != '"')
		return -EINVAL;
	if (out)
		out[n] = '\0';
	*s = at;
	return 0;
}

/* Read "NAME=VALUE" at *@s, whose name has @len bytes. */
static int read_param(const char **s, size_t len, struct challenge *c)
{
	const char *name = *s;

	*s = skip_blanks(skip_blanks(name + len) + 1);
	for (size_t i = 0; i < COUNT(params); i++) {
		if (strlen(params[i].name) == len && strncasecmp(params[i].name, name, len) == 0)
			return read_value(s, (char *)c + params[i].offset, params[i].size);
	}
	return read_value(s, NULL, 0);
}

/* Read one challenge at *@s: a scheme and its parameters, up to the next scheme. */
static int read_challenge(const char **s, struct challenge *c)
{
	const char *at = *s;
	size_t len = strspn(at, token_chars);
	int r;

	if (len == 0)
		return -EINVAL;
	if (len == strlen("bearer") && strncasecmp(at, "bearer", len) == 0)
		c->scheme = CHALLENGE_BEARER;
	else if (len == strlen("basic") && strncasecmp(at, "basic", len) == 0)
		c->scheme = CHALLENGE_BASIC;
	at = skip_blanks(at + len);
	for (;;) {
		at += strspn(at, " \t,");
		len = strspn(at, token_chars);
		/* Without "=" it is the next challenge's scheme. */
		if (len == 0 || *skip_blanks(at + len) != '=')
			break;
		r = read_param(&at, len, c);
		if (r < 0)
			return r;
		at = skip_blanks(at);
		if (*at && *at != ',')
			return -EINVAL;
	}
	*s = at;
	return 0;
}

int challenge_parse(const char *header, struct challenge *ret)
{
	const char *at = header + strspn(header, " \t,");

	*ret = (struct challenge){0};
	while (*at) {
		struct challenge one = {0};
		int r = read_challenge(&at, &one);

		if (r < 0) {
			*ret = (struct challenge){0};
			return r;
		}
		if (one.scheme > ret->scheme)
			*ret = one;
	}
	return 0;
}
