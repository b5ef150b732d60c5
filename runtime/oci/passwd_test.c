#include "runtime/oci/passwd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static char home[16];

static int find(const char *text, uint32_t uid)
{
	memset(home, 0, sizeof(home));
	return passwd_find_home(text, strlen(text), uid, home, sizeof(home));
}

static void the_first_line_of_the_uid_counts(void **state)
{
	static const char text[] = "root:x:0:0:root:/root:/bin/sh\n"
				   "a:x:7:7::/home/a:\nb:x:7:7::/home/b:/x\nlast:x:9:9::/l:/s";

	(void)state;
	assert_int_equal(find(text, 0), 0);
	assert_string_equal(home, "/root");
	assert_int_equal(find(text, 7), 0);
	assert_string_equal(home, "/home/a");
	assert_int_equal(find(text, 9), 0);
	assert_string_equal(home, "/l");
	assert_int_equal(find(text, 8), -ENOENT);
}

static void odd_lines_name_nobody(void **state)
{
	(void)state;
	assert_int_equal(find("", 0), -ENOENT);
	assert_int_equal(find("\n\n::::\n:::::::", 0), -ENOENT);
	assert_int_equal(find("a:x::0::/h:/s\n", 0), -ENOENT);
	assert_int_equal(find("a:x:-1:0::/h:/s\n", UINT32_MAX), -ENOENT);
	assert_int_equal(find("a:x:4294967296:0::/h:/s\n", 0), -ENOENT);
	assert_int_equal(find("a:x: 0:0::/h:/s\n", 0), -ENOENT);
	assert_int_equal(find("a:x:0:0::/h", 0), 0);
	assert_int_equal(find("a:x:0:0:/h", 0), -ENOENT);
	assert_int_equal(find("a:x:0:0:::/s\n", 0), -ENOENT);
	assert_int_equal(find("a:x:0:0::/a/path/too/long/for/it:/s\n", 0), -ENOENT);
}

static void every_truncation_is_safe(void **state)
{
	static const char text[] = "root:x:0:0:root:/root:/bin/sh\na:x:7:7::/home/a:\n";
	char buf[16];

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		int r = passwd_find_home(text, len, 7, buf, sizeof(buf));

		assert_true(r == 0 || r == -ENOENT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_line_of_the_uid_counts),
		cmocka_unit_test(odd_lines_name_nobody),
		cmocka_unit_test(every_truncation_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
