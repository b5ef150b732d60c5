#include "runtime/oci/stats.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A directory that stands for a cgroup, with what a kernel 6.12 writes. */
static char dir[] = "/tmp/stats_test.XXXXXX";
static int dirfd_ = -1;

static const struct {
	const char *name;
	const char *text;
} files[] = {
	{"cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnice_usec 0\n"
		     "nr_periods 7\nnr_throttled 2\nthrottled_usec 30\n"},
	{"cpu.pressure", "some avg10=1.50 avg60=0.00 avg300=0.10 total=99\n"
			 "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"},
	{"cpuset.cpus.effective", "0-2,5\n"},
	{"cpuset.mems.effective", "0\n"},
	{"memory.stat", "anon 4096\nfile 8192\nslab 1\n"},
	{"memory.current", "20480\n"},
	{"memory.max", "40960\n"},
	{"memory.peak", "30720\n"},
	{"memory.swap.current", "1024\n"},
	{"memory.swap.max", "2048\n"},
	{"memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\n"},
	{"memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"},
	{"pids.current", "4\n"},
	{"pids.max", "max\n"},
	{"cgroup.procs", "1\n2\n"},
	{"io.stat", "8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n(unknown) \n7:0 \n"},
	{"hugetlb.2MB.current", "2097152\n"},
	{"hugetlb.2MB.rsvd.current", "0\n"},
	{"hugetlb.2MB.events", "max 6\n"},
};

#define N_FILES (sizeof(files) / sizeof(files[0]))

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < N_FILES; i++) {
		int fd = openat(dirfd_, files[i].name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

		if (io_write_all(fd, files[i].text, strlen(files[i].text)) < 0)
			return -1;
		close(fd);
	}
	return 0;
}

static int drop_dir(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FILES; i++)
		unlinkat(dirfd_, files[i].name, 0);
	fd_close(&dirfd_);
	return rmdir(dir);
}

/* What is collected, as text; @ret_text is freed by the caller. */
static char *collect(void)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *data = yyjson_mut_obj(doc);
	struct err e = {0};
	char *text;

	yyjson_mut_doc_set_root(doc, data);
	assert_int_equal(stats_collect(dirfd_, doc, data, &e), 0);
	text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, NULL);
	yyjson_mut_doc_free(doc);
	return text;
}

static void expect_part(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no %s in %s", part, text);
}

static void every_file_is_in_runcs_words(void **state)
{
	char *text = collect();

	(void)state;
	expect_part(text,
		"\"cpu\":{\"usage\":{\"total\":1500000,\"kernel\":500000,\"user\":1000000},"
		"\"throttling\":{\"periods\":7,\"throttledPeriods\":2,"
		"\"throttledTime\":30000},\"psi\":{\"some\":{\"avg10\":1.50,"
		"\"avg60\":0.00,\"avg300\":0.10,\"total\":99},\"full\":{");
	expect_part(text, "\"cpuset\":{\"cpus\":[0,1,2,5],\"mems\":[0]}");
	expect_part(text, "\"memory\":{\"cache\":8192,\"raw\":{\"anon\":4096,\"file\":8192,"
			  "\"slab\":1},\"usage\":{\"limit\":40960,\"usage\":20480,\"max\":30720,"
			  "\"failcnt\":3},\"swap\":{\"usage\":21504,\"limit\":43008},"
			  "\"event_count\":{\"low\":0,\"high\":0,\"max\":3,\"oom\":1,"
			  "\"oom_kill\":1,\"oom_group_kill\":0},\"psi\":{\"some\":{");
	expect_part(text, "\"pids\":{\"current\":4}");
	expect_part(text, "\"blkio\":{\"ioServiceBytesRecursive\":["
			  "{\"major\":8,\"minor\":16,\"op\":\"Read\",\"value\":10},"
			  "{\"major\":8,\"minor\":16,\"op\":\"Write\",\"value\":20},");
	expect_part(text, "\"ioServicedRecursive\":["
			  "{\"major\":8,\"minor\":16,\"op\":\"Read\",\"value\":1},");
	expect_part(text, "\"hugetlb\":{\"2MB\":{\"usage\":2097152,\"failcnt\":6}}}");
	free(text);
}

static void no_limit_is_the_largest_number(void **state)
{
	char *text;

	(void)state;
	assert_int_equal(io_write_file_at(dirfd_, "memory.max", "max\n\n\n"), 0);
	text = collect();
	expect_part(text, "\"usage\":{\"limit\":18446744073709551615,\"usage\":20480,");
	expect_part(text, "\"swap\":{\"usage\":21504,\"limit\":18446744073709551615}");
	free(text);
}

static void without_a_controller_its_numbers_are_left_out(void **state)
{
	char *text;

	(void)state;
	for (size_t i = 0; i < N_FILES; i++) {
		if (strcmp(files[i].name, "cgroup.procs") != 0)
			unlinkat(dirfd_, files[i].name, 0);
	}
	text = collect();
	assert_string_equal(text, "{\"cpu\":{\"usage\":{},\"throttling\":{}},\"cpuset\":{},"
				  "\"memory\":{},\"pids\":{\"current\":2},\"blkio\":{},"
				  "\"hugetlb\":{}}");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_file_is_in_runcs_words),
		cmocka_unit_test(no_limit_is_the_largest_number),
		cmocka_unit_test(without_a_controller_its_numbers_are_left_out),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
