#include "init/cmdline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_words_match_whole(void **state)
{
	static const char line[] = "console=ttyS0 sampan.console=shell  quiet\n";

	(void)state;
	assert_true(cmdline_has(line, "sampan.console=shell"));
	assert_true(cmdline_has(line, "quiet"));
	assert_false(cmdline_has(line, "sampan.console"));
	assert_false(cmdline_has(line, "console=shell"));
	assert_false(cmdline_has("", "quiet"));
}

static void test_quotes_keep_blanks_so_that_a_value_is_no_word(void **state)
{
	static const char line[] = "sampan.authorized_key=\"ssh-ed25519 AAAA quiet\" last";

	(void)state;
	assert_false(cmdline_has(line, "AAAA"));
	assert_true(cmdline_has(line, "last"));
	assert_false(cmdline_has("open=\"quote quiet", "quiet"));
}

static void test_the_last_value_counts(void **state)
{
	size_t len = 0;

	(void)state;
	assert_memory_equal(cmdline_value("a=1 ab=2 a=33", "a", &len), "33", 2);
	assert_int_equal(len, 2);
	assert_null(cmdline_value("ab=2", "a", &len));
	assert_null(cmdline_value("a", "a", &len));
}

static void test_times_have_units_or_do_not_count(void **state)
{
	(void)state;
	assert_int_equal(cmdline_ms("t=5s", "t", 7), 5000);
	assert_int_equal(cmdline_ms("t=off", "t", 7), 0);
	assert_int_equal(cmdline_ms("t=5", "t", 7), 7);
	assert_int_equal(cmdline_ms("t=", "t", 7), 7);
	assert_int_equal(cmdline_ms("other=5s", "t", 7), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_match_whole),
		cmocka_unit_test(test_quotes_keep_blanks_so_that_a_value_is_no_word),
		cmocka_unit_test(test_the_last_value_counts),
		cmocka_unit_test(test_times_have_units_or_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
