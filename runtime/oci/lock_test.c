#include "runtime/oci/state.h"

#include "lib/base/fd.h"
#include "runtime/oci/state_test_root.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

static void who_makes_it_has_the_lock(void **state)
{
	struct err e = {0};
	AUTO_CLOSE int dir = state_make_dir(rootfd, "c", &e);
	AUTO_CLOSE int other = state_open_dir(rootfd, "c", &e);

	(void)state;
	assert_true(dir >= 0 && other >= 0);
	assert_int_equal(state_lock(rootfd, other, "c", 20, &e), -EBUSY);
	assert_string_equal(e.msg, "container c is being made or removed by another process");
	fd_close(&dir);
	assert_int_equal(state_lock(rootfd, other, "c", 20, &e), 0);
	assert_int_equal(state_remove(rootfd, "c"), 0);
}

static void who_waits_gets_it_when_the_other_dies(void **state)
{
	struct err e = {0};
	AUTO_CLOSE int dir = state_make_dir(rootfd, "c", &e);
	AUTO_CLOSE int other = state_open_dir(rootfd, "c", &e);
	pid_t holder = fork();

	(void)state;
	assert_true(holder >= 0);
	if (holder == 0) {
		pause();
		_exit(0);
	}
	fd_close(&dir); /* the holder's copy keeps the lock */
	assert_int_equal(state_lock(rootfd, other, "c", 20, &e), -EBUSY);
	assert_int_equal(kill(holder, SIGKILL), 0);
	assert_int_equal(state_lock(rootfd, other, "c", 60000, &e), 0);
	assert_int_equal(waitpid(holder, NULL, 0), holder);
	assert_int_equal(state_remove(rootfd, "c"), 0);
}

static void a_later_container_of_the_same_name_is_another(void **state)
{
	struct err e = {0};
	AUTO_CLOSE int dir = state_make_dir(rootfd, "c", &e);
	AUTO_CLOSE int late = state_open_dir(rootfd, "c", &e);
	AUTO_CLOSE int again = -1;

	(void)state;
	assert_int_equal(state_remove(rootfd, "c"), 0);
	fd_close(&dir);
	assert_int_equal(state_lock(rootfd, late, "c", 20, &e), -ENOENT);
	again = state_make_dir(rootfd, "c", &e);
	assert_true(again >= 0);
	assert_int_equal(state_lock(rootfd, late, "c", 20, &e), -ENOENT);
	assert_string_equal(e.msg, "container c does not exist");
	assert_int_equal(state_remove(rootfd, "c"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_makes_it_has_the_lock),
		cmocka_unit_test(who_waits_gets_it_when_the_other_dies),
		cmocka_unit_test(a_later_container_of_the_same_name_is_another),
	};

	return cmocka_run_group_tests(tests, make_root, drop_root);
}
