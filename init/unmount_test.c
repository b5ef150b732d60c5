#include "init/unmount.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

static int parse(const char *line, struct unmount_entry *ret)
{
	static char copy[512];

	snprintf(copy, sizeof(copy), "%s", line);
	return unmount_parse_line(copy, ret);
}

static void test_a_disk_is_unmounted_and_what_is_in_memory_is_kept(void **state)
{
	struct unmount_entry entry;

	(void)state;
	assert_int_equal(
		parse("36 35 98:0 / /var rw,noatime shared:1 - ext4 /dev/vda2 rw", &entry), 0);
	assert_string_equal(entry.target, "/var");
	assert_false(entry.keep);
	assert_int_equal(parse("22 1 0:21 / /run rw - tmpfs tmpfs rw,mode=755", &entry), 0);
	assert_true(entry.keep);
	assert_int_equal(parse("23 1 0:2 / / rw - rootfs rootfs rw", &entry), 0);
	assert_true(entry.keep);
}

static void test_escapes_in_a_path_are_undone(void **state)
{
	struct unmount_entry entry;

	(void)state;
	assert_int_equal(parse("1 2 3:4 / /a\\040b\\134c\\011 rw - ext4 /dev/vda rw", &entry), 0);
	assert_string_equal(entry.target, "/a b\\c\t");
	assert_int_equal(parse("1 2 3:4 / /a\\04 rw - ext4 /dev/vda rw", &entry), 0);
	assert_string_equal(entry.target, "/a\\04");
}

static void test_a_line_that_is_cut_is_refused(void **state)
{
	struct unmount_entry entry;

	(void)state;
	assert_int_equal(parse("", &entry), -EINVAL);
	assert_int_equal(parse("36 35 98:0 / /var rw", &entry), -EINVAL);
	assert_int_equal(parse("36 35 - ext4 x rw", &entry), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_disk_is_unmounted_and_what_is_in_memory_is_kept),
		cmocka_unit_test(test_escapes_in_a_path_are_undone),
		cmocka_unit_test(test_a_line_that_is_cut_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
