/* What a confined process can do. Needs root; without it every test is skipped. */
#include "runtime/image/confine.h"

#include "lib/base/sys.h"
#include "runtime/image/layer.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <cmocka.h>

/* exit statuses of the process that tries something */
enum { WORKED = 0, FAILED = 1, NOT_CONFINED = 2 };

/* Do @what in a confined process. Returns how it ended, as waitpid has it. */
static int confined(int (*what)(void))
{
	char dir[] = "/tmp/confine-test.XXXXXX";
	int status = -1;
	int fd;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	pid = fork();
	if (pid == 0) {
		struct err e;

		if (confine_to_directory(fd, &e) < 0)
			_exit(NOT_CONFINED);
		_exit(what() < 0 ? FAILED : WORKED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)unlinkat(fd, "made", 0);
	close(fd);
	assert_int_equal(rmdir(dir), 0);
	return status;
}

static void expect_worked(int (*what)(void))
{
	int status = confined(what);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), WORKED);
}

static void expect_killed(int (*what)(void))
{
	int status = confined(what);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int make_file(void)
{
	int fd = open("/made", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 || fchown(fd, 1, 2) < 0 ? -1 : 0;
}

static int make_null(void)
{
	return mknodat(AT_FDCWD, "/made", S_IFCHR | 0666, makedev(1, 3));
}

static int make_whiteout(void)
{
	return mknodat(AT_FDCWD, "/made", S_IFCHR, makedev(0, 0));
}

static int make_fifo(void)
{
	return mknodat(AT_FDCWD, "/made", S_IFIFO | 0600, 0);
}

static int make_disk(void)
{
	return mknodat(AT_FDCWD, "/made", S_IFBLK | 0600, makedev(254, 0));
}

static int make_null_block(void)
{
	return mknodat(AT_FDCWD, "/made", S_IFBLK | 0600, makedev(1, 3));
}

static int make_mem(void)
{
	return mknodat(AT_FDCWD, "/made", S_IFCHR | 0600, makedev(1, 1));
}

static int make_mem_oddly(void)
{
	/* The kernel looks at the lower half alone. */
	return (int)syscall(SYS_mknodat, AT_FDCWD, "/made", S_IFCHR | 0600 | (1UL << 40),
		makedev(1, 1) | (1UL << 40));
}

static int read_outside(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == ENOENT ? 0 : -1;
}

static int change_root(void)
{
	return chroot("/");
}

static int open_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int signal_another(void)
{
	return kill(1, 0);
}

static int split(void)
{
	return unshare(CLONE_NEWUSER);
}

static int run_program(void)
{
	char *const argv[] = {NULL};

	return execve("/made", argv, argv);
}

static void test_it_can_make_what_layers_have(void **state)
{
	(void)state;
	expect_worked(make_file);
	expect_worked(make_null);
	expect_worked(make_whiteout);
	expect_worked(make_fifo);
}

static void test_it_cannot_make_a_way_to_a_disk_or_memory(void **state)
{
	(void)state;
	expect_killed(make_disk);
	expect_killed(make_null_block);
	expect_killed(make_mem);
	expect_killed(make_mem_oddly);
}

static void test_it_sees_nothing_outside(void **state)
{
	(void)state;
	expect_worked(read_outside);
}

static void test_it_has_no_way_out(void **state)
{
	(void)state;
	expect_killed(change_root);
	expect_killed(open_socket);
	expect_killed(signal_another);
	expect_killed(split);
	expect_killed(run_program);
}

/* In a process of its own, whose end is watched: it confines a child, which then waits. */
static void test_it_ends_with_who_started_it(void **state)
{
	int ends[2], ready[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct err e;

		if (fork() == 0) {
			if (confine_to_directory(fd, &e) < 0)
				_exit(NOT_CONFINED);
			(void)!write(ready[1], "", 1);
			/* Holds the other end of the pipe, in which nothing comes, until it is
			 * killed. */
			for (;;)
				(void)!read(ends[0], &byte, 1);
		}
		(void)!read(ready[0], &byte, 1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ends[1]);
	(void)alarm(30);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	(void)alarm(0);
	close(ends[0]);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_can_make_what_layers_have),
		cmocka_unit_test(test_it_cannot_make_a_way_to_a_disk_or_memory),
		cmocka_unit_test(test_it_sees_nothing_outside),
		cmocka_unit_test(test_it_has_no_way_out),
		cmocka_unit_test(test_it_ends_with_who_started_it),
	};

	if (geteuid() != 0) {
		(void)fputs("confine_test: needs root, skipped\n", stderr);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
