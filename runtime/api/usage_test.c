#include "runtime/api/usage.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

/* A directory that stands for a cgroup and for /proc, with what a kernel 6.12 writes. */
static char dir[] = "/tmp/usage_test.XXXXXX";
static int fd = -1;

static const struct {
	const char *name, *text;
} files[] = {
	{"cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 7\n"
		     "nr_throttled 2\nthrottled_usec 30\n"},
	{"stat", "cpu  10 1 5 100 2 3 4 999 0 0\ncpu0 1 2 3\n"},
	{"memory.current", "20480\n"},
	{"memory.max", "max\n"},
	{"memory.stat", "anon 4096\nfile 8192\ninactive_file 777\n"},
	{"memory.events", "low 0\nmax 3\noom 5\noom_kill 1\n"},
	{"pids.current", "4\n"},
	{"pids.max", "max\n"},
	{"io.stat", "8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n"},
	{"dev", "Inter-|   Receive\n face |bytes\n"
		"    lo: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n"
		"  eth0: 100 1 2 3 4 5 6 7 200 11 12 13 14 15 16 17\n"},
};

#define N_FILES (sizeof(files) / sizeof(files[0]))

static void put(const char *name, const char *text)
{
	int file = openat(fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_int_equal(io_write_all(file, text, strlen(text)), 0);
	close(file);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mkdirat(fd, "net", 0700) < 0)
		return -1;
	for (size_t i = 0; i < N_FILES; i++)
		put(files[i].name, files[i].text);
	return renameat(fd, "dev", fd, "net/dev");
}

static int drop_dir(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FILES; i++)
		(void)unlinkat(fd, files[i].name, 0);
	(void)unlinkat(fd, "net/dev", 0);
	(void)unlinkat(fd, "net", AT_REMOVEDIR);
	close(fd);
	return unlinkat(AT_FDCWD, dir, AT_REMOVEDIR);
}

static void assert_json(yyjson_mut_doc *doc, yyjson_mut_val *val, const char *want)
{
	char *text;

	yyjson_mut_doc_set_root(doc, val);
	text = yyjson_mut_write(doc, 0, NULL);
	assert_string_equal(text, want);
	free(text);
	yyjson_mut_doc_free(doc);
}

static void cpu_times_are_nanoseconds(void **state)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *cpu = usage_cpu(doc, fd, fd);
	uint64_t tick = 1000000000U / (uint64_t)sysconf(_SC_CLK_TCK);

	(void)state;
	assert_int_equal(
		yyjson_mut_get_uint(yyjson_mut_obj_get(cpu, "system_cpu_usage")), 125 * tick);
	assert_int_equal(yyjson_mut_get_uint(yyjson_mut_obj_get(cpu, "online_cpus")),
		sysconf(_SC_NPROCESSORS_ONLN));
	yyjson_mut_obj_remove_key(cpu, "system_cpu_usage");
	yyjson_mut_obj_remove_key(cpu, "online_cpus");
	assert_json(doc, cpu,
		"{\"cpu_usage\":{\"total_usage\":1500000,\"usage_in_kernelmode\":500000,"
		"\"usage_in_usermode\":1000000},\"throttling_data\":{\"periods\":7,"
		"\"throttled_periods\":2,\"throttled_time\":30000}}");
}

static void without_a_limit_the_machine_is_the_limit(void **state)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *memory = usage_memory(doc, fd, 1 << 20);
	yyjson_mut_val *stats = yyjson_mut_obj_get(memory, "stats");

	(void)state;
	assert_int_equal(yyjson_mut_get_uint(yyjson_mut_obj_get(stats, "inactive_file")), 777);
	assert_int_equal(yyjson_mut_get_uint(yyjson_mut_obj_get(stats, "slab")), 0);
	assert_int_equal(yyjson_mut_obj_size(stats), 31);
	yyjson_mut_obj_remove_key(memory, "stats");
	assert_json(doc, memory, "{\"usage\":20480,\"failcnt\":5,\"limit\":1048576}");
	put("memory.max", "40960\n");
	doc = yyjson_mut_doc_new(NULL);
	memory = usage_memory(doc, fd, 1 << 20);
	yyjson_mut_obj_remove_key(memory, "stats");
	assert_json(doc, memory, "{\"usage\":20480,\"failcnt\":5,\"limit\":40960}");
}

static void pids_and_disks_are_dockers(void **state)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *io;

	(void)state;
	assert_json(doc, usage_pids(doc, fd), "{\"current\":4,\"limit\":18446744073709551615}");
	doc = yyjson_mut_doc_new(NULL);
	io = usage_blkio(doc, fd);
	assert_int_equal(yyjson_mut_obj_size(io), 8);
	assert_json(doc, yyjson_mut_obj_get(io, "io_service_bytes_recursive"),
		"[{\"major\":8,\"minor\":16,\"op\":\"read\",\"value\":10},"
		"{\"major\":8,\"minor\":16,\"op\":\"write\",\"value\":20}]");
}

static void every_interface_but_the_loopback_is_counted(void **state)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

	(void)state;
	assert_json(doc, usage_networks(doc, fd),
		"{\"eth0\":{\"rx_bytes\":100,\"rx_packets\":1,\"rx_errors\":2,\"rx_dropped\":3,"
		"\"tx_bytes\":200,\"tx_packets\":11,\"tx_errors\":12,\"tx_dropped\":13}}");
}

static void what_does_not_run_uses_nothing(void **state)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

	(void)state;
	assert_json(doc, usage_cpu(doc, -1, -1),
		"{\"cpu_usage\":{\"total_usage\":0,\"usage_in_kernelmode\":0,"
		"\"usage_in_usermode\":0},\"throttling_data\":{\"periods\":0,"
		"\"throttled_periods\":0,\"throttled_time\":0}}");
	doc = yyjson_mut_doc_new(NULL);
	assert_json(doc, usage_memory(doc, -1, 1), "{}");
	doc = yyjson_mut_doc_new(NULL);
	assert_json(doc, usage_pids(doc, -1), "{}");
	doc = yyjson_mut_doc_new(NULL);
	assert_null(usage_networks(doc, -1));
	yyjson_mut_doc_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpu_times_are_nanoseconds),
		cmocka_unit_test(without_a_limit_the_machine_is_the_limit),
		cmocka_unit_test(pids_and_disks_are_dockers),
		cmocka_unit_test(every_interface_but_the_loopback_is_counted),
		cmocka_unit_test(what_does_not_run_uses_nothing),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
