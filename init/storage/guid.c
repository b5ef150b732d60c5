#include "init/storage/guid.h"

#include <errno.h>
#include <string.h>

#define TEXT_BYTES 36

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int guid_parse(const char *s, size_t len, uint8_t ret[static GUID_BYTES])
{
	/* where byte i of the text goes: the first three fields are little-endian on disk */
	static const uint8_t place[GUID_BYTES] = {
		3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	uint8_t guid[GUID_BYTES];
	size_t at = 0;

	if (len != TEXT_BYTES)
		return -EINVAL;
	for (size_t i = 0; i < GUID_BYTES; i++) {
		int high;
		int low;

		if (i == 4 || i == 6 || i == 8 || i == 10) {
			if (s[at] != '-')
				return -EINVAL;
			at++;
		}
		high = hex_digit(s[at]);
		low = hex_digit(s[at + 1]);
		if (high < 0 || low < 0)
			return -EINVAL;
		guid[place[i]] = (uint8_t)(high << 4 | low);
		at += 2;
	}
	memcpy(ret, guid, GUID_BYTES);
	return 0;
}

int guid_parse_efivar(const uint8_t *buf, size_t len, uint8_t ret[static GUID_BYTES])
{
	const size_t attributes = 4;
	char text[TEXT_BYTES];

	if (len != attributes + sizeof(text) * 2 && len != attributes + sizeof(text) * 2 + 2)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(text); i++) {
		if (buf[attributes + 2 * i + 1] != 0)
			return -EINVAL;
		text[i] = (char)buf[attributes + 2 * i];
	}
	return guid_parse(text, sizeof(text), ret);
}
