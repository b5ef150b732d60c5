#include "runtime/oci/state.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/oci/state_test_root.h"
#include "runtime/oci/sync.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>

static void ids_become_directory_names(void **state)
{
	static const char *const good[] = {"a", "web_1+x.y-z", "0123456789abcdef"};
	static const char *const bad[] = {"", ".", "..", ".seccomp", "a/b", "../x", "a b", "a\n"};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(state_check_id(good[i], &e), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(state_check_id(bad[i], &e), -EINVAL);
}

static void a_state_is_read_as_it_was_written(void **state)
{
	struct state s = {.id = "c",
		.bundle = "/b",
		.rootfs = "/b/r\"oot",
		.created = "now",
		.cgroup = "/containers/c",
		.namespaces = 5,
		.pid = {true, 77},
		.start_time = {true, UINT64_MAX},
		.has_poststop = true};
	struct err e = {0};
	AUTO_CLOSE int dir = state_make_dir(rootfd, "c", &e);
	struct state seen;

	(void)state;
	assert_true(dir >= 0);
	assert_int_equal(state_make_dir(rootfd, "c", &e), -EEXIST);
	assert_string_equal(e.msg, "container c already exists");
	assert_int_equal(state_save(&s, dir, &e), 0);
	assert_int_equal(state_load(&seen, dir, &e), 0);
	assert_string_equal(seen.rootfs, "/b/r\"oot");
	assert_string_equal(seen.cgroup, "/containers/c");
	assert_true(seen.namespaces == 5 && seen.pid.v == 77);
	assert_true(seen.start_time.v == UINT64_MAX);
	assert_true(seen.has_poststop && !seen.has_poststart);
	state_free(&seen);
	assert_int_equal(state_remove(rootfd, "c"), 0);
	assert_int_equal(state_open_dir(rootfd, "c", &e), -ENOENT);
	assert_string_equal(e.msg, "container c does not exist");
}

static void a_damaged_state_is_an_error(void **state)
{
	struct err e = {0};
	AUTO_CLOSE int dir = state_make_dir(rootfd, "d", &e);
	struct state seen;
	int fd;

	(void)state;
	assert_int_equal(state_load(&seen, dir, &e), -ENOENT);
	state_free(&seen);
	fd = openat(dir, "state.json", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(io_write_all(fd, "{\"id\":1}", 8), 0);
	close(fd);
	assert_int_equal(state_load(&seen, dir, &e), -EINVAL);
	state_free(&seen);
	assert_int_equal(state_remove(rootfd, "d"), 0);
}

static void a_process_is_known_by_number_and_start(void **state)
{
	struct state s = {.pid = {true, getpid()}, .start_time.set = true};
	bool zombie = true;
	int fd;

	(void)state;
	assert_int_equal(process_start_time(getpid(), &s.start_time.v, &zombie), 0);
	assert_false(zombie);
	fd = state_open_process(&s);
	assert_true(fd >= 0);
	close(fd);
	s.start_time.v++;
	assert_int_equal(state_open_process(&s), -ESRCH);
	s.pid.v = 0;
	assert_int_equal(state_open_process(&s), -ESRCH);
}

static void a_dead_process_is_none(void **state)
{
	struct state s = {.pid.set = true};
	pid_t pid = fork();
	siginfo_t info;
	bool zombie;

	(void)state;
	if (pid == 0)
		_exit(0);
	s.pid.v = pid;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(process_start_time(pid, &s.start_time.v, &zombie), 0);
	assert_true(zombie);
	assert_int_equal(state_open_process(&s), -ESRCH);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(state_open_process(&s), -ESRCH);
}

static void *wait_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static void a_process_lives_as_long_as_one_thread_of_it(void **state)
{
	struct state s = {.pid.set = true};
	bool zombie = false;
	pid_t pid = fork();
	pthread_t thread;
	int fd;

	(void)state;
	if (pid == 0) {
		if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
			_exit(1);
		/* exit(2) ends the calling thread only. */
		syscall(SYS_exit, 0);
	}
	s.pid.v = pid;
	while (!zombie) {
		assert_int_equal(process_start_time(pid, &s.start_time.v, &zombie), 0);
		sched_yield();
	}
	fd = state_open_process(&s);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(fd >= 0);
	close(fd);
}

static void the_printed_state_is_the_specs(void **state)
{
	const struct state s = {.id = "c", .bundle = "/b", .pid = {true, 9}};
	size_t len;
	char *text = state_print(&s, STATUS_RUNNING, false, &len);

	(void)state;
	assert_string_equal(text, "{\"ociVersion\":\"1.2.0\",\"id\":\"c\",\"pid\":9,"
				  "\"status\":\"running\",\"bundle\":\"/b\"}");
	free(text);
	text = state_print(&s, STATUS_STOPPED, false, &len);
	assert_non_null(strstr(text, "\"pid\":0,\"status\":\"stopped\""));
	free(text);
}

static void the_start_socket_tells_who_waits(void **state)
{
	struct err e = {0};
	AUTO_CLOSE int dir = state_make_dir(rootfd, "s", &e);
	AUTO_CLOSE int listener = -1;
	AUTO_CLOSE int fd = -1;

	(void)state;
	assert_int_equal(state_connect_start(dir), -ENOENT);
	listener = state_listen_start(dir);
	assert_true(listener >= 0);
	fd = state_connect_start(dir);
	assert_true(fd >= 0);
	fd_close(&listener);
	assert_int_equal(state_connect_start(dir), -ECONNREFUSED);
	assert_int_equal(state_remove(rootfd, "s"), 0);
}

static void messages_arrive_whole_or_not_at_all(void **state)
{
	struct err sent = {.code = EBUSY, .msg = "mounts[0]: why"};
	struct err seen = {0};
	struct sync_msg msg;
	int p[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p), 0);
	assert_int_equal(sync_send(p[0], SYNC_ACK, 1), 0);
	assert_int_equal(sync_recv(p[1], &msg, &seen), SYNC_ACK);
	assert_int_equal(msg.value, 1);
	assert_int_equal(sync_send_error(p[0], &sent), 0);
	assert_int_equal(sync_recv(p[1], &msg, &seen), -EBUSY);
	assert_string_equal(seen.msg, "mounts[0]: why");
	assert_int_equal(send(p[0], "x", 1, 0), 1);
	assert_int_equal(sync_recv(p[1], &msg, &seen), -EBADMSG);
	close(p[0]);
	assert_int_equal(sync_recv(p[1], &msg, &seen), 0);
	assert_int_equal(sync_send(p[1], SYNC_ACK, 0), -EPIPE);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_become_directory_names),
		cmocka_unit_test(a_state_is_read_as_it_was_written),
		cmocka_unit_test(a_damaged_state_is_an_error),
		cmocka_unit_test(a_process_is_known_by_number_and_start),
		cmocka_unit_test(a_dead_process_is_none),
		cmocka_unit_test(a_process_lives_as_long_as_one_thread_of_it),
		cmocka_unit_test(the_printed_state_is_the_specs),
		cmocka_unit_test(the_start_socket_tells_who_waits),
		cmocka_unit_test(messages_arrive_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, make_root, drop_root);
}
