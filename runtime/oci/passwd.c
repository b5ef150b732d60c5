#include "runtime/oci/passwd.h"

#include "lib/base/num.h"

#include <errno.h>
#include <string.h>

enum { FIELD_UID = 2, FIELD_HOME = 5, FIELD_N = 7 };

static int line_home(const char *line, size_t len, uint32_t uid, char *buf, size_t size)
{
	const char *start[FIELD_N] = {0};
	size_t length[FIELD_N] = {0};
	size_t begin = 0;
	size_t n = 0;
	uint64_t seen;

	for (size_t i = 0; i <= len && n < FIELD_N; i++) {
		if (i < len && line[i] != ':')
			continue;
		start[n] = line + begin;
		length[n++] = i - begin;
		begin = i + 1;
	}
	if (n <= FIELD_HOME ||
		num_parse_u64(start[FIELD_UID], length[FIELD_UID], UINT32_MAX, &seen) < 0 ||
		seen != uid)
		return -EAGAIN;
	if (length[FIELD_HOME] == 0 || length[FIELD_HOME] >= size ||
		memchr(start[FIELD_HOME], '\0', length[FIELD_HOME]))
		return -ENOENT;
	memcpy(buf, start[FIELD_HOME], length[FIELD_HOME]);
	buf[length[FIELD_HOME]] = '\0';
	return 0;
}

int passwd_find_home(const char *text, size_t len, uint32_t uid, char *buf, size_t size)
{
	size_t begin = 0;

	while (begin < len) {
		const char *end = memchr(text + begin, '\n', len - begin);
		size_t n = end ? (size_t)(end - text) - begin : len - begin;
		int r = line_home(text + begin, n, uid, buf, size);

		if (r != -EAGAIN)
			return r;
		begin += n + 1;
	}
	return -ENOENT;
}
