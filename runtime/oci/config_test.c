#include "runtime/oci/config.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

static struct config config;
static char warnings[512];

static void note_warning(void *arg, const char *path)
{
	(void)arg;
	strncat(warnings, path, sizeof(warnings) - strlen(warnings) - 2);
	strcat(warnings, ";");
}

static int parse(const char *json, struct err *e)
{
	size_t len = strlen(json);
	char *text = malloc(len + YYJSON_PADDING_SIZE);

	config_free(&config);
	warnings[0] = '\0';
	*e = (struct err){0};
	memcpy(text, json, len + 1); /* padding is more than a terminator */
	return config_parse(&config, text, len, note_warning, NULL, e);
}

/* Put @member into a configuration that is complete otherwise. */
static int parse_with(const char *member, struct err *e)
{
	char json[4096];

	snprintf(json, sizeof(json), "{\"ociVersion\":\"1.2.0\",%s}", member);
	return parse(json, e);
}

static int load(const char *folder, const char *name, struct err *e)
{
	char path[256];
	AUTO_CLOSE int dir = -1;

	config_free(&config);
	warnings[0] = '\0';
	*e = (struct err){0};
	snprintf(path, sizeof(path), "runtime/oci/testdata/%s", folder);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	return config_load(&config, dir, name, note_warning, NULL, e);
}

static void the_specs_good_files_are_read(void **state)
{
	static const char *const names[] = {"linux-netdevice.json", "linux-rdma.json",
		"minimal-for-start.json", "minimal.json", "spec-example.json"};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (load("good", names[i], &e) < 0)
			fail_msg("%s: %s", names[i], e.msg);
	}
}

static void the_specs_bad_files_are_refused_by_path(void **state)
{
	static const struct {
		const char *name;
		const char *start; /* of the message */
	} files[] = {
		{"invalid-json.json", "invalid-json.json:1:2: "},
		{"linux-hugepage.json",
			"linux.resources.hugepageLimits[0].pageSize: expected a size like 2MB"},
		{"linux-netdevice.json",
			"linux.netDevices.eth0.name: expected a string, got an integer"},
		{"linux-rdma.json", "linux.resources.rdma.mlx5_1.hcaHandles: expected an integer, "
				    "got a string"},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		assert_true(load("bad", files[i].name, &e) < 0);
		if (strncmp(e.msg, files[i].start, strlen(files[i].start)) != 0)
			fail_msg("%s: %s", files[i].name, e.msg);
	}
}

static void the_specs_example_is_understood(void **state)
{
	const struct config_process *p = &config.process;
	const struct config_resources *res = &config.resources;
	struct err e;

	(void)state;
	assert_int_equal(load("good", "spec-example.json", &e), 0);
	/* A member that the schema does not know. */
	assert_string_equal(warnings, "linux.resources.oomScoreAdj;");
	assert_true(p->terminal && p->no_new_privs && p->uid == 1 && p->gids[1] == 6);
	assert_true(p->caps.effective == (1ULL << CAP_AUDIT_WRITE | 1ULL << CAP_KILL));
	assert_true(p->caps.ambient == 1ULL << CAP_NET_BIND_SERVICE);
	assert_int_equal(p->rlimits[1].resource, RLIMIT_NOFILE);
	assert_true(p->rlimits[1].hard.v == 1024);
	assert_string_equal(config.hostname, "slartibartfast");
	assert_int_equal(config.n_mounts, 7);
	assert_true(config.mounts[3].options.top.set ==
		    (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV));
	assert_int_equal(config.hooks[HOOK_CREATE_RUNTIME].n, 2);
	assert_int_equal(config.hooks[HOOK_POSTSTART].v[0].timeout_s.v, 5);
	assert_string_equal(config.hooks[HOOK_POSTSTOP].v[0].args.v[1], "-f");
	for (int t = 0; t < NS_N; t++)
		assert_true(config.ns[t].given && !config.ns[t].path);
	assert_true(config.uid_maps.v[0].host == 1000 && config.uid_maps.v[0].size == 32000);
	assert_true(config.devices[0].minor.v == 229 && config.devices[0].mode.v == 0666);
	assert_int_equal(res->n_devices, 3);
	assert_true(res->devices[0].type == 'a' && !res->devices[0].allow);
	assert_true(res->devices[1].access == (BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE));
	assert_true(res->devices[2].type == 'b' && res->devices[2].major == 8);
	assert_true(res->memory_limit.v == 536870912 && res->memory_kernel.v == -1);
	assert_true(res->cpu_shares.v == 1024 && res->cpu_quota.v == 1000000);
	assert_string_equal(res->cpu_cpus, "2-3");
	assert_true(res->pids_limit.v == 32771);
	assert_true(res->io_weights.v[1].minor.v == 16);
	assert_true(res->io_rates[IO_READ_BPS].v[0].rate.v == 600);
	assert_true(res->io_rates[IO_WRITE_IOPS].v[0].rate.v == 300);
	assert_int_equal(res->io_rates[IO_WRITE_BPS].n, 0);
	assert_true(res->n_hugepages == 2 && res->net_class_id.v == 1048577);
	assert_string_equal(config.rootfs_propagation, "slave");
	assert_string_equal(config.seccomp.rules[0].names.v[1], "chmod");
	assert_true(config.boottime.given && config.boottime.secs == 604800);
	assert_int_equal(config.masked_paths.n, 4);
	assert_int_equal(config.sysctl.n, 2);
}

static void less_common_fields_are_read(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(
		parse_with(
			"\"process\":{\"cwd\":\"/\",\"consoleSize\":{\"height\":24,\"width\":80},"
			"\"user\":{\"umask\":63},\"oomScoreAdj\":-500,"
			"\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":7},"
			"\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"nice\":5,"
			"\"flags\":[\"SCHED_FLAG_RESET_ON_FORK\"]}},"
			"\"linux\":{\"personality\":{\"domain\":\"LINUX32\"},"
			"\"resources\":{\"unified\":{\"memory.high\":\"1G\"},"
			"\"cpu\":{\"idle\":1,\"burst\":9}},"
			"\"timeOffsets\":{\"monotonic\":{\"secs\":-5,\"nanosecs\":7}},"
			"\"namespaces\":[{\"type\":\"network\",\"path\":\"/x\"},"
			"{\"type\":\"mount\",\"path\":\"\"}]}",
			&e),
		0);
	assert_string_equal(warnings, "");
	assert_true(config.process.rows.v == 24 && config.process.columns.v == 80);
	assert_true(config.process.umask.v == 077 && config.process.oom_score_adj.v == -500);
	assert_true(config.process.io_class == 2 && config.process.io_priority == 7);
	assert_true(config.process.scheduler.policy == 3 && config.process.scheduler.flags == 1);
	assert_string_equal(config.personality_domain, "LINUX32");
	assert_string_equal(config.resources.unified.v[0].key, "memory.high");
	assert_true(config.resources.cpu_idle.v == 1 && config.resources.cpu_burst.v == 9);
	assert_true(config.monotonic.secs == -5 && config.monotonic.nanosecs == 7);
	assert_string_equal(config.ns[NS_NET].path, "/x");
	assert_true(config.ns[NS_MOUNT].given && !config.ns[NS_MOUNT].path);
}

static void wrong_values_are_refused_by_path(void **state)
{
	static const struct {
		const char *member;
		const char *start;
	} cases[] = {
		{"\"linux\":{\"resources\":{\"memory\":{\"limit\":\"64M\"}}}",
			"linux.resources.memory.limit: expected an integer, got a string"},
		{"\"linux\":{\"namespaces\":[{\"type\":\"net\"}]}",
			"linux.namespaces[0]: unknown namespace \"net\""},
		{"\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}",
			"linux.namespaces[1]: \"pid\" stands twice"},
		{"\"process\":{}", "process.cwd: missing"},
		{"\"process\":{\"cwd\":\"/\",\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,"
		 "\"hard\":1}]}",
			"process.rlimits[0].type: unknown limit \"RLIMIT_X\""},
		{"\"process\":{\"cwd\":\"/\",\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":2,"
		 "\"hard\":1}]}",
			"process.rlimits[0]: RLIMIT_CPU: the soft limit is above the hard one"},
		{"\"process\":{\"cwd\":\"/\",\"oomScoreAdj\":1001}",
			"process.oomScoreAdj: expected -1000 to 1000"},
		{"\"process\":{\"cwd\":\"/\",\"user\":{\"umask\":512}}", "process.user.umask: "},
		{"\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":-1}}",
			"process.user.uid: expected 0"},
		{"\"mounts\":[{\"destination\":\"/x\"},{\"source\":\"/y\"}]",
			"mounts[1].destination: missing"},
		{"\"hooks\":{\"poststop\":[{\"path\":\"x\"}]}",
			"hooks.poststop[0]: path \"x\": expected an absolute path"},
		{"\"hooks\":{\"prestart\":[{\"path\":\"/x\",\"timeout\":0}]}",
			"hooks.prestart[0].timeout: "},
		{"\"linux\":{\"devices\":[{\"path\":\"/dev/x\",\"type\":\"z\"}]}",
			"linux.devices[0].type: expected c, u, b or p"},
		{"\"linux\":{\"devices\":[{\"path\":\"/dev/x\",\"type\":\"c\"}]}",
			"linux.devices[0]: major and minor are required"},
		{"\"linux\":{\"resources\":{\"devices\":[{\"allow\":true,\"access\":\"rx\"}]}}",
			"linux.resources.devices[0].access: expected letters of rwm"},
		{"\"linux\":{\"rootfsPropagation\":\"mine\"}",
			"linux.rootfsPropagation: unknown propagation \"mine\""},
		{"\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_MAYBE\"}}",
			"linux.seccomp.defaultAction: unknown action"},
		{"\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{"
		 "\"names\":[\"a\"],\"action\":\"SCMP_ACT_NOTIFY\"}]}}",
			"linux.seccomp: listenerPath: SCMP_ACT_NOTIFY needs the absolute path"},
		{"\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_NOTIFY\","
		 "\"listenerPath\":\"agent\"}}",
			"linux.seccomp: listenerPath: SCMP_ACT_NOTIFY needs the absolute path"},
		{"\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\","
		 "\"listenerMetadata\":\"x\"}}",
			"linux.seccomp: listenerMetadata: without listenerPath"},
		{"\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_KILL\","
		 "\"defaultErrnoRet\":1}}",
			"linux.seccomp: defaultErrnoRet: SCMP_ACT_KILL has no error number"},
		{"\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{"
		 "\"names\":[\"a\"],\"action\":\"SCMP_ACT_TRAP\",\"errnoRet\":1}]}}",
			"linux.seccomp.syscalls[0]: errnoRet: SCMP_ACT_TRAP has no error number"},
		{"\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{"
		 "\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\",\"args\":[{\"index\":6,\"value\":0,"
		 "\"op\":\"SCMP_CMP_EQ\"}]}]}}",
			"linux.seccomp.syscalls[0].args[0]: index: "},
		{"\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":["
		 "\"SCMP_ARCH_Z80\"]}}",
			"linux.seccomp.architectures[0]: \"SCMP_ARCH_Z80\" is not supported"},
		{"\"linux\":{\"sysctl\":{\"a\":1}}", "linux.sysctl.a: expected a string"},
		{"\"linux\":{\"timeOffsets\":{\"boottime\":{\"nanosecs\":1000000000}}}",
			"linux.timeOffsets.boottime: nanosecs"},
		{"\"linux\":{\"personality\":{\"domain\":\"BSD\"}}", "linux.personality: domain: "},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(parse_with(cases[i].member, &e) < 0);
		if (strncmp(e.msg, cases[i].start, strlen(cases[i].start)) != 0)
			fail_msg("%s: %s", cases[i].member, e.msg);
	}
}

static void unknown_keys_only_warn(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(parse_with("\"new\":1,\"linux\":{\"newer\":{}}", &e), 0);
	assert_string_equal(warnings, "new;linux.newer;");
}

static int clean(void **state)
{
	(void)state;
	config_free(&config);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_specs_good_files_are_read),
		cmocka_unit_test(the_specs_bad_files_are_refused_by_path),
		cmocka_unit_test(the_specs_example_is_understood),
		cmocka_unit_test(less_common_fields_are_read),
		cmocka_unit_test(wrong_values_are_refused_by_path),
		cmocka_unit_test(unknown_keys_only_warn),
	};

	return cmocka_run_group_tests(tests, NULL, clean);
}
