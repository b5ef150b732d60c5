#include "runtime/cli/options.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *member(void *to, const struct option *o)
{
	return (char *)to + o->offset;
}

int option_refuse(const struct option *o, const char *value, const char *why, struct err *e)
{
	if (o->letter)
		return err_set(e, EINVAL, "invalid argument \"%s\" for \"-%c, --%s\" flag: %s",
			value, o->letter, o->name, why);
	return err_set(
		e, EINVAL, "invalid argument \"%s\" for \"--%s\" flag: %s", value, o->name, why);
}

int option_bool(void *to, const struct option *o, const char *value, struct err *e)
{
	static const char *const words[2][5] = {
		{"false", "0", "f", "FALSE", "False"}, {"true", "1", "t", "TRUE", "True"}};

	for (size_t i = 0; i < 10; i++) {
		if (strcmp(value, words[i / 5][i % 5]) == 0) {
			*(bool *)member(to, o) = i / 5;
			return 0;
		}
	}
	return option_refuse(o, value, "expected true or false", e);
}

int option_text(void *to, const struct option *o, const char *value, struct err *e)
{
	(void)e;
	*(const char **)member(to, o) = value;
	return 0;
}

int option_int(void *to, const struct option *o, const char *value, struct err *e)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(value, &end, 10);
	if (errno || end == value || *end || strchr(" \t\n+", value[0]))
		return option_refuse(o, value, "expected a number", e);
	*(int64_t *)member(to, o) = n;
	return 0;
}

int option_count(void *to, const struct option *o, const char *value, struct err *e)
{
	if (value[0] == '-')
		return option_refuse(o, value, "expected a number of at least 0", e);
	return option_int(to, o, value, e);
}

static const struct option *by_name(const struct options *options, const char *name, size_t len)
{
	for (size_t i = 0; i < options->n; i++) {
		if (strncmp(options->v[i].name, name, len) == 0 && !options->v[i].name[len])
			return &options->v[i];
	}
	return NULL;
}

static const struct option *by_letter(const struct options *options, char letter)
{
	for (size_t i = 0; i < options->n; i++) {
		if (options->v[i].letter == letter)
			return &options->v[i];
	}
	return NULL;
}

struct reader {
	const struct options *options;
	void *to;
	char **argv;
	int argc;
	int at; /* the word that is read */
};

/* The value that an option has in the next word. */
static const char *next_word(struct reader *r)
{
	return r->at + 1 < r->argc ? r->argv[++r->at] : NULL;
}

static int read_long(struct reader *r, const char *word, struct err *e)
{
	size_t len = strcspn(word, "=");
	const struct option *o = by_name(r->options, word, len);
	const char *value = word[len] ? word + len + 1 : NULL;

	if (!o && len == 4 && strncmp(word, "help", len) == 0)
		return -ECANCELED;
	if (!o)
		return err_set(e, EINVAL, "unknown flag: --%.*s", (int)len, word);
	if (!value)
		value = o->argument ? next_word(r) : "true";
	if (!value)
		return err_set(e, EINVAL, "flag needs an argument: --%s", o->name);
	return o->take(r->to, o, value, e);
}

static int read_letters(struct reader *r, const char *word, struct err *e)
{
	for (const char *at = word; *at; at++) {
		const struct option *o = by_letter(r->options, *at);
		const char *value = at[1] == '=' ? at + 2 : NULL;
		int ret;

		if (!o && *at == 'h' && word[1] == '\0')
			return -ECANCELED;
		if (!o)
			return err_set(e, EINVAL, "unknown shorthand flag: '%c' in -%s", *at, word);
		if (o->argument && !value)
			value = at[1] ? at + 1 : next_word(r);
		if (o->argument && !value)
			return err_set(e, EINVAL, "flag needs an argument: '%c' in -%s", *at, word);
		ret = o->take(r->to, o, value ? value : "true", e);
		if (ret < 0 || value)
			return ret;
	}
	return 0;
}

int options_parse(const struct options *options, void *to, int *argc, char **argv, struct err *e)
{
	struct reader r = {.options = options, .to = to, .argv = argv, .argc = *argc, .at = 1};
	bool over = false;
	int n = 1;

	for (; r.at < r.argc; r.at++) {
		char *word = argv[r.at];
		int ret = 0;

		if (over || word[0] != '-' || !word[1]) {
			argv[n++] = word;
			over = over || options->ordered;
			continue;
		}
		if (strcmp(word, "--") == 0)
			over = true;
		else
			ret = word[1] == '-' ? read_long(&r, word + 2, e)
					     : read_letters(&r, word + 1, e);
		if (ret < 0)
			return ret;
	}
	argv[n] = NULL;
	*argc = n;
	return 0;
}
