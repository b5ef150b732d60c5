#include "init/crash.h"
#include "init/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct options options = {.subreaper = true};

/* Run @action with init's handlers; its stderr goes to @ret_said. Returns the wait status. */
static int run(void (*action)(void), char *ret_said, size_t size)
{
	int fds[2], status = -1;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)dup2(fds[1], 2);
		crash_handle();
		action();
		_exit(0);
	}
	close(fds[1]);
	n = read(fds[0], ret_said, size - 1);
	ret_said[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void send_all(void)
{
	static const int fatal[] = {SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};

	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		(void)kill(getpid(), fatal[i]);
	(void)raise(SIGABRT);
}

static void fault(void)
{
	__builtin_trap();
}

static void test_a_fatal_signal_that_somebody_sent_is_ignored(void **state)
{
	char said[256];
	int status = run(send_all, said, sizeof(said));

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_string_equal(said, "");
}

static void test_a_fault_is_told_and_ends_it(void **state)
{
	char said[256];
	int status = run(fault, said, sizeof(said));

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status) & 128, 128);
	assert_memory_equal(said, "init: fatal signal ", 19);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_fatal_signal_that_somebody_sent_is_ignored),
		cmocka_unit_test(test_a_fault_is_told_and_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
