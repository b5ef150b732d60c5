#include "init/cmdline.h"

#include "lib/base/num.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* Step to the next word from *@at on. Returns its length, 0 at the end; *@at is its start. */
static size_t next_word(const char **at)
{
	const char *p = *at;
	bool quoted = false;

	while (is_blank(*p))
		p++;
	*at = p;
	for (; *p && (quoted || !is_blank(*p)); p++)
		if (*p == '"')
			quoted = !quoted;
	return (size_t)(p - *at);
}

bool cmdline_has(const char *line, const char *word)
{
	size_t want = strlen(word);
	size_t len;

	while ((len = next_word(&line)) > 0) {
		if (len == want && memcmp(line, word, len) == 0)
			return true;
		line += len;
	}
	return false;
}

const char *cmdline_value(const char *line, const char *key, size_t *ret_len)
{
	size_t want = strlen(key);
	const char *found = NULL;
	size_t len;

	while ((len = next_word(&line)) > 0) {
		if (len > want && line[want] == '=' && memcmp(line, key, want) == 0) {
			found = line + want + 1;
			*ret_len = len - want - 1;
		}
		line += len;
	}
	return found;
}

uint64_t cmdline_ms(const char *line, const char *key, uint64_t otherwise)
{
	size_t len = 0;
	const char *value = cmdline_value(line, key, &len);
	uint64_t ms = otherwise;

	if (!value)
		return otherwise;
	if (len == 3 && memcmp(value, "off", 3) == 0)
		return 0;
	return num_parse_ms(value, len, &ms) < 0 ? otherwise : ms;
}
