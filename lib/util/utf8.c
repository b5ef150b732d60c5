#include "lib/util/utf8.h"

size_t utf8_len(const unsigned char *s, size_t len)
{
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

	if (s[0] < 0xc2 || s[0] > 0xf4 || len < n)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	if (s[0] == 0xed)
		high = 0x9f;
	if (s[0] == 0xf0)
		low = 0x90;
	if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

int utf8_add(struct buf *b, const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;
	int r = 0;

	for (size_t i = 0; i < len && r == 0;) {
		size_t n = s[i] && s[i] < 0x80 ? 1 : utf8_len(s + i, len - i);

		r = n ? buf_add(b, bytes + i, n) : buf_add_str(b, "\xef\xbf\xbd");
		i += n ? n : 1;
	}
	return r;
}
