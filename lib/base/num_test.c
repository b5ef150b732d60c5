#include "lib/base/num.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static int size_of(const char *s, uint64_t *ret)
{
	return num_parse_size(s, strlen(s), ret);
}

static int ms_of(const char *s, uint64_t *ret)
{
	return num_parse_ms(s, strlen(s), ret);
}

static void number_takes_digits_only(void **state)
{
	static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x1", "1a"};
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(num_parse_u64(bad[i], strlen(bad[i]), UINT64_MAX, &v), -EINVAL);
	assert_int_equal(v, 7);
	assert_int_equal(num_parse_u64("0042x", 4, UINT64_MAX, &v), 0);
	assert_int_equal(v, 42);
}

static void number_stops_at_its_limit(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(num_parse_u64("18446744073709551615", 20, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(num_parse_u64("18446744073709551616", 20, UINT64_MAX, &v), -ERANGE);
	assert_int_equal(num_parse_u64("99999999999999999999", 20, UINT64_MAX, &v), -ERANGE);
	assert_int_equal(num_parse_u64("65536", 5, 65535, &v), -ERANGE);
}

static void size_takes_binary_suffixes(void **state)
{
	uint64_t v = 0;

	(void)state;
	assert_int_equal(size_of("64M", &v), 0);
	assert_int_equal(v, 64 << 20);
	assert_int_equal(size_of("1T", &v), 0);
	assert_true(v == 1ULL << 40);
	assert_int_equal(size_of("17", &v), 0);
	assert_int_equal(v, 17);
	assert_int_equal(size_of("M", &v), -EINVAL);
	assert_int_equal(size_of("", &v), -EINVAL);
	assert_int_equal(size_of("16777216T", &v), -ERANGE);
}

static void duration_wants_a_unit(void **state)
{
	uint64_t v = 0;

	(void)state;
	assert_int_equal(ms_of("500ms", &v), 0);
	assert_int_equal(v, 500);
	assert_int_equal(ms_of("10s", &v), 0);
	assert_int_equal(v, 10000);
	assert_int_equal(ms_of("2m", &v), 0);
	assert_int_equal(v, 120000);
	assert_int_equal(ms_of("10", &v), -EINVAL);
	assert_int_equal(ms_of("s", &v), -EINVAL);
	assert_int_equal(ms_of("ms", &v), -EINVAL);
	assert_int_equal(ms_of("18446744073709551615s", &v), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_takes_digits_only),
		cmocka_unit_test(number_stops_at_its_limit),
		cmocka_unit_test(size_takes_binary_suffixes),
		cmocka_unit_test(duration_wants_a_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
