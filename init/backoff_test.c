#include "init/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_the_wait_doubles_from_the_least_to_the_most(void **state)
{
	static const uint64_t expected[] = {100, 200, 400, 800, 1000, 1000};
	uint64_t wait = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		wait = backoff_next(wait, 100, 1000, 0, 10000);
		assert_int_equal(wait, expected[i]);
	}
}

static void test_a_healthy_run_starts_again_at_the_least(void **state)
{
	(void)state;
	assert_int_equal(backoff_next(800, 100, 1000, 9999, 10000), 1000);
	assert_int_equal(backoff_next(800, 100, 1000, 10000, 10000), 100);
}

static void test_the_largest_numbers_do_not_overflow(void **state)
{
	(void)state;
	assert_int_equal(backoff_next(UINT64_MAX - 1, 1, UINT64_MAX, 0, 1), UINT64_MAX);
	assert_int_equal(backoff_next(UINT64_MAX / 2, 1, UINT64_MAX, 0, 1), UINT64_MAX - 1);
}

static void test_a_wait_is_never_below_the_least(void **state)
{
	(void)state;
	assert_int_equal(backoff_next(1, 100, 1000, 0, 10), 100);
	assert_int_equal(backoff_next(5, 5, 5, 0, 10), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_wait_doubles_from_the_least_to_the_most),
		cmocka_unit_test(test_a_healthy_run_starts_again_at_the_least),
		cmocka_unit_test(test_the_largest_numbers_do_not_overflow),
		cmocka_unit_test(test_a_wait_is_never_below_the_least),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
