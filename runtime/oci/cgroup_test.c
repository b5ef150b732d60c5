#include "runtime/oci/cgroup.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

/* A directory that stands for a cgroup: its files take whatever is written. */
static char dir[] = "/tmp/cgroup_test.XXXXXX";
static int dirfd_ = -1;

static const char *const files[] = {"memory.max", "memory.low", "memory.swap.max", "cpu.weight",
	"cpu.max", "cpu.max.burst", "cpu.idle", "cpuset.cpus", "cpuset.mems", "pids.max", "io.max",
	"io.weight", "hugetlb.2MB.max", "rdma.max", "memory.high", "memory.current"};

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd_ < 0 ? -1 : 0;
}

static int make_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		close(openat(dirfd_, files[i], O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600));
	return 0;
}

static int drop_dir(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlinkat(dirfd_, files[i], 0);
	fd_close(&dirfd_);
	return rmdir(dir);
}

/* What was written to a file; files that are not named in a test must stay empty. */
static const char *content(const char *file)
{
	static char buf[256];

	assert_true(io_read_file_at(dirfd_, file, buf, sizeof(buf)) >= 0);
	return buf;
}

static void weights_are_converted_along_the_line(void **state)
{
	(void)state;
	assert_int_equal(cgroup_cpu_weight(0), 0);
	assert_int_equal(cgroup_cpu_weight(1), 1);
	assert_int_equal(cgroup_cpu_weight(2), 1);
	assert_int_equal(cgroup_cpu_weight(1024), 39);
	assert_int_equal(cgroup_cpu_weight(262144), 10000);
	assert_int_equal(cgroup_cpu_weight(UINT64_MAX), 10000);
	assert_int_equal(cgroup_io_weight(0), 0);
	assert_int_equal(cgroup_io_weight(10), 1);
	assert_int_equal(cgroup_io_weight(500), 4950);
	assert_int_equal(cgroup_io_weight(1000), 10000);
}

static void every_limit_goes_to_its_file(void **state)
{
	struct config_io_rate rate = {.major = {true, 8}, .minor = {true, 16}, .rate = {true, 300}};
	struct config_hugepage page = {.page_size = "2MB", .limit = {true, 4096}};
	struct config_rdma rdma = {.device = "mlx5_1", .handles = {true, 3}, .objects = {true, 9}};
	struct config_pair pair = {.key = "memory.high", .value = "1G"};
	const struct config_resources res = {
		.memory_limit = {true, 1000},
		.memory_reservation = {true, 500},
		.memory_swap = {true, 1500},
		.cpu_shares = {true, 1024},
		.cpu_quota = {true, 50000},
		.cpu_period = {true, 200000},
		.cpu_burst = {true, 7},
		.cpu_cpus = "0-1",
		.cpu_mems = "0",
		.pids_limit = {true, 20},
		.io_weight = {true, 500},
		.io_rates[IO_WRITE_IOPS] = {.v = &rate, .n = 1},
		.hugepages = &page,
		.n_hugepages = 1,
		.rdma = &rdma,
		.n_rdma = 1,
		.unified = {.v = &pair, .n = 1},
	};
	struct err e = {0};

	(void)state;
	if (cgroup_set_limits(dirfd_, &res, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(content("memory.max"), "1000");
	assert_string_equal(content("memory.low"), "500");
	assert_string_equal(content("memory.swap.max"), "500"); /* the spec's swap is the sum */
	assert_string_equal(content("cpu.weight"), "39");
	assert_string_equal(content("cpu.max"), "50000 200000");
	assert_string_equal(content("cpu.max.burst"), "7");
	assert_string_equal(content("cpuset.cpus"), "0-1");
	assert_string_equal(content("cpuset.mems"), "0");
	assert_string_equal(content("pids.max"), "20");
	assert_string_equal(content("io.weight"), "default 4950");
	assert_string_equal(content("io.max"), "8:16 wiops=300");
	assert_string_equal(content("hugetlb.2MB.max"), "4096");
	assert_string_equal(content("rdma.max"), "mlx5_1 hca_handle=3 hca_object=9");
	assert_string_equal(content("memory.high"), "1G");
	assert_string_equal(content("cpu.idle"), "");
}

static void minus_one_is_no_limit_and_zero_is_not_set(void **state)
{
	const struct config_resources res = {
		.memory_limit = {true, -1},
		.memory_swap = {true, -1},
		.memory_reservation = {true, 0},
		.cpu_quota = {true, -1},
		.pids_limit = {true, -1},
		.cpu_shares = {true, 0},
	};
	struct err e = {0};

	(void)state;
	assert_int_equal(cgroup_set_limits(dirfd_, &res, NULL, &e), 0);
	assert_string_equal(content("memory.max"), "max");
	assert_string_equal(content("memory.swap.max"), "max");
	assert_string_equal(content("memory.low"), "");
	assert_string_equal(content("cpu.max"), "max 100000");
	assert_string_equal(content("pids.max"), "max");
	assert_string_equal(content("cpu.weight"), "");
}

static void an_idle_cgroup_gets_no_weight(void **state)
{
	const struct config_resources res = {.cpu_shares = {true, 1024}, .cpu_idle = {true, 1}};
	struct err e = {0};

	(void)state;
	assert_int_equal(cgroup_set_limits(dirfd_, &res, NULL, &e), 0);
	assert_string_equal(content("cpu.idle"), "1");
	assert_string_equal(content("cpu.weight"), "");
}

static void a_missing_controller_is_named_with_its_field(void **state)
{
	const struct config_resources res = {.pids_limit = {true, 5}};
	struct err e = {0};

	(void)state;
	assert_int_equal(unlinkat(dirfd_, "pids.max", 0), 0);
	assert_int_equal(cgroup_set_limits(dirfd_, &res, NULL, &e), -ENOENT);
	assert_string_equal(e.msg, "linux.resources.pids.limit: the cgroup has no pids.max: its "
				   "controller is not available");
}

static void swap_is_left_alone_where_there_is_none(void **state)
{
	const struct config_resources res = {
		.memory_limit = {true, 1000}, .memory_swap = {true, 2000}};
	struct err e = {0};

	(void)state;
	assert_int_equal(unlinkat(dirfd_, "memory.swap.max", 0), 0);
	assert_int_equal(cgroup_set_limits(dirfd_, &res, NULL, &e), 0);
	assert_int_equal(unlinkat(dirfd_, "memory.max", 0), 0);
	assert_int_equal(cgroup_set_limits(dirfd_, &res, NULL, &e), -ENOENT);
}

static void what_was_there_is_noted_before_it_is_written(void **state)
{
	struct config_io_rate rates[] = {
		{.major = {true, 8}, .minor = {true, 1}, .rate = {true, 300}},
		{.major = {true, 8}, .minor = {true, 16}, .rate = {true, 300}}};
	const struct config_resources res = {.memory_limit = {true, 10000000},
		.cpu_shares = {true, 1024},
		.cpu_idle = {true, 0},
		.pids_limit = {true, 20},
		.io_rates[IO_WRITE_IOPS] = {rates, 2}};
	static const char *const expected[][2] = {{"memory.max", "67108864\n"},
		{"cpu.weight", "79\n"}, {"cpu.idle", "1\n"}, {"cpu.weight", "79\n"},
		{"pids.max", "max\n"}, {"io.max", "8:1 rbps=max wbps=max riops=max wiops=max"},
		{"io.max", "8:16 rbps=1 wbps=max riops=max wiops=7"}};
	struct cgroup_undo undo = {0};
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(io_write_file_at(dirfd_, expected[i][0], expected[i][1]), 0);
	assert_int_equal(io_write_file_at(dirfd_, "io.max",
				 "8:160 rbps=2 wbps=max riops=max wiops=max\n"
				 "8:16 rbps=1 wbps=max riops=max wiops=7\n"),
		0);
	/* The second write to io.max is to find the file as it was; a real one takes a line in. */
	assert_int_equal(cgroup_undo_note(&undo, dirfd_, "io.max", "8:16 wiops=1"), 0);
	assert_string_equal(undo.v[0].text, expected[6][1]);
	cgroup_undo_free(&undo);
	assert_int_equal(cgroup_set_limits(dirfd_, &res, &undo, &e), 0);
	assert_int_equal(undo.n, 7);
	for (size_t i = 0; i < 6; i++) {
		assert_string_equal(undo.v[i].file, expected[i][0]);
		assert_string_equal(undo.v[i].text, expected[i][1]);
	}
	cgroup_undo_all(&undo, dirfd_);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(content(expected[i][0]), expected[i][1]);
	cgroup_undo_free(&undo);
}

static void a_file_that_is_not_there_needs_no_undo(void **state)
{
	struct cgroup_undo undo = {0};

	(void)state;
	assert_int_equal(cgroup_undo_note(&undo, dirfd_, "no.such.file", "1"), 0);
	assert_int_equal(undo.n, 0);
	assert_int_equal(cgroup_undo_note(NULL, dirfd_, "memory.max", "1"), 0);
}

static void paths_stay_below_the_root(void **state)
{
	static const char *const bad[] = {"/../x", "/a/../b", "/..", "a/..", "/", "//"};
	char buf[CGROUP_PATH_MAX];
	char longer[CGROUP_PATH_MAX + 8];
	struct err e = {0};

	(void)state;
	assert_int_equal(cgroup_path("", NULL, "web", buf, &e), 0);
	assert_string_equal(buf, "/containers/web");
	assert_int_equal(cgroup_path("", "", "web", buf, &e), 0);
	assert_string_equal(buf, "/containers/web");
	assert_int_equal(cgroup_path("", "/docker/x..y", "web", buf, &e), 0);
	assert_string_equal(buf, "/docker/x..y");
	assert_int_equal(cgroup_path("", "pod/x", "web", buf, &e), 0);
	assert_string_equal(buf, "/containers/pod/x");
	assert_int_equal(cgroup_path("/user.slice/u", "pod/x", "web", buf, &e), 0);
	assert_string_equal(buf, "/user.slice/u/containers/pod/x");
	assert_int_equal(cgroup_path("/user.slice/u", "/pod/x", "web", buf, &e), 0);
	assert_string_equal(buf, "/pod/x");
	assert_int_equal(cgroup_path("", "///pod//x", "web", buf, &e), 0);
	assert_string_equal(buf, "/pod//x");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cgroup_path("", bad[i], "web", buf, &e), -EINVAL);
	assert_int_equal(cgroup_path("", "system.slice:docker:web", "web", buf, &e), -ENOTSUP);
	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(cgroup_path("", longer, "web", buf, &e), -ENAMETOOLONG);
}

static void what_needs_a_cgroup_is_known(void **state)
{
	struct config_pair pair = {.key = "cpu.max", .value = "max"};
	struct config_device_rule rule = {0};
	struct config_resources res = {0};

	(void)state;
	assert_null(cgroup_needed_by(&res));
	res.n_devices = 1;
	res.devices = &rule;
	assert_string_equal(cgroup_needed_by(&res), "devices");
	res.unified = (struct config_pairs){.v = &pair, .n = 1};
	assert_string_equal(cgroup_needed_by(&res), "cpu");
	res.memory_limit = (struct json_opt_i64){true, 5};
	assert_string_equal(cgroup_needed_by(&res), "memory");
}

static void processes_out_of_sight_are_not_listed(void **state)
{
	static const char text[] = "0\n17\n0\n";
	AUTO_CLOSE int procs =
		openat(dirfd_, "cgroup.procs", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	pid_t *pids = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(io_write_all(procs, text, strlen(text)), 0);
	assert_int_equal(cgroup_pids(dirfd_, &pids, &n), 0);
	unlinkat(dirfd_, "cgroup.procs", 0);
	assert_int_equal(n, 1);
	assert_int_equal(pids[0], 17);
	free(pids);
}

static void what_does_not_freeze_is_thawed(void **state)
{
	(void)state;
	close(openat(dirfd_, "cgroup.freeze", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	/* There is no cgroup.events to tell that it is frozen. */
	assert_int_equal(cgroup_freeze(dirfd_, true), -ENOENT);
	assert_string_equal(content("cgroup.freeze"), "0");
	unlinkat(dirfd_, "cgroup.freeze", 0);
}

static void a_limit_at_or_below_the_usage_is_refused_when_asked(void **state)
{
	struct config_resources res = {.memory_limit = {true, 4096}};
	struct err e = {0};

	(void)state;
	assert_int_equal(io_write_file_at(dirfd_, "memory.current", "4096\n"), 0);
	assert_int_equal(cgroup_check_usage(dirfd_, &res, &e), 0);
	res.memory_check_before_update = true;
	assert_int_equal(cgroup_check_usage(dirfd_, &res, &e), -EBUSY);
	assert_string_equal(
		e.msg, "linux.resources.memory.limit: 4096 is not above the 4096 bytes in use");
	res.memory_limit.v = 4097;
	assert_int_equal(cgroup_check_usage(dirfd_, &res, &e), 0);
	res.memory_swap = (struct json_opt_i64){true, 4096};
	assert_int_equal(cgroup_check_usage(dirfd_, &res, &e), -EBUSY);
	res.memory_limit.v = res.memory_swap.v = -1;
	assert_int_equal(cgroup_check_usage(dirfd_, &res, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_are_converted_along_the_line),
		cmocka_unit_test_setup(every_limit_goes_to_its_file, make_files),
		cmocka_unit_test_setup(minus_one_is_no_limit_and_zero_is_not_set, make_files),
		cmocka_unit_test_setup(an_idle_cgroup_gets_no_weight, make_files),
		cmocka_unit_test_setup(a_missing_controller_is_named_with_its_field, make_files),
		cmocka_unit_test_setup(
			a_limit_at_or_below_the_usage_is_refused_when_asked, make_files),
		cmocka_unit_test_setup(swap_is_left_alone_where_there_is_none, make_files),
		cmocka_unit_test_setup(what_was_there_is_noted_before_it_is_written, make_files),
		cmocka_unit_test_setup(a_file_that_is_not_there_needs_no_undo, make_files),
		cmocka_unit_test(paths_stay_below_the_root),
		cmocka_unit_test(processes_out_of_sight_are_not_listed),
		cmocka_unit_test(what_does_not_freeze_is_thawed),
		cmocka_unit_test(what_needs_a_cgroup_is_known),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
