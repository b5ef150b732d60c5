#include "runtime/engine/resources.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/util/cgfile.h"
#include "runtime/engine/spec.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* bytes; Docker's */
#define MEMORY_MIN (6 << 20)

static int64_t int_of(yyjson_mut_val *host, const char *key)
{
	return yyjson_mut_get_sint(yyjson_mut_obj_get(host, key));
}

/* -1 stands for no limit, and is what the CLI sends for nothing. */
static bool is_given(yyjson_mut_val *val)
{
	return yyjson_mut_is_bool(val) ? yyjson_mut_get_bool(val)
	       : yyjson_mut_is_int(val)
		       ? yyjson_mut_get_sint(val) != 0 && yyjson_mut_get_sint(val) != -1
	       : yyjson_mut_is_str(val) ? yyjson_mut_get_len(val) > 0
					: yyjson_mut_arr_size(val) > 0;
}

/* Put it back to what it is when nobody says anything. */
static void reset(yyjson_mut_val *val)
{
	if (yyjson_mut_is_int(val))
		yyjson_mut_set_sint(val, 0);
	else if (yyjson_mut_is_str(val))
		yyjson_mut_set_str(val, "");
	else if (yyjson_mut_is_arr(val))
		(void)yyjson_mut_arr_clear(val);
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	while (*words) {
		size_t n = strcspn(words, " \n");

		if (n == len && memcmp(words, word, n) == 0)
			return true;
		words += n + (words[n] != '\0');
	}
	return false;
}

void resources_controllers(char *buf, size_t size)
{
	AUTO_CLOSE int root = cgroup_open_root();

	if (root < 0 || io_read_file_at(root, "cgroup.controllers", buf, size) < 0)
		buf[0] = '\0';
}

/* What goes when its controller is not there, and what cgroup version 2 has nothing for. */
static void discard(yyjson_mut_doc *doc, yyjson_mut_val *host, const char *controllers,
	yyjson_mut_val *warnings)
{
#define NO(what, gone) "Your kernel does not support " what " or the cgroup is not mounted. " gone
	static const struct {
		const char *key, *controller, *warning;
	} fields[] = {
		{"Memory", "memory", NO("memory limit capabilities", "Limitation discarded.")},
		{"MemoryReservation", "memory",
			NO("memory soft limit capabilities", "Limitation discarded.")},
		{"MemorySwappiness", "",
			NO("memory swappiness capabilities", "Memory swappiness discarded.")},
		{"OomKillDisable", "",
			"Your kernel does not support OomKillDisable. OomKillDisable discarded."},
		{"PidsLimit", "pids", NO("PIDs limit capabilities", "PIDs limit discarded.")},
		{"CpuShares", "cpu", NO("CPU shares", "Shares discarded.")},
		{"CpuPeriod", "cpu", NO("CPU CFS scheduler", "Period discarded.")},
		{"CpuQuota", "cpu", NO("CPU CFS scheduler", "Quota discarded.")},
		{"CpusetCpus", "cpuset", NO("cpuset", "Cpuset discarded.")},
		{"CpusetMems", "cpuset", NO("cpuset", "Cpuset discarded.")},
		{"BlkioWeight", "io", NO("Block I/O weight", "Weight discarded.")},
		{"BlkioWeightDevice", "io",
			NO("Block I/O weight_device", "Weight-device discarded.")},
		{"BlkioDeviceReadBps", "io",
			NO("BPS Block I/O read limit", "Block I/O BPS read limit discarded.")},
		{"BlkioDeviceWriteBps", "io",
			NO("BPS Block I/O write limit", "Block I/O BPS write limit discarded.")},
		{"BlkioDeviceReadIOps", "io",
			NO("IOPS Block read limit", "Block I/O IOPS read limit discarded.")},
		{"BlkioDeviceWriteIOps", "io",
			NO("IOPS Block write limit", "Block I/O IOPS write limit discarded.")},
	};
#undef NO

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		yyjson_mut_val *val = yyjson_mut_obj_get(host, fields[i].key);
		bool none = !fields[i].controller[0];

		if (!none && has_word(controllers, fields[i].controller))
			continue;
		if (is_given(val)) {
			yyjson_mut_arr_add_str(doc, warnings, fields[i].warning);
			if (strcmp(fields[i].key, "Memory") == 0)
				reset(yyjson_mut_obj_get(host, "MemorySwap"));
			reset(val);
		}
		/* Neither a yes nor a no can be kept. */
		if (none && val && !yyjson_mut_is_null(val))
			yyjson_mut_set_null(val);
	}
}

static int check_memory(yyjson_mut_val *host, bool update, struct err *e)
{
	int64_t memory = int_of(host, "Memory");
	int64_t swap = int_of(host, "MemorySwap");
	int64_t reservation = int_of(host, "MemoryReservation");
	int64_t swappiness = int_of(host, "MemorySwappiness");

	if (memory != 0 && memory < MEMORY_MIN)
		return err_set(e, EINVAL, "Minimum memory limit allowed is 6MB");
	if (memory > 0 && swap > 0 && swap < memory)
		return err_set(e, EINVAL,
			"Minimum memoryswap limit should be larger than memory limit, see usage");
	if (memory == 0 && swap > 0 && !update)
		return err_set(e, EINVAL,
			"You should always set the Memory limit when using Memoryswap limit, see "
			"usage");
	if (swappiness < -1 || swappiness > 100)
		return err_set(e, EINVAL,
			"Invalid value: %lld, valid memory swappiness range is 0-100",
			(long long)swappiness);
	if (reservation > 0 && reservation < MEMORY_MIN)
		return err_set(e, EINVAL, "Minimum memory reservation allowed is 6MB");
	if (memory > 0 && reservation > 0 && memory < reservation)
		return err_set(e, EINVAL,
			"Minimum memory limit can not be less than memory reservation limit, see "
			"usage");
	return 0;
}

static int check_cpu(yyjson_mut_val *host, struct err *e)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t nano = int_of(host, "NanoCpus");
	int64_t period = int_of(host, "CpuPeriod");
	int64_t quota = int_of(host, "CpuQuota");

	if (nano > 0 && period > 0)
		return err_set(e, EINVAL,
			"Conflicting options: Nano CPUs and CPU Period cannot both be set");
	if (nano > 0 && quota > 0)
		return err_set(e, EINVAL,
			"Conflicting options: Nano CPUs and CPU Quota cannot both be set");
	if (nano < 0 || nano > (int64_t)cpus * 1000000000)
		return err_set(e, EINVAL,
			"range of CPUs is from 0.01 to %ld.00, as there are only %ld CPUs "
			"available",
			cpus, cpus);
	if (int_of(host, "CpuShares") < 0)
		return err_set(e, EINVAL,
			"invalid CPU shares (%lld): value must be a positive "
			"integer",
			(long long)int_of(host, "CpuShares"));
	if (period != 0 && (period < 1000 || period > 1000000))
		return err_set(e, EINVAL,
			"CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s "
			"(i.e. 1000000)");
	if (quota > 0 && quota < 1000)
		return err_set(e, EINVAL, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
	if (int_of(host, "CpuRealtimePeriod") != 0 || int_of(host, "CpuRealtimeRuntime") != 0)
		return err_set(e, EINVAL, "kernel does not support CPU real-time scheduler");
	return 0;
}

/* "0-3,7": the highest number; -1 when it is no such list. */
static int64_t last_of_set(const char *text)
{
	int64_t last = 0;

	while (*text) {
		int64_t number = 0;
		size_t digits = strspn(text, "0123456789");

		if (digits == 0 || digits > 6)
			return -1;
		for (size_t i = 0; i < digits; i++)
			number = number * 10 + (text[i] - '0');
		last = number > last ? number : last;
		text += digits;
		if (*text && !strchr(",-\n", *text))
			return -1;
		text += *text != '\0';
	}
	return last;
}

/* The processors and memory nodes asked for must be there. */
static int check_sets(yyjson_mut_val *host, struct err *e)
{
	static const struct {
		const char *key, *file, *what, *name;
	} sets[] = {{"CpusetCpus", "cpuset.cpus.effective", "CPUs", "cpus"},
		{"CpusetMems", "cpuset.mems.effective", "memory nodes", "mems"}};
	AUTO_CLOSE int root = cgroup_open_root();

	for (size_t i = 0; i < 2; i++) {
		const char *asked = yyjson_mut_get_str(yyjson_mut_obj_get(host, sets[i].key));
		char there[4096];
		int64_t last = asked ? last_of_set(asked) : 0;

		if (last < 0)
			return err_set(e, EINVAL, "Invalid value %.64s for cpuset %s", asked,
				sets[i].name);
		if (!asked || !asked[0] ||
			io_read_file_at(root, sets[i].file, there, sizeof(there)) < 0)
			continue;
		there[strcspn(there, "\n")] = '\0';
		if (last > last_of_set(there))
			return err_set(e, EINVAL,
				"Requested %s are not available - requested %.64s, available: "
				"%.64s",
				sets[i].what, asked, there);
	}
	return 0;
}

int resources_check(yyjson_mut_doc *doc, yyjson_mut_val *host, bool update, const char *controllers,
	yyjson_mut_val *warnings, struct err *e)
{
	int64_t weight = int_of(host, "BlkioWeight");
	int64_t memory = int_of(host, "Memory");
	yyjson_mut_val *swap = yyjson_mut_obj_get(host, "MemorySwap");
	int r = check_memory(host, update, e);

	if (r == 0)
		r = check_cpu(host, e);
	if (r == 0)
		r = check_sets(host, e);
	if (r == 0 && weight != 0 && (weight < 10 || weight > 1000))
		r = err_set(e, EINVAL, "Range of blkio weight is from 10 to 1000");
	if (r == 0 && int_of(host, "NanoCpus") && !has_word(controllers, "cpu"))
		r = err_set(e, EINVAL,
			"NanoCPUs can not be set, as your kernel does not support CPU CFS "
			"scheduler or the cgroup is not mounted");
	if (r < 0)
		return r;
	/* Docker: as much swap again as memory, unless it is said. */
	if (memory > 0 && yyjson_mut_get_sint(swap) == 0)
		yyjson_mut_set_sint(swap, 2 * memory);
	discard(doc, host, controllers, warnings);
	return 0;
}

static int conflict(struct err *e, const char *what, const char *set)
{
	return err_set(e, EBUSY,
		"Conflicting options: %s cannot be updated as %s has already been set", what, set);
}

static int check_merge(yyjson_mut_val *host, yyjson_val *change, struct err *e)
{
	int64_t memory = spec_int(change, "Memory");

	if (spec_int(change, "NanoCpus") > 0 && int_of(host, "CpuPeriod") > 0)
		return conflict(e, "Nano CPUs", "CPU Period");
	if (spec_int(change, "NanoCpus") > 0 && int_of(host, "CpuQuota") > 0)
		return conflict(e, "Nano CPUs", "CPU Quota");
	if (spec_int(change, "CpuPeriod") > 0 && int_of(host, "NanoCpus") > 0)
		return conflict(e, "CPU Period", "NanoCPUs");
	if (spec_int(change, "CpuQuota") > 0 && int_of(host, "NanoCpus") > 0)
		return conflict(e, "CPU Quota", "NanoCPUs");
	if (memory > int_of(host, "MemorySwap") && int_of(host, "MemorySwap") >= 0 &&
		spec_int(change, "MemorySwap") == 0)
		return err_set(e, EBUSY,
			"Memory limit should be smaller than already set memoryswap limit, update "
			"the memoryswap at the same time");
	return 0;
}

int resources_merge(yyjson_mut_doc *doc, yyjson_mut_val *host, yyjson_val *change, struct err *e)
{
	static const char *const keys[] = {"BlkioWeight", "CpuShares", "NanoCpus", "CpuPeriod",
		"CpuQuota", "CpusetCpus", "CpusetMems", "Memory", "MemorySwap", "MemoryReservation",
		"CpuRealtimePeriod", "CpuRealtimeRuntime", "PidsLimit"};
	int r = check_merge(host, change, e);

	for (size_t i = 0; r == 0 && i < sizeof(keys) / sizeof(keys[0]); i++) {
		yyjson_val *val = yyjson_obj_get(change, keys[i]);
		bool given = yyjson_is_str(val)			 ? yyjson_get_len(val) > 0
			     : strcmp(keys[i], "PidsLimit") == 0 ? yyjson_is_int(val)
								 : yyjson_get_sint(val) != 0;

		if (given)
			(void)yyjson_mut_obj_replace(host, yyjson_mut_strcpy(doc, keys[i]),
				yyjson_val_mut_copy(doc, val));
	}
	return r;
}

static void add_number(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, int64_t value)
{
	if (value)
		yyjson_mut_obj_add_int(doc, to, key, value);
}

/* One list of blockIO: objects with a device's path and one number. */
static int add_devices(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *name, yyjson_val *list,
	const char *from, const char *number, struct err *e)
{
	yyjson_mut_val *out = yyjson_mut_arr(doc);
	yyjson_val *item;
	size_t i, n;

	yyjson_arr_foreach (list, i, n, item) {
		yyjson_mut_val *o;
		struct stat st;

		if (stat(spec_str(item, "Path"), &st) < 0)
			return err_set(
				e, errno, "%.200s: %s", spec_str(item, "Path"), strerror(errno));
		if (!S_ISBLK(st.st_mode))
			return err_set(
				e, EINVAL, "%.200s: not a block device", spec_str(item, "Path"));
		o = yyjson_mut_arr_add_obj(doc, out);
		yyjson_mut_obj_add_int(doc, o, "major", major(st.st_rdev));
		yyjson_mut_obj_add_int(doc, o, "minor", minor(st.st_rdev));
		yyjson_mut_obj_add_int(doc, o, number, spec_int(item, from));
	}
	if (yyjson_mut_arr_size(out))
		yyjson_mut_obj_add_val(doc, to, name, out);
	return 0;
}

static int add_block_io(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_val *host, struct err *e)
{
	static const struct {
		const char *key, *name, *from, *number;
	} lists[] = {
		{"BlkioWeightDevice", "weightDevice", "Weight", "weight"},
		{"BlkioDeviceReadBps", "throttleReadBpsDevice", "Rate", "rate"},
		{"BlkioDeviceWriteBps", "throttleWriteBpsDevice", "Rate", "rate"},
		{"BlkioDeviceReadIOps", "throttleReadIOPSDevice", "Rate", "rate"},
		{"BlkioDeviceWriteIOps", "throttleWriteIOPSDevice", "Rate", "rate"},
	};

	add_number(doc, to, "weight", spec_int(host, "BlkioWeight"));
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		int r = add_devices(doc, to, lists[i].name, yyjson_obj_get(host, lists[i].key),
			lists[i].from, lists[i].number, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static void add_section(
	yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, yyjson_mut_val *section)
{
	if (yyjson_mut_obj_size(section))
		yyjson_mut_obj_add_val(doc, to, key, section);
}

yyjson_mut_val *resources_spec(yyjson_mut_doc *doc, yyjson_val *host, struct err *e)
{
	static const struct {
		const char *key, *name;
	} sets[] = {{"CpusetCpus", "cpus"}, {"CpusetMems", "mems"}};
	yyjson_mut_val *out = yyjson_mut_obj(doc);
	yyjson_mut_val *memory = yyjson_mut_obj(doc);
	yyjson_mut_val *cpu = yyjson_mut_obj(doc);
	yyjson_mut_val *pids = yyjson_mut_obj(doc);
	yyjson_mut_val *io = yyjson_mut_obj(doc);
	int64_t nano = spec_int(host, "NanoCpus");

	add_number(doc, memory, "limit", spec_int(host, "Memory"));
	add_number(doc, memory, "reservation", spec_int(host, "MemoryReservation"));
	if (spec_int(host, "Memory"))
		add_number(doc, memory, "swap", spec_int(host, "MemorySwap"));
	add_number(doc, cpu, "shares", spec_int(host, "CpuShares"));
	add_number(doc, cpu, "quota", nano ? nano / 10000 : spec_int(host, "CpuQuota"));
	add_number(doc, cpu, "period", nano ? 100000 : spec_int(host, "CpuPeriod"));
	for (size_t i = 0; i < 2; i++)
		if (spec_str(host, sets[i].key)[0])
			yyjson_mut_obj_add_strcpy(
				doc, cpu, sets[i].name, spec_str(host, sets[i].key));
	add_number(doc, pids, "limit", spec_int(host, "PidsLimit"));
	if (add_block_io(doc, io, host, e) < 0)
		return NULL;
	add_section(doc, out, "memory", memory);
	add_section(doc, out, "cpu", cpu);
	add_section(doc, out, "pids", pids);
	add_section(doc, out, "blockIO", io);
	return out;
}
