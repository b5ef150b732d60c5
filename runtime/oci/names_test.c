#include "runtime/oci/names.h"

#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

static void capabilities_have_the_kernels_numbers(void **state)
{
	(void)state;
	assert_int_equal(name_cap("CAP_CHOWN"), CAP_CHOWN);
	assert_int_equal(name_cap("CAP_SYS_ADMIN"), CAP_SYS_ADMIN);
	assert_int_equal(name_cap("net_bind_service"), CAP_NET_BIND_SERVICE);
	assert_int_equal(name_cap("CAP_SYSLOG"), CAP_SYSLOG);
	assert_int_equal(name_cap("CAP_PERFMON"), CAP_PERFMON);
	assert_int_equal(name_cap("CAP_CHECKPOINT_RESTORE"), CAP_CHECKPOINT_RESTORE);
	assert_int_equal(name_cap("CAP_"), -EINVAL);
	assert_int_equal(name_cap(""), -EINVAL);
	assert_int_equal(name_cap("CAP_NOTHING"), -EINVAL);
	for (int cap = 0; cap < CAP_NAMES_N; cap++)
		assert_int_equal(name_cap(name_of_cap(cap)), cap);
	assert_null(name_of_cap(CAP_NAMES_N));
	assert_null(name_of_cap(-1));
}

static void signals_by_name_and_number(void **state)
{
	(void)state;
	assert_int_equal(name_signal("KILL"), SIGKILL);
	assert_int_equal(name_signal("SIGTERM"), SIGTERM);
	assert_int_equal(name_signal("sigusr1"), SIGUSR1);
	assert_int_equal(name_signal("9"), 9);
	assert_int_equal(name_signal("64"), 64);
	/* The kernel's first real-time signal, not libc's. */
	assert_int_equal(name_signal("RTMIN"), 34);
	assert_int_equal(name_signal("SIGRTMIN+3"), 37);
	assert_int_equal(name_signal("RTMAX-1"), 63);
	assert_int_equal(name_signal("0"), -EINVAL);
	assert_int_equal(name_signal("65"), -EINVAL);
	assert_int_equal(name_signal("-9"), -EINVAL);
	assert_int_equal(name_signal("RTMIN+99"), -EINVAL);
	assert_int_equal(name_signal("NOPE"), -EINVAL);
	assert_int_equal(name_signal(""), -EINVAL);
}

static void limits_and_namespaces(void **state)
{
	(void)state;
	assert_int_equal(name_rlimit("RLIMIT_NOFILE"), RLIMIT_NOFILE);
	assert_int_equal(name_rlimit("RLIMIT_RTTIME"), RLIMIT_RTTIME);
	assert_int_equal(name_rlimit("NOFILE"), -EINVAL);
	for (int t = 0; t < NS_N; t++)
		assert_int_equal(name_ns(name_of_ns((enum ns_type)t)), t);
	assert_int_equal(name_ns("net"), -EINVAL);
	assert_string_equal(ns_proc_name(NS_MOUNT), "mnt");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities_have_the_kernels_numbers),
		cmocka_unit_test(signals_by_name_and_number),
		cmocka_unit_test(limits_and_namespaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
