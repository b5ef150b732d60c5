#include "lib/base/num.h"

#include <errno.h>

int num_parse_u64(const char *s, size_t len, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)(unsigned char)s[i] - '0';

		if (digit > 9)
			return -EINVAL;
		if (value > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		value = value * 10 + digit;
	}
	if (value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int num_parse_size(const char *s, size_t len, uint64_t *ret_bytes)
{
	unsigned shift = 0;
	uint64_t value;
	int r;

	if (len == 0)
		return -EINVAL;
	switch (s[len - 1]) {
	case 'K':
		shift = 10;
		break;
	case 'M':
		shift = 20;
		break;
	case 'G':
		shift = 30;
		break;
	case 'T':
		shift = 40;
		break;
	default:
		break;
	}
	r = num_parse_u64(s, shift ? len - 1 : len, UINT64_MAX >> shift, &value);
	if (r < 0)
		return r;
	*ret_bytes = value << shift;
	return 0;
}

int num_parse_ms(const char *s, size_t len, uint64_t *ret_ms)
{
	uint64_t scale = 0;
	uint64_t value;
	size_t digits = len;
	int r;

	if (len > 2 && s[len - 2] == 'm' && s[len - 1] == 's') {
		scale = 1;
		digits = len - 2;
	} else if (len > 1 && s[len - 1] == 's') {
		scale = 1000;
		digits = len - 1;
	} else if (len > 1 && s[len - 1] == 'm') {
		scale = 60000;
		digits = len - 1;
	}
	if (scale == 0)
		return -EINVAL;
	r = num_parse_u64(s, digits, UINT64_MAX / scale, &value);
	if (r < 0)
		return r;
	*ret_ms = value * scale;
	return 0;
}
