/* The values of the process section, and what may be wrong with them. */
#include "runtime/oci/config.h"
#include "runtime/oci/creds.h"

#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct config config;

static int parse(const char *members, struct err *e)
{
	char json[4096];
	char *text;
	int len = snprintf(json, sizeof(json),
		"{\"ociVersion\":\"1.2.0\",\"process\":{\"cwd\":\"/\",%s", members);

	config_free(&config);
	*e = (struct err){0};
	text = malloc((size_t)len + YYJSON_PADDING_SIZE);
	memcpy(text, json, (size_t)len);
	return config_parse(&config, text, (size_t)len, NULL, NULL, e);
}

static void values_are_read(void **state)
{
	const struct config_scheduler *s = &config.process.scheduler;
	struct err e;

	(void)state;
	assert_int_equal(
		parse("\"scheduler\":{\"policy\":\"SCHED_DEADLINE\",\"runtime\":1000000,"
		      "\"deadline\":2000000,\"period\":3000000,\"flags\":["
		      "\"SCHED_FLAG_RESET_ON_FORK\",\"SCHED_FLAG_DL_OVERRUN\"]},"
		      "\"execCPUAffinity\":{\"initial\":\"1\",\"final\":\"0-3, 7\"}},"
		      "\"linux\":{\"memoryPolicy\":{\"mode\":\"MPOL_INTERLEAVE\",\"nodes\":\"0-1\","
		      "\"flags\":[\"MPOL_F_STATIC_NODES\"]}}}",
			&e),
		0);
	assert_true(s->policy == 6 && s->runtime.v == 1000000 && s->deadline.v == 2000000);
	assert_true(s->period.v == 3000000 && s->flags == 5);
	assert_true(config.process.affinity_given);
	assert_string_equal(config.process.affinity_final, "0-3, 7");
	assert_true(config.memory_policy.given && config.memory_policy.mode == (3 | 1 << 15));
	assert_int_equal(parse("\"execCPUAffinity\":{\"initial\":\"\"}}}", &e), 0);
	assert_false(config.process.affinity_given);
	assert_int_equal(parse("\"scheduler\":{\"policy\":\"SCHED_RR\",\"priority\":99}}}", &e), 0);
	assert_true(s->policy == 2 && s->priority == 99);
}

static void wrong_values_are_refused_by_path(void **state)
{
	static const struct {
		const char *members;
		const char *start;
	} cases[] = {
		{"\"scheduler\":{}}}", "process.scheduler.policy: missing"},
		{"\"scheduler\":{\"policy\":\"SCHED_FAIR\"}}}",
			"process.scheduler.policy: unknown policy \"SCHED_FAIR\""},
		{"\"scheduler\":{\"policy\":\"SCHED_ISO\"}}}",
			"process.scheduler.policy: Linux has no SCHED_ISO"},
		{"\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"nice\":20}}}",
			"process.scheduler: nice: expected -20 to 19"},
		{"\"scheduler\":{\"policy\":\"SCHED_FIFO\"}}}",
			"process.scheduler: priority: expected 1 to 99 for SCHED_FIFO, got 0"},
		{"\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"priority\":1}}}",
			"process.scheduler: priority: expected 0 for SCHED_BATCH, got 1"},
		{"\"scheduler\":{\"policy\":\"SCHED_DEADLINE\",\"runtime\":1}}}",
			"process.scheduler: runtime: "},
		{"\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"period\":1}}}",
			"process.scheduler: runtime: "},
		{"\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"flags\":[\"SCHED_FLAG_X\"]}}}",
			"process.scheduler.flags[0]: unknown flag \"SCHED_FLAG_X\""},
		{"\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"flags\":["
		 "\"SCHED_FLAG_RESET_ON_FORK\",\"SCHED_FLAG_UTIL_CLAMP_MAX\"]}}}",
			"process.scheduler.flags[1]: SCHED_FLAG_UTIL_CLAMP_MAX: the specification"},
		{"\"ioPriority\":{\"class\":\"IOPRIO_CLASS_NONE\"}}}",
			"process.ioPriority.class: unknown class"},
		{"\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":8}}}",
			"process.ioPriority: priority: expected 0 to 7"},
		{"\"execCPUAffinity\":{\"initial\":\"1-\"}}}",
			"process.execCPUAffinity.initial: expected a list like 0-3,7, got \"1-\""},
		{"\"execCPUAffinity\":{\"final\":\"8192\"}}}",
			"process.execCPUAffinity.final: expected a list"},
		{"\"user\":{}},\"annotations\":{\"\":\"x\"}}",
			"annotations: a key must not be empty"},
		{"\"user\":{}},\"linux\":{\"memoryPolicy\":{}}}",
			"linux.memoryPolicy.mode: missing"},
		{"\"user\":{}},\"linux\":{\"memoryPolicy\":{\"mode\":\"MPOL_X\"}}}",
			"linux.memoryPolicy.mode: unknown mode \"MPOL_X\""},
		{"\"user\":{}},\"linux\":{\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"a\"}"
		 "}}",
			"linux.memoryPolicy.nodes: expected a list"},
		{"\"user\":{}},\"linux\":{\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"flags\":["
		 "\"MPOL_F_X\"]}}}",
			"linux.memoryPolicy.flags[0]: unknown flag \"MPOL_F_X\""},
		{"\"user\":{}},\"linux\":{\"personality\":{\"domain\":\"LINUX\",\"flags\":["
		 "\"ADDR_NO_RANDOMIZE\"]}}}",
			"linux.personality: flags: the spec defines none"},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (parse(cases[i].members, &e) == 0)
			fail_msg("%s was taken", cases[i].members);
		if (strncmp(e.msg, cases[i].start, strlen(cases[i].start)) != 0)
			fail_msg("%s: %s", cases[i].members, e.msg);
	}
}

static void unknown_capabilities_are_noted_once(void **state)
{
	const struct config_caps *caps = &config.process.caps;
	struct err e;

	(void)state;
	assert_int_equal(parse("\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"CAP_TIME_TRAVEL\"],"
			       "\"permitted\":[\"CAP_TIME_TRAVEL\",\"CAP_X\"]}}}",
				 &e),
		0);
	assert_true(caps->bounding == 1ULL << CAP_KILL && caps->permitted == 0);
	assert_int_equal(caps->n_unknown, 2);
	assert_string_equal(caps->unknown[0], "CAP_TIME_TRAVEL");
	assert_string_equal(caps->unknown[1], "CAP_X");
}

static void many_unknown_capabilities_are_bounded(void **state)
{
	char members[2048] = "\"capabilities\":{\"bounding\":[\"A\"";
	struct err e;

	(void)state;
	for (int i = 0; i < 100; i++)
		snprintf(members + strlen(members), 16, ",\"CAP_%d\"", i);
	strcat(members, "]}}}");
	assert_int_equal(parse(members, &e), 0);
	assert_int_equal(config.process.caps.n_unknown, CONFIG_UNKNOWN_CAPS_MAX);
}

/* Bits: 0 is everything's, 1 not ours, 2 only permitted, 3 only effective, 4 not bounding. */
static void sets_are_what_the_kernel_grants(void **state)
{
	const struct config_caps wanted = {.bounding = 0x0f,
		.permitted = 0x17,
		.effective = 0x1b,
		.inheritable = 0x13,
		.ambient = 0x1f};
	struct config_caps fit = creds_fit(&wanted, ~2ULL);

	(void)state;
	assert_int_equal(fit.bounding, 0x0d);
	assert_int_equal(fit.permitted, 0x15);
	assert_int_equal(fit.effective, 0x11);
	assert_int_equal(fit.inheritable, 0x01);
	assert_int_equal(fit.ambient, 0x01);
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
		cmocka_unit_test(values_are_read),
		cmocka_unit_test(wrong_values_are_refused_by_path),
		cmocka_unit_test(unknown_capabilities_are_noted_once),
		cmocka_unit_test(many_unknown_capabilities_are_bounded),
		cmocka_unit_test(sets_are_what_the_kernel_grants),
	};

	return cmocka_run_group_tests(tests, NULL, clean);
}
