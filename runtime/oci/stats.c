#include "runtime/oci/stats.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/num.h"
#include "lib/util/cgfile.h"
#include "runtime/oci/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* One collection: @buf holds one file after the other. */
struct collect {
	int cgroupfd;
	yyjson_mut_doc *doc;
	char buf[CGFILE_BYTES_MAX];
};

static bool read_file(struct collect *c, const char *file)
{
	return io_read_file_at(c->cgroupfd, file, c->buf, sizeof(c->buf)) >= 0;
}

static void add_number(struct collect *c, yyjson_mut_val *obj, const char *key, const char *file)
{
	uint64_t n;

	if (cgfile_number(c->cgroupfd, file, &n) == 0)
		yyjson_mut_obj_add_uint(c->doc, obj, key, n);
}

/* All lines of the file that is in the buffer as members. */
static void add_lines(struct collect *c, yyjson_mut_val *obj)
{
	const char *text = c->buf;
	const char *key;
	size_t len;
	uint64_t n;

	while (cgfile_next(&text, &key, &len, &n))
		yyjson_mut_obj_add(
			obj, yyjson_mut_strncpy(c->doc, key, len), yyjson_mut_uint(c->doc, n));
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and the same for "full". */
static void add_pressure(struct collect *c, yyjson_mut_val *obj, const char *file)
{
	yyjson_mut_val *psi;
	char *save = NULL;

	if (!read_file(c, file))
		return;
	psi = yyjson_mut_obj_add_obj(c->doc, obj, "psi");
	for (char *line = strtok_r(c->buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *words = NULL;
		const char *name = strtok_r(line, " ", &words);
		yyjson_mut_val *data = yyjson_mut_obj(c->doc);

		for (char *word; (word = strtok_r(NULL, " ", &words));) {
			size_t len = strcspn(word, "=");
			char *value = word + len + (word[len] == '=');
			yyjson_mut_val *key = yyjson_mut_strncpy(c->doc, word, len);

			/* Numbers as the kernel wrote them: "0.00" stays 0.00. */
			yyjson_mut_obj_add(data, key, yyjson_mut_rawcpy(c->doc, value));
		}
		if (name)
			yyjson_mut_obj_add(psi, yyjson_mut_strcpy(c->doc, name), data);
	}
}

static void add_cpu(struct collect *c, yyjson_mut_val *data)
{
	static const struct {
		const char *line;
		const char *object;
		const char *key;
		uint64_t scale; /* runc's times are in nanoseconds */
	} lines[] = {
		{"usage_usec", "usage", "total", 1000},
		{"system_usec", "usage", "kernel", 1000},
		{"user_usec", "usage", "user", 1000},
		{"nr_periods", "throttling", "periods", 1},
		{"nr_throttled", "throttling", "throttledPeriods", 1},
		{"throttled_usec", "throttling", "throttledTime", 1000},
	};
	yyjson_mut_val *cpu = yyjson_mut_obj_add_obj(c->doc, data, "cpu");

	yyjson_mut_obj_add_obj(c->doc, cpu, "usage");
	yyjson_mut_obj_add_obj(c->doc, cpu, "throttling");
	if (!read_file(c, "cpu.stat"))
		c->buf[0] = '\0';
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		uint64_t n;

		if (cgfile_find(c->buf, lines[i].line, &n) == 0)
			yyjson_mut_obj_add_uint(c->doc, yyjson_mut_obj_get(cpu, lines[i].object),
				lines[i].key, n * lines[i].scale);
	}
	add_pressure(c, cpu, "cpu.pressure");
}

/* "0-2,5" as the numbers it stands for. */
static void add_set(struct collect *c, yyjson_mut_val *obj, const char *key, const char *file)
{
	yyjson_mut_val *list;
	char *save = NULL;
	uint64_t next = 0;

	if (!read_file(c, file))
		return;
	list = yyjson_mut_obj_add_arr(c->doc, obj, key);
	for (char *range = strtok_r(c->buf, ",\n", &save); range;
		range = strtok_r(NULL, ",\n", &save)) {
		size_t len = strcspn(range, "-");
		uint64_t from;
		uint64_t to;

		if (num_parse_u64(range, len, UINT16_MAX, &from) < 0)
			continue;
		if (!range[len] || num_parse_u64(range + len + 1, strlen(range + len + 1),
					   UINT16_MAX, &to) < 0)
			to = from;
		/* The kernel lists them in order: no set is larger than its last number. */
		for (next = from < next ? next : from; next <= to; next++)
			yyjson_mut_arr_add_uint(c->doc, list, next);
	}
}

static void add_memory(struct collect *c, yyjson_mut_val *data)
{
	yyjson_mut_val *memory = yyjson_mut_obj_add_obj(c->doc, data, "memory");
	yyjson_mut_val *usage;
	yyjson_mut_val *swap;
	uint64_t used = 0;
	uint64_t limit = 0;
	uint64_t n;

	if (read_file(c, "memory.stat")) {
		if (cgfile_find(c->buf, "file", &n) == 0)
			yyjson_mut_obj_add_uint(c->doc, memory, "cache", n);
		add_lines(c, yyjson_mut_obj_add_obj(c->doc, memory, "raw"));
	}
	if (cgfile_number(c->cgroupfd, "memory.current", &used) == 0 &&
		cgfile_number(c->cgroupfd, "memory.max", &limit) == 0) {
		usage = yyjson_mut_obj_add_obj(c->doc, memory, "usage");
		yyjson_mut_obj_add_uint(c->doc, usage, "limit", limit);
		yyjson_mut_obj_add_uint(c->doc, usage, "usage", used);
		add_number(c, usage, "max", "memory.peak"); /* since Linux 5.19 */
		n = 0;
		if (read_file(c, "memory.events"))
			(void)cgfile_find(c->buf, "max", &n);
		yyjson_mut_obj_add_uint(c->doc, usage, "failcnt", n);
	}
	/* Memory and swap together, as version 1 counted and engines expect. */
	if (cgfile_number(c->cgroupfd, "memory.swap.current", &n) == 0) {
		swap = yyjson_mut_obj_add_obj(c->doc, memory, "swap");
		yyjson_mut_obj_add_uint(c->doc, swap, "usage", used + n);
		if (cgfile_number(c->cgroupfd, "memory.swap.max", &n) == 0)
			yyjson_mut_obj_add_uint(c->doc, swap, "limit",
				n > UINT64_MAX - limit ? UINT64_MAX : n + limit);
	}
	if (read_file(c, "memory.events"))
		add_lines(c, yyjson_mut_obj_add_obj(c->doc, memory, "event_count"));
	add_pressure(c, memory, "memory.pressure");
}

static void add_pids(struct collect *c, yyjson_mut_val *data)
{
	yyjson_mut_val *pids = yyjson_mut_obj_add_obj(c->doc, data, "pids");
	pid_t *list = NULL;
	uint64_t n;
	size_t count;

	if (cgfile_number(c->cgroupfd, "pids.current", &n) == 0) {
		yyjson_mut_obj_add_uint(c->doc, pids, "current", n);
		/* 0 is runc's word for no limit. */
		if (cgfile_number(c->cgroupfd, "pids.max", &n) == 0 && n != UINT64_MAX)
			yyjson_mut_obj_add_uint(c->doc, pids, "limit", n);
	} else if (cgroup_pids(c->cgroupfd, &list, &count) == 0) {
		yyjson_mut_obj_add_uint(c->doc, pids, "current", count);
	}
	free(list);
}

static void add_device(struct collect *c, yyjson_mut_val *blkio, const struct cgfile_io *io)
{
	static const struct {
		const char *list;
		const char *op;
	} places[CGFILE_IO_COUNTS] = {
		[CGFILE_READ_BYTES] = {"ioServiceBytesRecursive", "Read"},
		[CGFILE_WRITE_BYTES] = {"ioServiceBytesRecursive", "Write"},
		[CGFILE_DISCARD_BYTES] = {"ioServiceBytesRecursive", "Discard"},
		[CGFILE_READS] = {"ioServicedRecursive", "Read"},
		[CGFILE_WRITES] = {"ioServicedRecursive", "Write"},
		[CGFILE_DISCARDS] = {"ioServicedRecursive", "Discard"},
	};

	for (int i = 0; i < CGFILE_IO_COUNTS; i++) {
		yyjson_mut_val *o;

		if (!(io->known & 1U << i))
			continue;
		o = yyjson_mut_arr_add_obj(c->doc, yyjson_mut_obj_get(blkio, places[i].list));
		yyjson_mut_obj_add_uint(c->doc, o, "major", io->major);
		yyjson_mut_obj_add_uint(c->doc, o, "minor", io->minor);
		yyjson_mut_obj_add_str(c->doc, o, "op", places[i].op);
		yyjson_mut_obj_add_uint(c->doc, o, "value", io->counts[i]);
	}
}

static void add_io(struct collect *c, yyjson_mut_val *data)
{
	yyjson_mut_val *blkio = yyjson_mut_obj_add_obj(c->doc, data, "blkio");
	const char *text = c->buf;
	struct cgfile_io io;

	if (read_file(c, "io.stat")) {
		yyjson_mut_obj_add_arr(c->doc, blkio, "ioServiceBytesRecursive");
		yyjson_mut_obj_add_arr(c->doc, blkio, "ioServicedRecursive");
		while (cgfile_next_io(&text, &io))
			add_device(c, blkio, &io);
	}
	add_pressure(c, blkio, "io.pressure");
}

/* One object for each page size, which the files' names tell: hugetlb.2MB.current */
static int add_hugetlb(struct collect *c, yyjson_mut_val *data)
{
	static const char prefix[] = "hugetlb.";
	yyjson_mut_val *all = yyjson_mut_obj_add_obj(c->doc, data, "hugetlb");
	int fd = openat(c->cgroupfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		int r = -errno;

		fd_close(&fd);
		return r;
	}
	while ((d = readdir(dir))) {
		const char *size = d->d_name + sizeof(prefix) - 1;
		char file[sizeof(d->d_name) + 16];
		yyjson_mut_val *o;
		size_t len;
		uint64_t n = 0;

		if (strncmp(d->d_name, prefix, sizeof(prefix) - 1) != 0)
			continue;
		len = strcspn(size, ".");
		if (strcmp(size + len, ".current") != 0)
			continue;
		o = yyjson_mut_obj(c->doc);
		yyjson_mut_obj_add(all, yyjson_mut_strncpy(c->doc, size, len), o);
		add_number(c, o, "usage", d->d_name);
		snprintf(file, sizeof(file), "%s%.*s.events", prefix, (int)len, size);
		if (read_file(c, file))
			(void)cgfile_find(c->buf, "max", &n);
		yyjson_mut_obj_add_uint(c->doc, o, "failcnt", n);
	}
	closedir(dir);
	return 0;
}

int stats_collect(int cgroupfd, yyjson_mut_doc *doc, yyjson_mut_val *data, struct err *e)
{
	struct collect *c = malloc(sizeof(*c));
	yyjson_mut_val *cpuset;
	int r;

	if (!c)
		return err_set(e, ENOMEM, "out of memory");
	c->cgroupfd = cgroupfd;
	c->doc = doc;
	add_cpu(c, data);
	cpuset = yyjson_mut_obj_add_obj(doc, data, "cpuset");
	add_set(c, cpuset, "cpus", "cpuset.cpus.effective");
	add_set(c, cpuset, "mems", "cpuset.mems.effective");
	add_memory(c, data);
	add_pids(c, data);
	add_io(c, data);
	r = add_hugetlb(c, data);
	free(c);
	return r < 0 ? err_set(e, -r, "read the container's cgroup: %s", strerror(-r)) : 0;
}
