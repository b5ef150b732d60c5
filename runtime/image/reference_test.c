#include "runtime/image/reference.h"

#include "runtime/image/manifest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void expect_short(const char *ref, const char *want)
{
	char out[REFERENCE_BYTES_MAX];

	assert_int_equal(reference_shorten(ref, out, sizeof(out)), 0);
	assert_string_equal(out, want);
}

static void test_references_are_shortened_as_docker_shows_them(void **state)
{
	(void)state;
	expect_short("busybox", "busybox:latest");
	expect_short("busybox:1.37", "busybox:1.37");
	expect_short("docker.io/library/busybox", "busybox:latest");
	expect_short("library/busybox:1", "busybox:1");
	expect_short("docker.io/me/app:2", "me/app:2");
	expect_short("registry:5000/app", "registry:5000/app:latest");
	expect_short("registry:5000/app:3", "registry:5000/app:3");
	expect_short("app@sha256:00", "app@sha256:00");
	expect_short("docker.io/library/a/b", "library/a/b:latest");
}

static void expect_parts(
	const char *ref, const char *domain, const char *path, const char *tag, const char *shown)
{
	char familiar[REFERENCE_BYTES_MAX];
	struct reference r;
	struct err e;

	assert_int_equal(reference_parse(ref, &r, &e), 0);
	assert_string_equal(r.domain, domain);
	assert_string_equal(r.path, path);
	assert_string_equal(r.tag, tag);
	reference_familiar(&r, familiar, sizeof(familiar));
	assert_string_equal(familiar, shown);
}

static void test_a_reference_is_taken_apart_as_docker_does(void **state)
{
	(void)state;
	expect_parts("debian", "docker.io", "library/debian", "", "debian");
	expect_parts("index.docker.io/me/app:2", "docker.io", "me/app", "2", "me/app");
	expect_parts("localhost/app", "localhost", "app", "", "localhost/app");
	expect_parts("127.0.0.1:5000/a/b_c--d:T-1", "127.0.0.1:5000", "a/b_c--d", "T-1",
		"127.0.0.1:5000/a/b_c--d");
	expect_parts("team/app", "docker.io", "team/app", "", "team/app");
	expect_parts("docker.io/library/a/b", "docker.io", "library/a/b", "", "library/a/b");
}

static void test_no_name_is_shortened_to_another_registrys(void **state)
{
	(void)state;
	expect_parts("docker.io/registry.corp/app", "docker.io", "registry.corp/app", "",
		"docker.io/registry.corp/app");
	expect_parts("docker.io/localhost/app", "docker.io", "localhost/app", "",
		"docker.io/localhost/app");
	expect_short("docker.io/registry.corp/app:1", "docker.io/registry.corp/app:1");
	expect_short("index.docker.io/registry.corp/app", "docker.io/registry.corp/app:latest");
	expect_short("registry.corp/app", "registry.corp/app:latest");
}

static void test_a_reference_against_the_grammar_is_refused_in_dockers_words(void **state)
{
	static const char *const bad[] = {"", "-a", "a..b", "a/", "/a", "a:", "a:-", "a b", "a___b",
		"a@sha256:00", "a@md5:00", "-host.x/a", "host:port/a", "a//b"};
	struct reference r;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(reference_parse(bad[i], &r, &e), -EINVAL);
		assert_string_equal(e.msg, "invalid reference format");
	}
	assert_int_equal(reference_parse("Debian", &r, &e), -EINVAL);
	assert_string_equal(e.msg, "invalid reference format: repository name (library/Debian) "
				   "must be lowercase");
}

static void test_what_is_no_reference_is_refused(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(reference_shorten("", out, sizeof(out)), -EINVAL);
	assert_int_equal(reference_shorten("a b", out, sizeof(out)), -EINVAL);
	assert_int_equal(reference_shorten("longer-than-that", out, sizeof(out)), -ENAMETOOLONG);
	assert_int_equal(reference_same("", ""), 0);
}

static void test_platforms_are_known_by_name(void **state)
{
	struct platform p = {0};

	(void)state;
	assert_int_equal(platform_parse("linux/amd64", &p), 0);
	assert_string_equal(p.architecture, "amd64");
	assert_int_equal(platform_parse("linux/arm64/v8", &p), 0);
	assert_string_equal(p.architecture, "arm64");
	assert_int_equal(platform_parse("windows/amd64", &p), -ENOTSUP);
	assert_int_equal(platform_parse("linux", &p), -ENOTSUP);
	assert_string_equal(p.architecture, "arm64"); /* untouched by failure */
}

static void test_a_descriptor_is_named_by_full_name_before_tag(void **state)
{
	struct descriptor full = {.full_name = "docker.io/library/app:2", .ref_name = "2"};
	struct descriptor bare = {.ref_name = "2"};
	struct descriptor none = {0};

	(void)state;
	assert_int_equal(descriptor_named(&full, "app:2"), 2);
	assert_int_equal(descriptor_named(&full, "other:2"), 0);
	assert_int_equal(descriptor_named(&bare, "other:2"), 1);
	assert_int_equal(descriptor_named(&bare, "2"), 2);
	assert_int_equal(descriptor_named(&bare, "app:3"), 0);
	assert_int_equal(descriptor_named(&none, "app"), 0);
}

static void test_an_entry_without_a_platform_fits_any(void **state)
{
	struct platform amd64 = {"linux", "amd64"};
	struct descriptor none = {0};
	struct descriptor arm = {.os = "linux", .architecture = "arm64"};
	struct descriptor unknown = {.os = "unknown", .architecture = "unknown"};

	(void)state;
	assert_int_equal(descriptor_fits(&none, &amd64), 1);
	assert_int_equal(descriptor_fits(&arm, &amd64), 0);
	assert_int_equal(descriptor_fits(&unknown, &amd64), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_references_are_shortened_as_docker_shows_them),
		cmocka_unit_test(test_a_reference_is_taken_apart_as_docker_does),
		cmocka_unit_test(test_no_name_is_shortened_to_another_registrys),
		cmocka_unit_test(test_a_reference_against_the_grammar_is_refused_in_dockers_words),
		cmocka_unit_test(test_what_is_no_reference_is_refused),
		cmocka_unit_test(test_platforms_are_known_by_name),
		cmocka_unit_test(test_a_descriptor_is_named_by_full_name_before_tag),
		cmocka_unit_test(test_an_entry_without_a_platform_fits_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
