/*
 * The objects of exec as the API has them.
 * Source: Docker Engine API v1.51, ExecConfig, ExecStartConfig.
 */
#include "runtime/api/shape.h"

#include <string.h>

static const struct shape_field config_fields[] = {
	{"User", SHAPE_STR, "\"\"", NULL},
	{"Privileged", SHAPE_BOOL, "false", NULL},
	{"Tty", SHAPE_BOOL, "false", NULL},
	{"ConsoleSize", SHAPE_INTS, NULL, NULL},
	{"AttachStdin", SHAPE_BOOL, "false", NULL},
	{"AttachStderr", SHAPE_BOOL, "false", NULL},
	{"AttachStdout", SHAPE_BOOL, "false", NULL},
	{"DetachKeys", SHAPE_STR, "\"\"", NULL},
	{"Env", SHAPE_STRV, "null", NULL},
	{"WorkingDir", SHAPE_STR, "\"\"", NULL},
	{"Cmd", SHAPE_STRV, "null", NULL},
};
const struct shape shape_exec_config = {
	config_fields, sizeof(config_fields) / sizeof(config_fields[0])};

static const struct shape_field start_fields[] = {
	{"Detach", SHAPE_BOOL, "false", NULL},
	{"Tty", SHAPE_BOOL, "false", NULL},
	{"ConsoleSize", SHAPE_INTS, NULL, NULL},
};
const struct shape shape_exec_start = {
	start_fields, sizeof(start_fields) / sizeof(start_fields[0])};

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

int exec_detach_keys(
	const char *text, unsigned char ret[static EXEC_DETACH_KEYS_MAX], struct err *e)
{
	int n = 0;

	for (const char *word = text; text[0]; word++) {
		size_t len = strcspn(word, ",");
		int key = key_of(word, len);

		if (key < 0 || n == EXEC_DETACH_KEYS_MAX)
			return err_set(e, EINVAL, "Invalid escape keys (%.64s) provided", text);
		ret[n++] = (unsigned char)key;
		word += len;
		if (!*word)
			break;
	}
	return n;
}
