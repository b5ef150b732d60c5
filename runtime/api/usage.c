#include "runtime/api/usage.h"

#include "lib/base/io.h"
#include "lib/base/num.h"
#include "lib/util/cgfile.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* bytes of /proc/PID/net/dev: about 120 for each interface */
#define NET_DEV_BYTES_MAX (64U << 10)

/* Read a file whole; NULL when there is none. Freed by the caller. */
static char *read_text(int dir, const char *file, size_t max)
{
	char *text = dir < 0 ? NULL : malloc(max);

	if (text && io_read_file_at(dir, file, text, max) < 0) {
		free(text);
		return NULL;
	}
	return text;
}

static uint64_t find(const char *text, const char *key)
{
	uint64_t n = 0;

	if (text)
		(void)cgfile_find(text, key, &n);
	return n;
}

/* Nanoseconds that all processors together were up: user to softirq of the first line, in ticks,
 * as Docker counts. 0 when it cannot be told. */
static uint64_t machine_cpu_ns(int proc)
{
	char *text = read_text(proc, "stat", CGFILE_BYTES_MAX * 4);
	const uint64_t tick_ns = 1000000000U / (uint64_t)sysconf(_SC_CLK_TCK);
	const char *word = text;
	uint64_t ticks = 0;

	if (!text || strncmp(text, "cpu ", 4) != 0) {
		free(text);
		return 0;
	}
	word += 4;
	for (int i = 0; i < 7; i++) {
		uint64_t n = 0;
		size_t len;

		word += strspn(word, " ");
		len = strcspn(word, " \n");
		if (num_parse_u64(word, len, UINT64_MAX, &n) == 0)
			ticks += n;
		word += len;
	}
	free(text);
	return ticks * tick_ns;
}

yyjson_mut_val *usage_cpu(yyjson_mut_doc *doc, int cgroup, int proc)
{
	char *text = read_text(cgroup, "cpu.stat", CGFILE_BYTES_MAX);
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	yyjson_mut_val *usage = yyjson_mut_obj_add_obj(doc, o, "cpu_usage");
	yyjson_mut_val *throttling;

	/* The kernel's are in microseconds. */
	yyjson_mut_obj_add_uint(doc, usage, "total_usage", find(text, "usage_usec") * 1000);
	yyjson_mut_obj_add_uint(
		doc, usage, "usage_in_kernelmode", find(text, "system_usec") * 1000);
	yyjson_mut_obj_add_uint(doc, usage, "usage_in_usermode", find(text, "user_usec") * 1000);
	if (cgroup >= 0) {
		yyjson_mut_obj_add_uint(doc, o, "system_cpu_usage", machine_cpu_ns(proc));
		yyjson_mut_obj_add_int(doc, o, "online_cpus", sysconf(_SC_NPROCESSORS_ONLN));
	}
	throttling = yyjson_mut_obj_add_obj(doc, o, "throttling_data");
	yyjson_mut_obj_add_uint(doc, throttling, "periods", find(text, "nr_periods"));
	yyjson_mut_obj_add_uint(doc, throttling, "throttled_periods", find(text, "nr_throttled"));
	yyjson_mut_obj_add_uint(
		doc, throttling, "throttled_time", find(text, "throttled_usec") * 1000);
	free(text);
	return o;
}

yyjson_mut_val *usage_memory(yyjson_mut_doc *doc, int cgroup, uint64_t machine)
{
	static const char *const keys[] = {"active_anon", "active_file", "anon", "anon_thp", "file",
		"file_dirty", "file_mapped", "file_writeback", "inactive_anon", "inactive_file",
		"kernel_stack", "pgactivate", "pgdeactivate", "pgfault", "pglazyfree",
		"pglazyfreed", "pgmajfault", "pgrefill", "pgscan", "pgsteal", "shmem", "slab",
		"slab_reclaimable", "slab_unreclaimable", "sock", "thp_collapse_alloc",
		"thp_fault_alloc", "unevictable", "workingset_activate", "workingset_nodereclaim",
		"workingset_refault"};
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	yyjson_mut_val *stats;
	char *text, *events;
	uint64_t used, limit;

	if (cgroup < 0 || cgfile_number(cgroup, "memory.current", &used) < 0)
		return o;
	text = read_text(cgroup, "memory.stat", CGFILE_BYTES_MAX);
	events = read_text(cgroup, "memory.events", CGFILE_BYTES_MAX);
	if (cgfile_number(cgroup, "memory.max", &limit) < 0 || limit > machine)
		limit = machine;
	yyjson_mut_obj_add_uint(doc, o, "usage", used);
	stats = yyjson_mut_obj_add_obj(doc, o, "stats");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		yyjson_mut_obj_add_uint(doc, stats, keys[i], find(text, keys[i]));
	if (find(events, "oom"))
		yyjson_mut_obj_add_uint(doc, o, "failcnt", find(events, "oom"));
	yyjson_mut_obj_add_uint(doc, o, "limit", limit);
	free(text);
	free(events);
	return o;
}

yyjson_mut_val *usage_pids(yyjson_mut_doc *doc, int cgroup)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	uint64_t n;

	if (cgroup >= 0 && cgfile_number(cgroup, "pids.current", &n) == 0) {
		yyjson_mut_obj_add_uint(doc, o, "current", n);
		/* No limit is the largest number. */
		if (cgfile_number(cgroup, "pids.max", &n) == 0)
			yyjson_mut_obj_add_uint(doc, o, "limit", n);
	}
	return o;
}

static void add_io(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct cgfile_io *io,
	const char *op, enum cgfile_io_count count)
{
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);

	yyjson_mut_obj_add_uint(doc, o, "major", io->major);
	yyjson_mut_obj_add_uint(doc, o, "minor", io->minor);
	yyjson_mut_obj_add_str(doc, o, "op", op);
	yyjson_mut_obj_add_uint(doc, o, "value", io->counts[count]);
}

yyjson_mut_val *usage_blkio(yyjson_mut_doc *doc, int cgroup)
{
	/* Those that cgroup version 2 does not count. */
	static const char *const others[] = {"io_serviced_recursive", "io_queue_recursive",
		"io_service_time_recursive", "io_wait_time_recursive", "io_merged_recursive",
		"io_time_recursive", "sectors_recursive"};
	char *text = read_text(cgroup, "io.stat", CGFILE_BYTES_MAX);
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	yyjson_mut_val *list = text && text[0] ? yyjson_mut_arr(doc) : yyjson_mut_null(doc);
	const char *rest = text;
	struct cgfile_io io;

	while (rest && cgfile_next_io(&rest, &io)) {
		add_io(doc, list, &io, "read", CGFILE_READ_BYTES);
		add_io(doc, list, &io, "write", CGFILE_WRITE_BYTES);
	}
	yyjson_mut_obj_add_val(doc, o, "io_service_bytes_recursive", list);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		yyjson_mut_obj_add_null(doc, o, others[i]);
	free(text);
	return o;
}

/* "  eth0: 1 2 3 …": sixteen numbers, of which these count. In place. */
static void add_interface(yyjson_mut_doc *doc, yyjson_mut_val *out, char *line)
{
	static const struct {
		int place;
		const char *key;
	} wanted[] = {{0, "rx_bytes"}, {1, "rx_packets"}, {2, "rx_errors"}, {3, "rx_dropped"},
		{8, "tx_bytes"}, {9, "tx_packets"}, {10, "tx_errors"}, {11, "tx_dropped"}};
	char *colon = strchr(line, ':');
	const char *name = line + strspn(line, " ");
	yyjson_mut_val *o;
	char *save = NULL;
	char *word;
	size_t k = 0;

	if (!colon)
		return;
	*colon = '\0';
	if (strcmp(name, "lo") == 0)
		return;
	o = yyjson_mut_obj(doc);
	yyjson_mut_obj_add(out, yyjson_mut_strcpy(doc, name), o);
	word = strtok_r(colon + 1, " ", &save);
	for (int i = 0; word && k < sizeof(wanted) / sizeof(wanted[0]); i++) {
		uint64_t n = 0;

		if (i == wanted[k].place) {
			(void)num_parse_u64(word, strlen(word), UINT64_MAX, &n);
			yyjson_mut_obj_add_uint(doc, o, wanted[k++].key, n);
		}
		word = strtok_r(NULL, " ", &save);
	}
}

yyjson_mut_val *usage_networks(yyjson_mut_doc *doc, int process)
{
	char *text = read_text(process, "net/dev", NET_DEV_BYTES_MAX);
	yyjson_mut_val *out = yyjson_mut_obj(doc);
	char *save = NULL;
	int row = 0;

	/* Two lines of headings. */
	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save))
		if (row++ >= 2)
			add_interface(doc, out, line);
	free(text);
	return yyjson_mut_obj_size(out) ? out : NULL;
}
