#include "runtime/image/users.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "# web:x:1:1::/:/bin/sh\n"
			     "short:x:5:5\n"
			     "bad:x:5x:5::/:/bin/sh\n"
			     "huge:x:4294967295:5::/:/bin/sh\n"
			     "web:x:33:44:Web,Server:/var/www:/bin/sh\n"
			     "web:x:99:99::/second:/bin/sh\n"
			     "1000:x:7:8::/seven:/bin/sh\n"
			     "last:x:12:13::/last:/bin/sh";
static const char group[] = "root:x:0:\n"
			    "web:x:44:\n"
			    "one:x:101:root,web,last\n"
			    "two:x:102:webmaster\n"
			    "three:x:103:web\n"
			    "again:x:44:web\n"
			    "bad:x:104:web:extra";

static int lookup(const char *spec, struct user *u)
{
	struct accounts_file p = {passwd, strlen(passwd)};
	struct accounts_file g = {group, strlen(group)};

	return users_lookup(spec, p, g, u, NULL);
}

static void expect(const char *spec, uint32_t uid, uint32_t gid, size_t n_groups, const char *home)
{
	struct user u;

	assert_int_equal(lookup(spec, &u), 0);
	assert_int_equal(u.uid, uid);
	assert_int_equal(u.gid, gid);
	assert_int_equal(u.n_groups, n_groups);
	assert_int_equal(u.groups[0], gid);
	assert_string_equal(u.home, home);
}

static void test_users_are_found_by_name_and_number(void **state)
{
	(void)state;
	expect("", 0, 0, 2, "/root"); /* in the groups root and one */
	expect("root", 0, 0, 2, "/root");
	expect("web", 33, 44, 3, "/var/www");
	expect("33", 33, 44, 3, "/var/www");
	expect("last", 12, 13, 2, "/last"); /* a last line without newline counts */
}

static void test_a_number_need_not_be_listed(void **state)
{
	(void)state;
	expect("4242", 4242, 0, 1, "/");
	expect("4242:4343", 4242, 4343, 1, "/");
	expect("4294967294", 4294967294, 0, 1, "/");
}

static void test_a_group_given_by_the_spec_is_the_only_one(void **state)
{
	(void)state;
	expect("web:one", 33, 101, 1, "/var/www");
	expect("web:102", 33, 102, 1, "/var/www");
	expect("web:", 33, 44, 3, "/var/www");
}

static void test_a_name_of_digits_is_a_name_first(void **state)
{
	(void)state;
	expect("1000", 7, 8, 1, "/seven");
}

static void test_what_is_not_there_is_refused(void **state)
{
	static const char *const missing[] = {"nobody", "web:nogroup", "short", "bad", "huge",
		"# web", "4294967295", "-1", "0x10"};
	struct user u = {.uid = 77};

	(void)state;
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
		assert_int_equal(lookup(missing[i], &u), -ENOENT);
	assert_int_equal(lookup(":web", &u), -EINVAL);
	assert_int_equal(lookup("a:b:c", &u), -EINVAL);
	assert_int_equal(u.uid, 77); /* untouched by failure */
}

static void test_without_files_only_root_and_numbers_exist(void **state)
{
	struct accounts_file none = {NULL, 0};
	struct user u;

	(void)state;
	assert_int_equal(users_lookup("", none, none, &u, NULL), 0);
	assert_int_equal(u.uid + u.gid, 0);
	assert_int_equal(users_lookup("5:6", none, none, &u, NULL), 0);
	assert_int_equal(users_lookup("root", none, none, &u, NULL), -ENOENT);
}

static void test_more_groups_than_fit_are_refused(void **state)
{
	static char many[IMAGE_GROUPS_MAX * 32];
	struct accounts_file p = {passwd, strlen(passwd)};
	struct accounts_file g = {many, 0};
	struct user u;

	(void)state;
	for (unsigned i = 0; i < IMAGE_GROUPS_MAX; i++)
		g.len += (size_t)snprintf(many + g.len, 32, "g%u:x:%u:web\n", i, 1000 + i);
	assert_int_equal(users_lookup("web", p, g, &u, NULL), -E2BIG);
	g.len -= strlen("g255:x:1255:web\n");
	assert_int_equal(users_lookup("web", p, g, &u, NULL), 0);
	assert_int_equal(u.n_groups, IMAGE_GROUPS_MAX);
}

/* Every truncation, each in memory of exactly its size, so that reading behind it is seen. */
static void test_any_truncation_is_read_within_its_bounds(void **state)
{
	(void)state;
	for (size_t len = 0; len <= strlen(passwd); len++) {
		char *copy = malloc(len + !len);
		struct accounts_file p = {copy, len};
		struct accounts_file g = {group, strlen(group)};
		struct user u;

		memcpy(copy, passwd, len);
		(void)users_lookup("last", p, g, &u, NULL);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users_are_found_by_name_and_number),
		cmocka_unit_test(test_a_number_need_not_be_listed),
		cmocka_unit_test(test_a_group_given_by_the_spec_is_the_only_one),
		cmocka_unit_test(test_a_name_of_digits_is_a_name_first),
		cmocka_unit_test(test_what_is_not_there_is_refused),
		cmocka_unit_test(test_without_files_only_root_and_numbers_exist),
		cmocka_unit_test(test_more_groups_than_fit_are_refused),
		cmocka_unit_test(test_any_truncation_is_read_within_its_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
