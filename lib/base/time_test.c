/* LDFLAGS: -Wl,--wrap=clock_gettime */
#include "lib/base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct timespec now;
static clockid_t asked;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	asked = clock;
	*ret = now;
	return 0;
}

static void test_a_moment_from_now_carries_into_the_seconds(void **state)
{
	struct timespec at;

	(void)state;
	now = (struct timespec){.tv_sec = 7, .tv_nsec = 999000000};
	at = time_in_ms(1);
	assert_int_equal(asked, CLOCK_MONOTONIC);
	assert_int_equal(at.tv_sec, 8);
	assert_int_equal(at.tv_nsec, 0);
	at = time_in_ms(2999);
	assert_int_equal(at.tv_sec, 10);
	assert_int_equal(at.tv_nsec, 998000000);
	at = time_in_ms(0);
	assert_int_equal(at.tv_sec, 7);
	assert_int_equal(at.tv_nsec, 999000000);
}

static void test_units(void **state)
{
	(void)state;
	now = (struct timespec){.tv_sec = 7, .tv_nsec = 5000001};
	assert_int_equal(time_now_ms(), 7005);
	assert_int_equal(asked, CLOCK_BOOTTIME);
	assert_int_equal(realtime_ns(), 7005000001);
	assert_int_equal(asked, CLOCK_REALTIME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_moment_from_now_carries_into_the_seconds),
		cmocka_unit_test(test_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
