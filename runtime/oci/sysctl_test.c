#include "runtime/oci/sysctl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void a_key_becomes_a_path(void **state)
{
	static const struct {
		const char *key;
		const char *path;
	} cases[] = {
		{"net.ipv4.ip_forward", "net/ipv4/ip_forward"},
		{"net/ipv4/ip_forward", "net/ipv4/ip_forward"},
		{"net/ipv4/conf/eth0.5/rp_filter", "net/ipv4/conf/eth0.5/rp_filter"},
		{"net.ipv4.conf.eth0/5.rp_filter", "net/ipv4/conf/eth0.5/rp_filter"},
		{"kernel", "kernel"},
	};
	char path[SYSCTL_PATH_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(sysctl_path(cases[i].key, path), 0);
		assert_string_equal(path, cases[i].path);
	}
}

static void a_key_leads_nowhere_else(void **state)
{
	static const char *const bad[] = {"", ".", "/net", "net/", "net//x", "net..x",
		"net/../kernel/core_pattern", "net/./x", "net.//.kernel", "net./.x"};
	char path[SYSCTL_PATH_BYTES];
	char long_key[2 * SYSCTL_PATH_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (sysctl_path(bad[i], path) != -EINVAL)
			fail_msg("\"%s\" became %s", bad[i], path);
	}
	memset(long_key, 'a', sizeof(long_key));
	long_key[SYSCTL_PATH_BYTES] = '\0';
	assert_int_equal(sysctl_path(long_key, path), -ENAMETOOLONG);
	long_key[SYSCTL_PATH_BYTES - 1] = '\0';
	assert_int_equal(sysctl_path(long_key, path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_becomes_a_path),
		cmocka_unit_test(a_key_leads_nowhere_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
