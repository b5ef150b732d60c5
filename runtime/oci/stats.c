#include "runtime/oci/stats.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/num.h"
#include "runtime/oci/cgroup.h"
#include "runtime/oci/limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* One collection: @buf holds one file after the other. */
struct collect {
	int cgroupfd;
	yyjson_mut_doc *doc;
	char buf[OCI_STAT_BYTES_MAX];
};

static bool read_file(struct collect *c, const char *file)
{
	return io_read_file_at(c->cgroupfd, file, c->buf, sizeof(c->buf)) >= 0;
}

/* A file of one number; "max" is the largest. */
static bool read_number(struct collect *c, const char *file, uint64_t *ret)
{
	size_t len;

	if (!read_file(c, file))
		return false;
	len = strcspn(c->buf, "\n");
	if (len == 3 && memcmp(c->buf, "max", 3) == 0) {
		*ret = UINT64_MAX;
		return true;
	}
	return num_parse_u64(c->buf, len, UINT64_MAX, ret) == 0;
}

static void add_number(struct collect *c, yyjson_mut_val *obj, const char *key, const char *file)
{
	uint64_t n;

	if (read_number(c, file, &n))
		yyjson_mut_obj_add_uint(c->doc, obj, key, n);
}

/* The next "KEY NUMBER" of @*text, which moves behind it. */
static bool next_line(const char **text, const char **ret_key, size_t *ret_len, uint64_t *ret)
{
	while (**text) {
		const char *line = *text;
		size_t len = strcspn(line, "\n");
		size_t key = strcspn(line, " \n");

		*text = line + len + (line[len] == '\n');
		if (key == len || num_parse_u64(line + key + 1, len - key - 1, UINT64_MAX, ret) < 0)
			continue;
		*ret_key = line;
		*ret_len = key;
		return true;
	}
	return false;
}

int stats_find(const char *text, const char *key, uint64_t *ret)
{
	const char *found;
	size_t len;
	uint64_t n;

	while (next_line(&text, &found, &len, &n)) {
		if (len == strlen(key) && memcmp(found, key, len) == 0) {
			*ret = n;
			return 0;
		}
	}
	return -ENOENT;
}

/* All lines of the file that is in the buffer as members. */
static void add_lines(struct collect *c, yyjson_mut_val *obj)
{
	const char *text = c->buf;
	const char *key;
	size_t len;
	uint64_t n;

	while (next_line(&text, &key, &len, &n))
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

		if (stats_find(c->buf, lines[i].line, &n) == 0)
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
		if (stats_find(c->buf, "file", &n) == 0)
			yyjson_mut_obj_add_uint(c->doc, memory, "cache", n);
		add_lines(c, yyjson_mut_obj_add_obj(c->doc, memory, "raw"));
	}
	if (read_number(c, "memory.current", &used) && read_number(c, "memory.max", &limit)) {
		usage = yyjson_mut_obj_add_obj(c->doc, memory, "usage");
		yyjson_mut_obj_add_uint(c->doc, usage, "limit", limit);
		yyjson_mut_obj_add_uint(c->doc, usage, "usage", used);
		add_number(c, usage, "max", "memory.peak"); /* since Linux 5.19 */
		n = 0;
		if (read_file(c, "memory.events"))
			(void)stats_find(c->buf, "max", &n);
		yyjson_mut_obj_add_uint(c->doc, usage, "failcnt", n);
	}
	/* Memory and swap together, as version 1 counted and engines expect. */
	if (read_number(c, "memory.swap.current", &n)) {
		swap = yyjson_mut_obj_add_obj(c->doc, memory, "swap");
		yyjson_mut_obj_add_uint(c->doc, swap, "usage", used + n);
		if (read_number(c, "memory.swap.max", &n))
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

	if (read_number(c, "pids.current", &n)) {
		yyjson_mut_obj_add_uint(c->doc, pids, "current", n);
		/* 0 is runc's word for no limit. */
		if (read_number(c, "pids.max", &n) && n != UINT64_MAX)
			yyjson_mut_obj_add_uint(c->doc, pids, "limit", n);
	} else if (cgroup_pids(c->cgroupfd, &list, &count) == 0) {
		yyjson_mut_obj_add_uint(c->doc, pids, "current", count);
	}
	free(list);
}

/* One device's line of io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6" */
static void add_device(struct collect *c, yyjson_mut_val *blkio, char *line)
{
	static const struct {
		const char *word;
		const char *list;
		const char *op;
	} words[] = {
		{"rbytes", "ioServiceBytesRecursive", "Read"},
		{"wbytes", "ioServiceBytesRecursive", "Write"},
		{"dbytes", "ioServiceBytesRecursive", "Discard"},
		{"rios", "ioServicedRecursive", "Read"},
		{"wios", "ioServicedRecursive", "Write"},
		{"dios", "ioServicedRecursive", "Discard"},
	};
	char *save = NULL;
	const char *device = strtok_r(line, " ", &save);
	size_t colon = device ? strcspn(device, ":") : 0;
	uint64_t major;
	uint64_t minor;

	if (!device || !device[colon] || num_parse_u64(device, colon, UINT32_MAX, &major) < 0 ||
		num_parse_u64(device + colon + 1, strlen(device + colon + 1), UINT32_MAX, &minor) <
			0)
		return;
	for (char *word; (word = strtok_r(NULL, " ", &save));) {
		size_t len = strcspn(word, "=");
		uint64_t n;

		if (!word[len] ||
			num_parse_u64(word + len + 1, strlen(word + len + 1), UINT64_MAX, &n) < 0)
			continue;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			yyjson_mut_val *o;

			if (strlen(words[i].word) != len || memcmp(word, words[i].word, len) != 0)
				continue;
			o = yyjson_mut_arr_add_obj(
				c->doc, yyjson_mut_obj_get(blkio, words[i].list));
			yyjson_mut_obj_add_uint(c->doc, o, "major", major);
			yyjson_mut_obj_add_uint(c->doc, o, "minor", minor);
			yyjson_mut_obj_add_str(c->doc, o, "op", words[i].op);
			yyjson_mut_obj_add_uint(c->doc, o, "value", n);
		}
	}
}

static void add_io(struct collect *c, yyjson_mut_val *data)
{
	yyjson_mut_val *blkio = yyjson_mut_obj_add_obj(c->doc, data, "blkio");
	char *save = NULL;

	if (read_file(c, "io.stat")) {
		yyjson_mut_obj_add_arr(c->doc, blkio, "ioServiceBytesRecursive");
		yyjson_mut_obj_add_arr(c->doc, blkio, "ioServicedRecursive");
		for (char *line = strtok_r(c->buf, "\n", &save); line;
			line = strtok_r(NULL, "\n", &save))
			add_device(c, blkio, line);
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
			(void)stats_find(c->buf, "max", &n);
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
