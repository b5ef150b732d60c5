#include "lib/util/detach_keys.h"

#include <string.h>

/* "a" or "ctrl-a" → its byte, -1 for what is no key. Source: docker run, --detach-keys. */
static int key_of(const char *word, size_t len)
{
	static const char *const others = "@[\\]^_";
	const char *found;

	if (len == 1)
		return (unsigned char)word[0];
	if (len != 6 || strncmp(word, "ctrl-", 5) != 0)
		return -1;
	if (word[5] >= 'a' && word[5] <= 'z')
		return word[5] - 'a' + 1;
	found = strchr(others, word[5]);
	if (!found || !*found)
		return -1;
	return found == others ? 0 : (int)(found - others) + 26;
}

int detach_keys_parse(const char *text, unsigned char ret[static DETACH_KEYS_MAX], struct err *e)
{
	int n = 0;

	for (const char *word = text; text[0]; word++) {
		size_t len = strcspn(word, ",");
		int key = key_of(word, len);

		if (key < 0 || n == DETACH_KEYS_MAX)
			return err_set(e, EINVAL, "Invalid escape keys (%.64s) provided", text);
		ret[n++] = (unsigned char)key;
		word += len;
		if (!*word)
			break;
	}
	return n;
}
