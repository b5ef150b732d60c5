#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void read_all_joins_short_reads(void **state)
{
	char buf[8] = {0};
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(io_write_all(p[1], "abc", 3), 0);
	assert_int_equal(io_write_all(p[1], "de", 2), 0);
	fd_close(&p[1]);
	assert_int_equal(io_read_all(p[0], buf, sizeof(buf)), 5);
	assert_string_equal(buf, "abcde");
	fd_close(&p[0]);
}

static void small_file_is_read_whole_or_refused(void **state)
{
	char name[] = "/tmp/io_test.XXXXXX";
	int fd = mkstemp(name);
	char buf[6];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, "12345", 5), 0);
	assert_int_equal(io_read_file_at(AT_FDCWD, name, buf, 6), 5);
	assert_string_equal(buf, "12345");
	assert_int_equal(io_read_file_at(AT_FDCWD, name, buf, 5), -EFBIG);
	fd_close(&fd);
	unlink(name);
	assert_int_equal(io_read_file_at(AT_FDCWD, name, buf, 6), -ENOENT);
	assert_int_equal(io_write_file_at(AT_FDCWD, name, "x"), -ENOENT);
}

static void reads_and_writes_at_a_place_are_whole(void **state)
{
	char name[] = "/tmp/io_test.XXXXXX";
	int fd = mkstemp(name);
	char buf[4] = {0};

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(io_pwrite_all(fd, "abc", 3, 10), 0);
	assert_int_equal(io_pread_all(fd, buf, 3, 10), 0);
	assert_string_equal(buf, "abc");
	assert_int_equal(io_pread_all(fd, buf, 4, 10), -EIO);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	fd_close(&fd);
	unlink(name);
	assert_int_equal(io_pread_all(fd, buf, 1, 0), -EBADF);
	assert_int_equal(io_pwrite_all(fd, buf, 1, 0), -EBADF);
}

static void closing_keeps_errno_and_forgets(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int old = fd;
	int taken;

	(void)state;
	taken = TAKE_FD(fd);
	assert_int_equal(fd, -1);
	assert_int_equal(taken, old);
	errno = ENOSPC;
	fd_close(&taken);
	assert_int_equal(taken, -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(fcntl(old, F_GETFD), -1);
	fd_close(&taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_all_joins_short_reads),
		cmocka_unit_test(small_file_is_read_whole_or_refused),
		cmocka_unit_test(reads_and_writes_at_a_place_are_whole),
		cmocka_unit_test(closing_keeps_errno_and_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
