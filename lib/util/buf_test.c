#include "lib/util/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void what_is_added_stays_in_order_and_terminated(void **state)
{
	struct buf b = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_printf(&b, "%03d,", i), 0);
	assert_int_equal(buf_add_str(&b, "end"), 0);
	assert_int_equal(b.len, 4003);
	assert_memory_equal(b.v, "000,001,", 8);
	assert_string_equal(b.v + 3996, "999,end");
	buf_free(&b);
	assert_null(b.v);
}

static void consuming_keeps_the_rest(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_int_equal(buf_add(&b, "abc\0def", 7), 0);
	buf_consume(&b, 4);
	assert_string_equal(b.v, "def");
	buf_consume(&b, 99);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_add_str(&b, "x"), 0);
	assert_string_equal(b.v, "x");
	buf_free(&b);
}

static void impossible_sizes_are_refused(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_int_equal(buf_add_str(&b, "kept"), 0);
	assert_null(buf_reserve(&b, SIZE_MAX - 2));
	assert_null(buf_reserve(&b, SIZE_MAX / 2 + 10));
	assert_string_equal(b.v, "kept");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_added_stays_in_order_and_terminated),
		cmocka_unit_test(consuming_keeps_the_rest),
		cmocka_unit_test(impossible_sizes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
