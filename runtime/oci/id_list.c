#include "runtime/oci/id_list.h"

#include "lib/base/num.h"

#include <errno.h>
#include <string.h>

#define WORD_BITS (8 * sizeof(unsigned long))

static size_t skip_blanks(const char *s, size_t *len)
{
	size_t skipped = 0;

	while (*len > 0 && s[skipped] == ' ') {
		skipped++;
		(*len)--;
	}
	while (*len > 0 && s[skipped + *len - 1] == ' ')
		(*len)--;
	return skipped;
}

static int parse_number(const char *s, size_t len, size_t limit, size_t *ret)
{
	uint64_t v;

	s += skip_blanks(s, &len);
	if (num_parse_u64(s, len, limit - 1, &v) < 0)
		return -EINVAL;
	*ret = (size_t)v;
	return 0;
}

static int parse_range(const char *s, size_t len, size_t limit, struct id_list *list)
{
	const char *dash = memchr(s, '-', len);
	size_t first;
	size_t last;
	int r = parse_number(s, dash ? (size_t)(dash - s) : len, limit, &first);

	last = first;
	if (r == 0 && dash)
		r = parse_number(dash + 1, (size_t)(s + len - dash - 1), limit, &last);
	if (r < 0 || first > last)
		return -EINVAL;
	for (size_t id = first; id <= last; id++) {
		unsigned long bit = 1UL << id % WORD_BITS;

		list->n += !(list->bits[id / WORD_BITS] & bit);
		list->bits[id / WORD_BITS] |= bit;
	}
	return 0;
}

int id_list_parse(const char *text, size_t limit, struct id_list *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (;;) {
		size_t len = strcspn(text, ",");
		size_t inner = len;
		size_t blanks = skip_blanks(text, &inner);

		if (inner > 0 && parse_range(text + blanks, inner, limit, ret) < 0)
			return -EINVAL;
		if (text[len] == '\0')
			return 0;
		text += len + 1;
	}
}

void id_list_fill(struct id_list *ret)
{
	memset(ret->bits, 0xff, sizeof(ret->bits));
	ret->n = ID_LIST_BITS;
}
