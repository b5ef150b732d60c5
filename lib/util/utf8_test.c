#include "lib/util/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void characters_stay_and_all_else_is_replaced(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *out;
	} cases[] = {
		{"plain\n", 6, "plain\n"},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"a\0b", 3,
			"a\xef\xbf\xbd"
			"b"},
		{"\xff", 1, "\xef\xbf\xbd"},
		{"\xc3", 1, "\xef\xbf\xbd"},
		/* overlong, a surrogate, beyond the last one */
		{"\xc0\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xf5\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_BUF struct buf b = {0};

		assert_int_equal(utf8_add(&b, cases[i].in, cases[i].len), 0);
		assert_string_equal(b.v, cases[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters_stay_and_all_else_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
