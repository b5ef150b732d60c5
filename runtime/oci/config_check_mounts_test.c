#include "runtime/oci/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ONE "[{\"containerID\":0,\"hostID\":1,\"size\":1}]"
#define LISTS "\"uidMappings\":" ONE ",\"gidMappings\":" ONE
#define BIND "\"destination\":\"/x\",\"source\":\"/y\",\"options\":[\"bind\""

#define TMPFS "{\"destination\":\"/x\",\"type\":\"tmpfs\"}"

/* Check a configuration whose mounts and members of linux are given. */
static int check(const char *mounts, const char *linux_members, struct err *e)
{
	char *text = malloc(4096);
	struct config c;
	int len = snprintf(text, 4096 - YYJSON_PADDING_SIZE,
		"{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"},"
		"\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},\"mounts\":[%s],"
		"\"linux\":{\"namespaces\":[{\"type\":\"mount\"}%s}}",
		mounts, linux_members);
	int r;

	*e = (struct err){0};
	r = config_parse(&c, text, (size_t)len, NULL, NULL, e);
	if (r == 0)
		r = config_check(&c, e);
	config_free(&c);
	return r;
}

static void contradictions_are_named(void **state)
{
	static const struct {
		const char *mounts;
		const char *start;
	} cases[] = {
		{"{\"destination\":\"/x\",\"options\":[\"bind\"]}",
			"mounts[0].source: a bind mount needs one"},
		{"{\"destination\":\"/x\"}", "mounts[0].type: missing"},
		{"{" BIND ",\"size=1\"]}",
			"mounts[0].options: \"size=1\" is not an option of a bind mount"},
		{"{" BIND "],\"uidMappings\":" ONE "}", "mounts[0].gidMappings: missing"},
		{"{" BIND "],\"gidMappings\":" ONE "}", "mounts[0].uidMappings: missing"},
		{"{" BIND ",\"idmap\"]}", "mounts[0].options: \"idmap\" needs uidMappings or"},
		{"{" BIND ",\"ridmap\"]}", "mounts[0].options: \"idmap\" needs uidMappings or"},
		{"{\"destination\":\"/x\",\"type\":\"tmpfs\"," LISTS "}",
			"mounts[0].options: \"idmap\" is for bind mounts"},
		{"{" BIND ",\"remount\",\"idmap\"]," LISTS "}",
			"mounts[0].options: \"idmap\" is for bind mounts"},
		{"{" BIND ",\"tmpcopyup\"]}", "mounts[0].options: \"tmpcopyup\" is for a new"},
		{"{\"destination\":\"/x\",\"type\":\"mqueue\",\"options\":[\"tmpcopyup\"]}",
			"mounts[0].options: \"tmpcopyup\" is for a new tmpfs"},
		{"{\"destination\":\"/x\",\"options\":[\"remount\",\"size=1m\"]}",
			"mounts[0].options: \"size=1m\" would change a file system"},
		{"{" BIND "]},{\"destination\":\"/x\",\"options\":[\"remount\",\"size=1m\"]}",
			"mounts[1].options: \"size=1m\" would change a file system"},
		{"{\"destination\":\"/\",\"type\":\"tmpfs\"}",
			"mounts[0].destination: / is the root file system"},
		{"{\"destination\":\"//.\",\"type\":\"tmpfs\"}",
			"mounts[0].destination: / is the root file system"},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(check(cases[i].mounts, "]", &e) < 0);
		if (strncmp(e.msg, cases[i].start, strlen(cases[i].start)) != 0)
			fail_msg("%s: %s", cases[i].mounts, e.msg);
	}
}

static void what_makes_sense_passes(void **state)
{
	static const char *const mounts[] = {
		"{" BIND ",\"idmap\"]," LISTS "}",
		"{" BIND "]," LISTS "}",
		"{\"destination\":\"/x\",\"type\":\"tmpfs\",\"options\":[\"tmpcopyup\"]}",
		TMPFS ",{\"destination\":\"/x\",\"options\":[\"remount\",\"size=1m\"]}",
		"{\"destination\":\"/\",\"options\":[\"remount\",\"ro\"]}",
		"{\"destination\":\"/x\",\"options\":[\"remount\",\"bind\",\"ro\"]}",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		if (check(mounts[i], "]", &e) < 0)
			fail_msg("%s: %s", mounts[i], e.msg);
	}
	if (check("{" BIND ",\"idmap\"]}", ",{\"type\":\"user\"}]," LISTS, &e) < 0)
		fail_msg("%s", e.msg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contradictions_are_named),
		cmocka_unit_test(what_makes_sense_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
