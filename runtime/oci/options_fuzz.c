/* Command lines: the input's lines are the words. */
#include "runtime/oci/options.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct out {
	bool flag;
	const char *text;
	struct json_strv list;
	uint32_t number;
};

static const struct option_spec specs[] = {
	{"flag", 'f', OPTION_FLAG, offsetof(struct out, flag), ""},
	{"text", 't', OPTION_STR, offsetof(struct out, text), ""},
	{"list", 'l', OPTION_LIST, offsetof(struct out, list), ""},
	{"number", 0, OPTION_U32, offsetof(struct out, number), ""},
	{"ignored", 'i', OPTION_IGNORE, 0, ""},
	{"refused", 'r', OPTION_REFUSE, 0, "is not supported"},
};

static const size_t n_specs = sizeof(specs) / sizeof(specs[0]);

static void parse(char *text, bool mixed)
{
	char *words[WORDS_MAX + 1] = {NULL};
	struct out out = {0};
	struct err e = {0};
	char **rest = NULL;
	size_t n = 0;
	int r;

	for (char *word = strsep(&text, "\n"); word && n < WORDS_MAX; word = strsep(&text, "\n"))
		words[n++] = word;
	r = mixed ? options_parse_mixed(specs, n_specs, words, &out, &rest, &e)
		  : options_parse(specs, n_specs, words, &out, &rest, &e);
	if ((r < 0) != (e.code > 0) || (r < 0 && !e.msg[0]))
		abort();
	if (r == 0 && (rest < words || rest > words + n))
		abort();
	for (size_t i = 0; r == 0 && rest[i]; i++) {
		if (rest[i][0] == '\377')
			break;
	}
	free((void *)out.list.v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int mixed = 0; mixed < 2; mixed++) {
		char *text = malloc(size + 1);

		if (!text)
			abort();
		if (size)
			memcpy(text, data, size);
		text[size] = '\0';
		parse(text, mixed);
		free(text);
	}
	return 0;
}
