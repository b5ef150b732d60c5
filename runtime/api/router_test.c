#include "runtime/api/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int match(const char *pattern, const char *path, char *buf, char *params[CALL_PARAMS_MAX])
{
	strcpy(buf, path);
	return route_match(pattern, buf, params);
}

static void patterns_match_whole_paths_only(void **state)
{
	char *params[CALL_PARAMS_MAX];
	char buf[200];

	(void)state;
	assert_int_equal(match("/info", "/info", buf, params), 1);
	assert_int_equal(match("/info", "/info/", buf, params), 0);
	assert_int_equal(match("/info", "/inf", buf, params), 0);
	assert_int_equal(match("/containers/{id}/json", "/containers/abc/json", buf, params), 1);
	assert_string_equal(params[0], "abc");
	assert_int_equal(match("/containers/{id}/json", "/containers//json", buf, params), 0);
	assert_int_equal(match("/containers/{id}/json", "/containers/a/b/json", buf, params), 0);
}

static void names_of_images_may_have_slashes(void **state)
{
	char *params[CALL_PARAMS_MAX];
	char buf[200];

	(void)state;
	assert_int_equal(match("/images/{name*}/json", "/images/a.b:5/c/d:e/json", buf, params), 1);
	assert_string_equal(params[0], "a.b:5/c/d:e");
	assert_int_equal(match("/images/{name*}", "/images/x/y", buf, params), 1);
	assert_string_equal(params[0], "x/y");
	assert_int_equal(match("/images/{name*}/json", "/images/json", buf, params), 0);
}

static void versions_are_taken_off_and_checked(void **state)
{
	struct err e = {0};
	char buf[64];
	int minor;

	(void)state;
	strcpy(buf, "/v1.41/info");
	assert_string_equal(route_version(buf, &minor, &e), "/info");
	assert_int_equal(minor, 41);
	strcpy(buf, "/info");
	assert_string_equal(route_version(buf, &minor, &e), "/info");
	assert_int_equal(minor, API_MINOR_MAX);
	strcpy(buf, "/v1.23/info");
	assert_null(route_version(buf, &minor, &e));
	assert_non_null(strstr(e.msg, "too old"));
	strcpy(buf, "/v1.52/info");
	assert_null(route_version(buf, &minor, &e));
	assert_non_null(strstr(e.msg, "too new"));
	strcpy(buf, "/v1.4x/info");
	assert_null(route_version(buf, &minor, &e));
}

static void parameters_are_decoded(void **state)
{
	struct err e = {0};
	struct query q;
	int64_t n = 7;

	(void)state;
	assert_int_equal(query_parse(&q, "/a%2Fb?x=1+2%3d&flag&no=0&t=-5&bad=1x", &e), 0);
	assert_string_equal(q.path, "/a/b");
	assert_string_equal(query_str(&q, "x"), "1 2=");
	assert_true(query_bool(&q, "x", false));
	assert_false(query_bool(&q, "flag", true));
	assert_false(query_bool(&q, "no", true));
	assert_true(query_bool(&q, "absent", true));
	assert_int_equal(query_i64(&q, "t", &n, &e), 0);
	assert_int_equal(n, -5);
	assert_int_equal(query_i64(&q, "absent", &n, &e), 0);
	assert_int_equal(n, -5);
	assert_int_equal(query_i64(&q, "bad", &n, &e), -EINVAL);
	query_free(&q);
}

static void bad_encodings_and_too_many_parameters_are_refused(void **state)
{
	static const char *const bad[] = {"/a%", "/a%4", "/a%zz", "/?x=%00", "/a%00b"};
	char many[16 * API_QUERY_MAX] = "/?";
	struct err e = {0};
	struct query q;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(query_parse(&q, bad[i], &e), -EINVAL);
	for (int i = 0; i <= API_QUERY_MAX; i++)
		strcat(many, "a=1&");
	assert_int_equal(query_parse(&q, many, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "query parameters"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_whole_paths_only),
		cmocka_unit_test(names_of_images_may_have_slashes),
		cmocka_unit_test(versions_are_taken_off_and_checked),
		cmocka_unit_test(parameters_are_decoded),
		cmocka_unit_test(bad_encodings_and_too_many_parameters_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
