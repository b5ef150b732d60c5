#include "lib/util/cgfile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void numbers_are_found_by_their_whole_key(void **state)
{
	uint64_t n = 7;

	(void)state;
	assert_int_equal(cgfile_find("oom_kill 2\noom 1\n", "oom", &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(cgfile_find("oom_kill 2\n", "oom", &n), -ENOENT);
	assert_int_equal(cgfile_find("oom x\n", "oom", &n), -ENOENT);
	assert_int_equal(cgfile_find("", "oom", &n), -ENOENT);
	assert_int_equal(n, 1);
}

static void lines_of_another_form_are_left_out(void **state)
{
	const char *text = "a 1\nno number\n\nb 2";
	const char *key;
	size_t len;
	uint64_t n;

	(void)state;
	assert_true(cgfile_next(&text, &key, &len, &n));
	assert_true(len == 1 && key[0] == 'a' && n == 1);
	assert_true(cgfile_next(&text, &key, &len, &n));
	assert_true(len == 1 && key[0] == 'b' && n == 2);
	assert_false(cgfile_next(&text, &key, &len, &n));
}

static void io_lines_tell_what_they_have(void **state)
{
	const char *text = "(unknown) \n8:16 rbytes=10 wbytes=20 rios=1 new=5 wios=x =3 dios=\n"
			   "7:0 \n253:1 dbytes=18446744073709551615";
	struct cgfile_io io;

	(void)state;
	assert_true(cgfile_next_io(&text, &io));
	assert_int_equal(io.major, 8);
	assert_int_equal(io.minor, 16);
	assert_int_equal(
		io.known, 1U << CGFILE_READ_BYTES | 1U << CGFILE_WRITE_BYTES | 1U << CGFILE_READS);
	assert_int_equal(io.counts[CGFILE_READ_BYTES], 10);
	assert_int_equal(io.counts[CGFILE_WRITE_BYTES], 20);
	assert_int_equal(io.counts[CGFILE_READS], 1);
	assert_int_equal(io.counts[CGFILE_WRITES], 0);
	assert_true(cgfile_next_io(&text, &io));
	assert_true(io.major == 7 && io.known == 0);
	assert_true(cgfile_next_io(&text, &io));
	assert_true(io.counts[CGFILE_DISCARD_BYTES] == UINT64_MAX);
	assert_false(cgfile_next_io(&text, &io));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_found_by_their_whole_key),
		cmocka_unit_test(lines_of_another_form_are_left_out),
		cmocka_unit_test(io_lines_tell_what_they_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
