#include "runtime/image/seccomp_profile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char *const caps[] = {"CAP_SYS_CHROOT", "CAP_CHOWN"};

/* Whether a rule with this condition stays in for amd64, these capabilities and Linux 6.12; -1 if
 * the profile is refused. */
static int stays(const char *condition)
{
	const struct seccomp_target target = {"amd64", caps, 2, 6, 12};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *made;
	char profile[512];
	struct err e;
	int n;

	snprintf(profile, sizeof(profile),
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"archMap\":[{\"architecture\":"
		"\"SCMP_ARCH_X86_64\",\"subArchitectures\":null}],\"syscalls\":[{\"names\":"
		"[\"x\"],\"action\":\"SCMP_ACT_ALLOW\",%s}]}",
		condition);
	made = seccomp_profile_resolve(profile, strlen(profile), &target, doc, &e);
	n = made ? (int)yyjson_mut_arr_size(yyjson_mut_obj_get(made, "syscalls")) : -1;
	yyjson_mut_doc_free(doc);
	return n;
}

static void test_includes_need_all_of_it(void **state)
{
	(void)state;
	assert_int_equal(stays("\"includes\":{}"), 1);
	assert_int_equal(stays("\"includes\":null"), 1);
	assert_int_equal(stays("\"includes\":{\"caps\":[\"CAP_CHOWN\"]}"), 1);
	assert_int_equal(stays("\"includes\":{\"caps\":[\"CAP_CHOWN\",\"CAP_SYS_ADMIN\"]}"), 0);
	assert_int_equal(stays("\"includes\":{\"arches\":[\"arm64\",\"amd64\"]}"), 1);
	assert_int_equal(stays("\"includes\":{\"arches\":[\"arm64\"]}"), 0);
	assert_int_equal(
		stays("\"includes\":{\"arches\":[\"amd64\"],\"caps\":[\"CAP_SYS_ADMIN\"]}"), 0);
}

static void test_excludes_need_any_of_it(void **state)
{
	(void)state;
	assert_int_equal(stays("\"excludes\":{}"), 1);
	assert_int_equal(stays("\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}"), 1);
	assert_int_equal(stays("\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\",\"CAP_CHOWN\"]}"), 0);
	assert_int_equal(
		stays("\"excludes\":{\"arches\":[\"amd64\"],\"caps\":[\"CAP_SYS_ADMIN\"]}"), 0);
}

static void test_kernels_are_compared_by_number(void **state)
{
	(void)state;
	assert_int_equal(stays("\"includes\":{\"minKernel\":\"4.8\"}"), 1);
	assert_int_equal(stays("\"includes\":{\"minKernel\":\"6.12\"}"), 1);
	assert_int_equal(stays("\"includes\":{\"minKernel\":\"6.13\"}"), 0);
	assert_int_equal(stays("\"includes\":{\"minKernel\":\"10.1\"}"), 0);
	assert_int_equal(stays("\"excludes\":{\"minKernel\":\"4.8\"}"), 0);
}

static void test_a_condition_that_is_not_understood_is_refused(void **state)
{
	(void)state;
	assert_int_equal(stays("\"includes\":{\"moon\":\"full\"}"), -1);
	assert_int_equal(stays("\"excludes\":{\"arches\":\"amd64\"}"), -1);
	assert_int_equal(stays("\"includes\":{\"minKernel\":\"new\"}"), -1);
	assert_int_equal(stays("\"includes\":[]"), -1);
}

static void test_the_built_in_profile_is_whole(void **state)
{
	const struct seccomp_target target = {"arm64", caps, 2, 6, 12};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *made;
	struct err e;
	size_t len;
	const char *profile = seccomp_profile_default(&len);

	(void)state;
	made = seccomp_profile_resolve(profile, len, &target, doc, &e);
	assert_non_null(made);
	assert_true(yyjson_mut_arr_size(yyjson_mut_obj_get(made, "syscalls")) > 10);
	yyjson_mut_doc_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_includes_need_all_of_it),
		cmocka_unit_test(test_excludes_need_any_of_it),
		cmocka_unit_test(test_kernels_are_compared_by_number),
		cmocka_unit_test(test_a_condition_that_is_not_understood_is_refused),
		cmocka_unit_test(test_the_built_in_profile_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
