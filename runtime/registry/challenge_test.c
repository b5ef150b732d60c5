#include "runtime/registry/challenge.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_a_bearer_challenge_is_read_with_its_parameters(void **state)
{
	struct challenge c;

	(void)state;
	assert_int_equal(challenge_parse("Bearer realm=\"https://a/token\",service=reg ,"
					 " scope=\"repository:x:pull,push\", odd=1,"
					 "error=\"insufficient_scope\"",
				 &c),
		0);
	assert_int_equal(c.scheme, CHALLENGE_BEARER);
	assert_string_equal(c.realm, "https://a/token");
	assert_string_equal(c.service, "reg");
	assert_string_equal(c.scope, "repository:x:pull,push");
	assert_string_equal(c.error, "insufficient_scope");
}

static void test_the_strongest_of_several_is_taken(void **state)
{
	struct challenge c;

	(void)state;
	assert_int_equal(
		challenge_parse("Negotiate, Bearer realm=\"b\", Basic realm=\"a\"", &c), 0);
	assert_int_equal(c.scheme, CHALLENGE_BEARER);
	assert_string_equal(c.realm, "b");
	assert_int_equal(challenge_parse("basic REALM=\"q \\\"q\\\" q\"", &c), 0);
	assert_int_equal(c.scheme, CHALLENGE_BASIC);
	assert_string_equal(c.realm, "q \"q\" q");
	assert_int_equal(challenge_parse("Digest x=y", &c), 0);
	assert_int_equal(c.scheme, CHALLENGE_NONE);
}

static void test_what_is_no_challenge_is_refused(void **state)
{
	static const char *const bad[] = {"\"", "Bearer realm=\"open", "Bearer realm=\"a\"b",
		"Bearer realm=\"\n\"", "=", "(x)"};
	char huge[4096] = "Bearer realm=\"";
	struct challenge c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(challenge_parse(bad[i], &c), -EINVAL);
	memset(huge + strlen(huge), 'x', 4000);
	assert_int_equal(challenge_parse(huge, &c), -ENAMETOOLONG);
	assert_int_equal(c.scheme, CHALLENGE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_bearer_challenge_is_read_with_its_parameters),
		cmocka_unit_test(test_the_strongest_of_several_is_taken),
		cmocka_unit_test(test_what_is_no_challenge_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
