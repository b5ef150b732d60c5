/* Against the standard's examples, and against the library that is used elsewhere. */
#include "runtime/image/sha256.h"

#include <mbedtls/md.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* "abc", nothing, 448 and 896 bits, a million times "a": FIPS 180-2 appendix B, NIST's CAVP */
static const struct {
	const char *text;
	unsigned times;
	const char *sum;
} examples[] = {
	{"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	{"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
	 "lmnopqrsmnopqrstnopqrstu",
		1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
	{"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
};

static void test_the_standards_examples_come_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		unsigned char sum[SHA256_BYTES];
		char hex[2 * SHA256_BYTES + 1];
		struct sha256 s;

		sha256_start(&s);
		for (unsigned n = 0; n < examples[i].times; n++)
			sha256_update(&s, examples[i].text, strlen(examples[i].text));
		sha256_finish(&s, sum);
		for (size_t n = 0; n < SHA256_BYTES; n++)
			(void)snprintf(hex + 2 * n, 3, "%02x", sum[n]);
		assert_string_equal(hex, examples[i].sum);
	}
}

static void test_every_length_in_every_two_parts_is_as_the_library_has_it(void **state)
{
	unsigned char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (unsigned char)(i * 37 + 11);
	for (size_t len = 0; len <= sizeof(text); len++) {
		unsigned char want[SHA256_BYTES];

		(void)mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), text, len, want);
		for (size_t first = 0; first <= len; first++) {
			unsigned char sum[SHA256_BYTES];
			struct sha256 s;

			sha256_start(&s);
			sha256_update(&s, text, first);
			sha256_update(&s, text + first, len - first);
			sha256_finish(&s, sum);
			assert_memory_equal(sum, want, SHA256_BYTES);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_standards_examples_come_out),
		cmocka_unit_test(test_every_length_in_every_two_parts_is_as_the_library_has_it),
	};

	if (!sha256_available()) {
		(void)fputs(
			"sha256_test: this processor has no such instructions, skipped\n", stderr);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
