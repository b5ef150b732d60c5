#include "runtime/oci/options.h"

#include "lib/base/num.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options_help options_help;

static const struct option_spec *find_long(
	const struct option_spec *specs, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(specs[i].name) == len && strncmp(specs[i].name, name, len) == 0)
			return &specs[i];
	}
	return NULL;
}

static const struct option_spec *find_short(const struct option_spec *specs, size_t n, char letter)
{
	for (size_t i = 0; i < n; i++) {
		if (letter && specs[i].letter == letter)
			return &specs[i];
	}
	return NULL;
}

static int list_add(struct json_strv *list, const char *word)
{
	const char **more = realloc(list->v, (list->n + 2) * sizeof(char *));

	if (!more)
		return -ENOMEM;
	more[list->n++] = word;
	more[list->n] = NULL;
	list->v = more;
	return 0;
}

static int flag_value(const char *value, bool *ret)
{
	if (!value || strcmp(value, "true") == 0)
		*ret = true;
	else if (strcmp(value, "false") == 0)
		*ret = false;
	else
		return -EINVAL;
	return 0;
}

static int store(const struct option_spec *s, const char *value, void *out, struct err *e)
{
	void *member = (char *)out + s->offset;
	bool ignored;
	uint64_t n;

	switch (s->type) {
	case OPTION_FLAG:
		if (flag_value(value, member) < 0)
			return err_set(e, EINVAL, "--%s: expected true or false, got \"%s\"",
				s->name, value);
		return 0;
	case OPTION_STR:
		memcpy(member, &value, sizeof(value));
		return 0;
	case OPTION_LIST:
		return list_add(member, value) < 0 ? err_set(e, ENOMEM, "out of memory") : 0;
	case OPTION_U32:
		if (num_parse_u64(value, strlen(value), UINT32_MAX, &n) < 0)
			return err_set(
				e, EINVAL, "--%s: expected a number, got \"%s\"", s->name, value);
		*(uint32_t *)member = (uint32_t)n;
		return 0;
	case OPTION_IGNORE:
		return 0;
	case OPTION_REFUSE:
		if (value && flag_value(value, &ignored) == 0 && !ignored)
			return 0;
		return err_set(e, ENOTSUP, "--%s: %s", s->name, s->help);
	}
	return 0;
}

static bool takes_value(const struct option_spec *s)
{
	return s->type == OPTION_STR || s->type == OPTION_LIST || s->type == OPTION_U32;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int parse(const struct option_spec *specs, size_t n_specs, char ***args_in_out, void *out,
	bool *ret_end, struct err *e)
{
	char **args = *args_in_out;

	*ret_end = false;
	for (; *args && (*args)[0] == '-' && (*args)[1]; args++) {
		const char *word = *args;
		const char *value = NULL;
		const struct option_spec *s;
		bool wants_value;
		int r;

		if (strcmp(word, "--") == 0) {
			args++;
			*ret_end = true;
			break;
		}
		if (word[1] == '-') {
			size_t len = strcspn(word + 2, "=");

			s = find_long(specs, n_specs, word + 2, len);
			value = word[2 + len] == '=' ? word + 2 + len + 1 : NULL;
		} else {
			s = word[2] == '\0' || word[2] == '=' ? find_short(specs, n_specs, word[1])
							      : NULL;
			value = s && word[2] == '=' ? word + 3 : NULL;
		}
		if (!s && is_help(word)) {
			options_help = (struct options_help){true, specs, n_specs, NULL};
			while (*args)
				args++;
			break;
		}
		if (!s)
			return err_set(e, EINVAL, "unknown option %s", word);
		wants_value = takes_value(s);
		if (wants_value && !value)
			value = *++args;
		if (wants_value && !value)
			return err_set(e, EINVAL, "--%s: expected a value", s->name);
		r = store(s, value, out, e);
		if (r < 0)
			return r;
	}
	*args_in_out = args;
	return 0;
}

int options_parse(const struct option_spec *specs, size_t n_specs, char **args, void *out,
	char ***ret_rest, struct err *e)
{
	bool end;
	int r = parse(specs, n_specs, &args, out, &end, e);

	if (r == 0)
		*ret_rest = args;
	return r;
}

int options_parse_mixed(const struct option_spec *specs, size_t n_specs, char **args, void *out,
	char ***ret_rest, struct err *e)
{
	char **words = args;
	bool end = false;
	size_t n = 0;

	/* The words move to the front, over what is read already. */
	*ret_rest = words;
	for (;; args++) {
		int r = end ? 0 : parse(specs, n_specs, &args, out, &end, e);

		if (r < 0)
			return r;
		words[n] = *args;
		if (!words[n++])
			return 0;
	}
}

void options_print(const struct option_spec *specs, size_t n_specs)
{
	for (size_t i = 0; i < n_specs; i++) {
		const struct option_spec *s = &specs[i];
		char letter[] = "-x, ";
		char name[64];

		if (s->type == OPTION_IGNORE)
			continue;
		letter[1] = s->letter;
		snprintf(name, sizeof(name), "--%s%s", s->name, takes_value(s) ? " VALUE" : "");
		printf("  %s%-28s %s\n", s->letter ? letter : "    ", name, s->help);
	}
}
