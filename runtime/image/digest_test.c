#include "runtime/image/digest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* FIPS 180-4 examples, of "abc" */
#define SHA256_ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA512_ABC                                                                                 \
	"sha512:"                                                                                  \
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836"       \
	"ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

static void test_known_digests_match_and_others_do_not(void **state)
{
	struct digest d;

	(void)state;
	assert_int_equal(digest_parse(SHA256_ABC, &d), 0);
	assert_int_equal(digest_matches(&d, "abc", 3), 1);
	assert_int_equal(digest_matches(&d, "abd", 3), 0);
	assert_int_equal(digest_parse(SHA512_ABC, &d), 0);
	assert_int_equal(digest_matches(&d, "abc", 3), 1);
	d.text[strlen(d.text) - 1] = '0'; /* the last digit counts */
	assert_int_equal(digest_matches(&d, "abc", 3), 0);
}

static void test_only_exact_lower_case_digests_parse(void **state)
{
	char text[DIGEST_TEXT_BYTES + 8] = SHA256_ABC;
	struct digest d;

	(void)state;
	strcat(text, "0");
	assert_int_equal(digest_parse(text, &d), -EINVAL);
	text[strlen(text) - 2] = '\0';
	assert_int_equal(digest_parse(text, &d), -EINVAL);
	strcpy(text, SHA256_ABC);
	text[10] = 'A';
	assert_int_equal(digest_parse(text, &d), -EINVAL);
	text[10] = '/';
	assert_int_equal(digest_parse(text, &d), -EINVAL);
	assert_int_equal(digest_parse("md5:00", &d), -ENOTSUP);
	assert_int_equal(digest_parse("", &d), -EINVAL);
}

static void test_a_digest_names_its_blob(void **state)
{
	char path[DIGEST_TEXT_BYTES + 8];
	struct digest d;

	(void)state;
	assert_int_equal(digest_parse(SHA256_ABC, &d), 0);
	digest_blob_path(&d, path, sizeof(path));
	assert_int_equal(strncmp(path, "blobs/sha256/ba7816bf", 21), 0);
	assert_int_equal(strlen(path), strlen("blobs/sha256/") + 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_digests_match_and_others_do_not),
		cmocka_unit_test(test_only_exact_lower_case_digests_parse),
		cmocka_unit_test(test_a_digest_names_its_blob),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
