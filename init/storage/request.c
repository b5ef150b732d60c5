#include "init/storage/request.h"

#include "init/storage/guid.h"

#include <string.h>

static const char data_key[] = "sampan.data=";
static const char boot_key[] = "sampan.boot=";
static const char dev[] = "/dev/";

/* The value if @word is key=value, else NULL. */
static const char *value_of(const char *word, size_t len, const char *key, size_t *ret_len)
{
	size_t key_len = strlen(key);

	if (len < key_len || memcmp(word, key, key_len) != 0)
		return NULL;
	*ret_len = len - key_len;
	return word + key_len;
}

static int parse_data(const char *value, size_t len, struct request *ret, struct err *e)
{
	const size_t dev_len = sizeof(dev) - 1;

	ret->no_disk = false;
	memset(ret->disk, 0, sizeof(ret->disk));
	if (len == 4 && memcmp(value, "none", 4) == 0) {
		ret->no_disk = true;
		return 0;
	}
	if (len <= dev_len || memcmp(value, dev, dev_len) != 0 ||
		len - dev_len >= sizeof(ret->disk) || memchr(value + dev_len, '/', len - dev_len) ||
		value[dev_len] == '.')
		return err_set(e, EINVAL, "%s%.*s: expected none or a disk like /dev/vdb", data_key,
			(int)len, value);
	memcpy(ret->disk, value + dev_len, len - dev_len);
	return 0;
}

static int parse_word(const char *word, size_t len, struct request *ret, struct err *e)
{
	size_t value_len;
	const char *value = value_of(word, len, data_key, &value_len);

	if (value)
		return parse_data(value, value_len, ret, e);
	value = value_of(word, len, boot_key, &value_len);
	if (!value)
		return 0;
	if (guid_parse(value, value_len, ret->boot) < 0)
		return err_set(e, EINVAL, "%s%.*s: expected a partition's GUID", boot_key,
			(int)value_len, value);
	ret->has_boot = true;
	return 0;
}

int request_parse(const char *cmdline, size_t len, struct request *ret, struct err *e)
{
	struct request request = {0};
	size_t start = 0;
	bool quoted = false;

	for (size_t i = 0; i <= len; i++) {
		bool ends = i == len || (!quoted && (cmdline[i] == ' ' || cmdline[i] == '\n'));
		int r;

		if (i < len && cmdline[i] == '"')
			quoted = !quoted;
		if (!ends)
			continue;
		r = parse_word(cmdline + start, i - start, &request, e);
		if (r < 0)
			return r;
		start = i + 1;
	}
	*ret = request;
	return 0;
}
