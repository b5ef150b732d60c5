/* The files of a cgroup: the input is each of those that are read, and what is made of them can be
 * printed. */
#include "runtime/oci/stats.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/oci/cgroup.h"

#include <fcntl.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/stats_fuzz.XXXXXX";
static int dir = -1;
static int file = -1;

/* One file under all names. */
static const char *const names[] = {"cgroup.events", "cgroup.procs", "cpu.stat", "cpu.pressure",
	"cpuset.cpus.effective", "cpuset.mems.effective", "hugetlb.2MB.current", "io.stat",
	"io.pressure", "memory.stat", "memory.current", "memory.events", "memory.max",
	"memory.pressure", "memory.swap.current", "memory.swap.max", "pids.current", "pids.max"};

static void remove_directory(void)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlinkat(dir, names[i], 0);
	(void)rmdir(path);
}

static void make_directory(void)
{
	if (!mkdtemp(path))
		abort();
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file = openat(dir, names[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
		if (linkat(dir, names[0], dir, names[i], 0) < 0)
			abort();
	}
	if (file < 0 || atexit(remove_directory) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *obj = yyjson_mut_obj(doc);
	struct err e = {0};
	pid_t *pids = NULL;
	char *text;
	size_t n;

	if (dir < 0)
		make_directory();
	yyjson_mut_doc_set_root(doc, obj);
	if (ftruncate(file, 0) < 0 || lseek(file, 0, SEEK_SET) < 0 ||
		io_write_all(file, data, size) < 0)
		abort();
	if (stats_collect(dir, doc, obj, &e) == 0) {
		text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
		free(text);
	}
	/* None of them may mean a group of processes to kill(2). */
	if (cgroup_pids(dir, &pids, &n) == 0) {
		for (size_t i = 0; i < n; i++) {
			if (pids[i] <= 0)
				abort();
		}
	}
	free(pids);
	if (cgroup_frozen(dir) > 1)
		abort();
	yyjson_mut_doc_free(doc);
	return 0;
}
