#include "runtime/image/layerpath.h"

#include "runtime/image/limits.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void expect_clean(const char *path, const char *want)
{
	char out[64];

	assert_int_equal(layer_path_clean(path, out, sizeof(out)), 0);
	assert_string_equal(out, want);
}

static void test_paths_become_relative_and_clean(void **state)
{
	(void)state;
	expect_clean("a/b", "a/b");
	expect_clean("./a//b/", "a/b");
	expect_clean("/a/./b/.", "a/b");
	expect_clean("//a", "a");
	expect_clean("..a/b..", "..a/b..");
	expect_clean("a/.../b", "a/.../b");
}

static void test_the_root_is_the_empty_path(void **state)
{
	(void)state;
	expect_clean("", "");
	expect_clean("./", "");
	expect_clean("/", "");
}

static void test_dotdot_is_refused_wherever_it_stands(void **state)
{
	static const char *const bad[] = {
		"..", "../a", "a/..", "a/../b", "/..", "./../a", "a/b/../.."};
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(layer_path_clean(bad[i], out, sizeof(out)), -EPERM);
}

static void test_a_path_fits_exactly_or_is_refused(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(layer_path_clean("abcdef", out, sizeof(out)), 0);
	assert_int_equal(layer_path_clean("abcdefgh", out, sizeof(out)), -ENAMETOOLONG);
	assert_int_equal(layer_path_clean("abc/defgh", out, sizeof(out)), -ENAMETOOLONG);
}

static void test_too_many_components_are_refused(void **state)
{
	char path[2 * IMAGE_PATH_DEPTH_MAX + 3];
	char out[sizeof(path)];

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(path); i++)
		path[i] = i % 2 ? '/' : 'a';
	path[2 * IMAGE_PATH_DEPTH_MAX] = '\0';
	assert_int_equal(layer_path_clean(path, out, sizeof(out)), 0);
	path[2 * IMAGE_PATH_DEPTH_MAX] = 'a';
	path[2 * IMAGE_PATH_DEPTH_MAX + 1] = '\0';
	assert_int_equal(layer_path_clean(path, out, sizeof(out)), -ELOOP);
}

static void test_whiteouts_are_told_from_names(void **state)
{
	const char *hidden = NULL;

	(void)state;
	assert_int_equal(layer_name_classify("plain", &hidden), LAYER_NAME_PLAIN);
	assert_int_equal(layer_name_classify(".wh", &hidden), LAYER_NAME_PLAIN);
	assert_int_equal(layer_name_classify("a.wh.b", &hidden), LAYER_NAME_PLAIN);
	assert_null(hidden);
	assert_int_equal(layer_name_classify(".wh.name", &hidden), LAYER_NAME_WHITEOUT);
	assert_string_equal(hidden, "name");
	assert_int_equal(layer_name_classify(".wh..hidden", &hidden), LAYER_NAME_WHITEOUT);
	assert_string_equal(hidden, ".hidden");
	assert_int_equal(layer_name_classify(".wh..wh..opq", &hidden), LAYER_NAME_OPAQUE);
	assert_int_equal(layer_name_classify(".wh..wh.plnk", &hidden), LAYER_NAME_RESERVED);
}

static void test_a_whiteout_of_no_name_is_refused(void **state)
{
	const char *hidden;

	(void)state;
	assert_int_equal(layer_name_classify(".wh.", &hidden), -EINVAL);
	assert_int_equal(layer_name_classify(".wh..", &hidden), -EINVAL);
	assert_int_equal(layer_name_classify(".wh...", &hidden), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_become_relative_and_clean),
		cmocka_unit_test(test_the_root_is_the_empty_path),
		cmocka_unit_test(test_dotdot_is_refused_wherever_it_stands),
		cmocka_unit_test(test_a_path_fits_exactly_or_is_refused),
		cmocka_unit_test(test_too_many_components_are_refused),
		cmocka_unit_test(test_whiteouts_are_told_from_names),
		cmocka_unit_test(test_a_whiteout_of_no_name_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
