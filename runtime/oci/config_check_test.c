#include "runtime/oci/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROOT "\"root\":{\"path\":\"rootfs\"}"
#define PROCESS "\"process\":{\"cwd\":\"/\",\"args\":[\"sh\"]}"
#define MOUNT_NS "{\"type\":\"mount\"}"
#define NET_NS "{\"type\":\"network\"}"
#define USER_NS "{\"type\":\"user\"}"
#define MAPS                                                                                       \
	"\"uidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":10}],"                       \
	"\"gidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":10}]"

static int check(const char *json, struct err *e)
{
	size_t len = strlen(json);
	char *text = malloc(len + YYJSON_PADDING_SIZE);
	struct config c;
	int r;

	*e = (struct err){0};
	memcpy(text, json, len + 1); /* padding is more than a terminator */
	r = config_parse(&c, text, len, NULL, NULL, e);
	if (r == 0)
		r = config_check(&c, e);
	config_free(&c);
	return r;
}

static int check_linux(const char *linux_members, const char *others, struct err *e)
{
	char json[4096];

	snprintf(json, sizeof(json),
		"{\"ociVersion\":\"1.0.2\"," ROOT "," PROCESS "%s,\"linux\":{%s}}", others,
		linux_members);
	return check(json, e);
}

static void a_small_configuration_passes(void **state)
{
	struct err e;

	(void)state;
	if (check_linux("\"namespaces\":[" MOUNT_NS "]", "", &e) < 0)
		fail_msg("%s", e.msg);
	if (check_linux("\"namespaces\":[" MOUNT_NS "," USER_NS "]," MAPS, "", &e) < 0)
		fail_msg("%s", e.msg);
}

static void what_is_missing_is_named(void **state)
{
	static const struct {
		const char *json;
		const char *start;
	} cases[] = {
		{"{\"ociVersion\":\"0.5.0-dev\"}", "ociVersion: expected 1.x"},
		{"{\"ociVersion\":\"1.0.0\"}", "root.path: missing"},
		{"{\"ociVersion\":\"1.0.0\"," ROOT "}", "process: missing"},
		{"{\"ociVersion\":\"1.0.0\"," ROOT "," PROCESS "}", "linux: missing"},
		{"{\"ociVersion\":\"1.0.0\"," ROOT ",\"process\":{\"cwd\":\"/\"},\"linux\":{}}",
			"process.args: expected a program"},
		{"{\"ociVersion\":\"1.0.0\"," ROOT
		 ",\"process\":{\"cwd\":\"x\",\"args\":[\"a\"]},\"linux\":{}}",
			"process.cwd: expected an absolute path"},
		{"{\"ociVersion\":\"1.0.0\"," ROOT
		 ",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"env\":[\"A=1\",\"B\"]},"
		 "\"linux\":{}}",
			"process.env[1]: expected NAME=value"},
		{"{\"ociVersion\":\"1.0.0\"," ROOT
		 ",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"selinuxLabel\":\"x\"},"
		 "\"linux\":{}}",
			"process.selinuxLabel: "},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(check(cases[i].json, &e) < 0);
		if (strncmp(e.msg, cases[i].start, strlen(cases[i].start)) != 0)
			fail_msg("%s: %s", cases[i].json, e.msg);
	}
}

static void what_cannot_be_done_is_named(void **state)
{
	static const struct {
		const char *linux_members;
		const char *others;
		const char *start;
	} cases[] = {
		{"\"namespaces\":[]", "", "linux.namespaces: a mount namespace is required"},
		{"\"namespaces\":[{\"type\":\"mount\",\"path\":\"/x\"}]", "",
			"linux.namespaces: a container cannot be made inside"},
		{"\"namespaces\":[" MOUNT_NS "," USER_NS "]", "", "linux.uidMappings: a new user"},
		{"\"namespaces\":[" MOUNT_NS "]," MAPS, "", "linux.uidMappings: mappings without"},
		{"\"namespaces\":[" MOUNT_NS "," USER_NS
		 "],\"uidMappings\":[{\"containerID\":1,\"hostID\":1,\"size\":1}],"
		 "\"gidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]",
			"", "linux.uidMappings: the container's id 0 must be mapped"},
		{"\"namespaces\":[" MOUNT_NS "]", ",\"hostname\":\"x\"",
			"hostname: would change the host's"},
		{"\"namespaces\":[" MOUNT_NS "],\"timeOffsets\":{\"boottime\":{\"secs\":1}}", "",
			"linux.timeOffsets: offsets without"},
		{"\"namespaces\":[" MOUNT_NS "],\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"}", "",
			"linux.sysctl.net.ipv4.ip_forward: needs a network namespace"},
		{"\"namespaces\":[" MOUNT_NS "],\"sysctl\":{\"kernel.panic\":\"1\"}", "",
			"linux.sysctl.kernel.panic: belongs to no namespace"},
		{"\"namespaces\":[" MOUNT_NS "],\"resources\":{\"memory\":{\"swappiness\":1}}", "",
			"linux.resources.memory.swappiness: "},
		{"\"namespaces\":[" MOUNT_NS "],\"resources\":{\"memory\":{\"kernel\":5}}", "",
			"linux.resources.memory.kernel: "},
		{"\"namespaces\":[" MOUNT_NS
		 "],\"resources\":{\"memory\":{\"limit\":10,\"swap\":9}}",
			"", "linux.resources.memory.swap: "},
		{"\"namespaces\":[" MOUNT_NS "],\"resources\":{\"blockIO\":{\"weightDevice\":[{"
		 "\"major\":8,\"minor\":0,\"weight\":10,\"leafWeight\":10}]}}",
			"", "linux.resources.blockIO.weightDevice[0].leafWeight: "},
		{"\"namespaces\":[" MOUNT_NS "],\"resources\":{\"blockIO\":{\"weightDevice\":[{"
		 "\"major\":8,\"minor\":0}]}}",
			"", "linux.resources.blockIO.weightDevice[0].weight: missing"},
		{"\"namespaces\":[" MOUNT_NS "],\"resources\":{\"cpu\":{\"realtimeRuntime\":5}}",
			"", "linux.resources.cpu.realtimeRuntime: "},
		{"\"namespaces\":[" MOUNT_NS "],\"resources\":{\"unified\":{\"x/y.z\":\"1\"}}", "",
			"linux.resources.unified.x/y.z: expected a controller's file"},
		{"\"namespaces\":[" MOUNT_NS "],\"resources\":{\"unified\":{\"../x.y\":\"1\"}}", "",
			"linux.resources.unified.../x.y: expected a controller's file"},
		{"\"namespaces\":[" MOUNT_NS
		 "],\"resources\":{\"unified\":{\"cgroup.procs\":\"1\"}}",
			"", "linux.resources.unified.cgroup.procs: "},
		{"\"namespaces\":[" MOUNT_NS "],\"netDevices\":{\"eth0\":{}}", "",
			"linux.netDevices: needs a network namespace"},
		{"\"namespaces\":[" MOUNT_NS "," NET_NS "],\"netDevices\":{\"a/b\":{}}", "",
			"linux.netDevices.a/b: no interface can have this name"},
		{"\"namespaces\":[" MOUNT_NS "," NET_NS "],\"netDevices\":{\"eth%d\":{}}", "",
			"linux.netDevices.eth%d: no interface can have this name"},
		{"\"namespaces\":[" MOUNT_NS "," NET_NS
		 "],\"netDevices\":{\"a\":{\"name\":\"sixteen-bytes-xx\"}}",
			"",
			"linux.netDevices.a.name: no interface can be called \"sixteen-bytes-xx\""},
		{"\"namespaces\":[" MOUNT_NS "," NET_NS
		 "],\"netDevices\":{\"a\":{\"name\":\"x%d%d\"}}",
			"", "linux.netDevices.a.name: no interface can be called \"x%d%d\""},
		{"\"namespaces\":[" MOUNT_NS "," NET_NS
		 "],\"netDevices\":{\"a\":{\"name\":\"b\"},\"b\":{}}",
			"", "linux.netDevices.b.name: a is also called \"b\""},
		{"\"namespaces\":[" MOUNT_NS "],\"intelRdt\":{\"closID\":\"x\"}", "",
			"linux.intelRdt: is not supported"},
		{"\"namespaces\":[" MOUNT_NS "],\"mountLabel\":\"x\"", "", "linux.mountLabel: "},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(check_linux(cases[i].linux_members, cases[i].others, &e) < 0);
		if (strncmp(e.msg, cases[i].start, strlen(cases[i].start)) != 0)
			fail_msg("%s: %s", cases[i].linux_members, e.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_configuration_passes),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(what_cannot_be_done_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
