#include "lib/base/sock.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[] = "/tmp/sock_test.XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void test_a_listener_is_reached_by_its_path(void **state)
{
	AUTO_CLOSE int listener = -1;
	AUTO_CLOSE int client = -1;
	AUTO_CLOSE int server = -1;
	char path[64];
	char got[8] = "";

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(sock_connect_unix(path, SOCK_SEQPACKET), -ENOENT);
	listener = sock_listen_unix(path, SOCK_SEQPACKET, 1);
	assert_true(listener >= 0);
	assert_int_equal(sock_connect_unix(path, SOCK_STREAM), -EPROTOTYPE);
	client = sock_connect_unix(path, SOCK_SEQPACKET);
	assert_true(client >= 0);
	assert_int_equal(fcntl(client, F_GETFD), FD_CLOEXEC);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	assert_int_equal(write(client, "abc", 3), 3);
	assert_int_equal(read(server, got, sizeof(got)), 3);
	assert_int_equal(unlink(path), 0);
}

static void test_what_a_dead_listener_left_is_no_obstacle(void **state)
{
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	for (int i = 0; i < 2; i++) {
		int fd = sock_listen_unix(path, SOCK_STREAM, 1);

		assert_true(fd >= 0);
		close(fd);
		assert_int_equal(sock_connect_unix(path, SOCK_STREAM), -ECONNREFUSED);
	}
	assert_int_equal(unlink(path), 0);
}

/* Cut, it would be the socket of somebody else. */
static void test_a_path_that_does_not_fit_is_not_cut(void **state)
{
	char path[109];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(sock_connect_unix(path, SOCK_STREAM), -ENAMETOOLONG);
	assert_int_equal(sock_listen_unix(path, SOCK_STREAM, 1), -ENAMETOOLONG);
	path[107] = '\0';
	assert_int_equal(sock_connect_unix(path, SOCK_STREAM), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_listener_is_reached_by_its_path),
		cmocka_unit_test(test_what_a_dead_listener_left_is_no_obstacle),
		cmocka_unit_test(test_a_path_that_does_not_fit_is_not_cut),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
