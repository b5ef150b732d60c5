#include "runtime/oci/resources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* What becomes of @base when @change is put over it. */
static void expect_merged(const char *base, const char *change, const char *expected)
{
	yyjson_doc *from = yyjson_read(base, strlen(base), 0);
	yyjson_doc *with = yyjson_read(change, strlen(change), 0);
	yyjson_mut_doc *doc = yyjson_doc_mut_copy(from, NULL);
	char *text;

	resources_merge(doc, yyjson_mut_doc_get_root(doc), yyjson_doc_get_root(with));
	text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, NULL);
	assert_string_equal(text, expected);
	free(text);
	yyjson_mut_doc_free(doc);
	yyjson_doc_free(with);
	yyjson_doc_free(from);
}

static void a_change_leaves_the_rest(void **state)
{
	(void)state;
	expect_merged("{\"memory\":{\"limit\":10,\"swap\":30},\"pids\":{\"limit\":4}}",
		"{\"memory\":{\"limit\":20},\"cpu\":{\"cpus\":\"0-1\"}}",
		"{\"memory\":{\"limit\":20,\"swap\":30},\"pids\":{\"limit\":4},"
		"\"cpu\":{\"cpus\":\"0-1\"}}");
}

static void zero_says_as_it_was_but_for_burst_and_idle(void **state)
{
	(void)state;
	expect_merged("{\"memory\":{\"limit\":10},\"cpu\":{\"shares\":5,\"burst\":6,\"idle\":1}}",
		"{\"memory\":{\"limit\":0,\"swap\":null},"
		"\"cpu\":{\"shares\":0,\"cpus\":\"\",\"burst\":0,\"idle\":0}}",
		"{\"memory\":{\"limit\":10},\"cpu\":{\"shares\":5,\"burst\":0,\"idle\":0}}");
}

static void lists_are_replaced_and_maps_are_not(void **state)
{
	(void)state;
	expect_merged("{\"devices\":[1,2],\"unified\":{\"memory.high\":\"1\"},"
		      "\"rdma\":{\"a\":{\"hcaHandles\":1,\"hcaObjects\":2}}}",
		"{\"devices\":[3],\"unified\":{\"memory.low\":\"0\"},"
		"\"rdma\":{\"a\":{\"hcaHandles\":0}}}",
		"{\"devices\":[3],\"unified\":{\"memory.high\":\"1\",\"memory.low\":\"0\"},"
		"\"rdma\":{\"a\":{\"hcaHandles\":0,\"hcaObjects\":2}}}");
}

static void taking_off_the_memory_limit_takes_off_swaps(void **state)
{
	(void)state;
	expect_merged("{\"memory\":{\"limit\":10,\"swap\":30}}", "{\"memory\":{\"limit\":-1}}",
		"{\"memory\":{\"limit\":-1,\"swap\":-1}}");
	expect_merged("{\"memory\":{\"limit\":10,\"swap\":30}}",
		"{\"memory\":{\"limit\":-1,\"swap\":40}}",
		"{\"memory\":{\"limit\":-1,\"swap\":40}}");
}

static void what_depends_on_a_change_is_written_with_it(void **state)
{
	struct config_resources merged = {
		.memory_limit = {true, 1},
		.memory_reservation = {true, 2},
		.memory_swap = {true, 3},
		.memory_check_before_update = true,
		.cpu_shares = {true, 4},
		.cpu_idle = {true, 0},
		.cpu_quota = {true, 5},
		.cpu_period = {true, 6},
		.cpu_burst = {true, 7},
		.cpu_cpus = "0",
		.pids_limit = {true, 8},
	};
	struct config_resources change = {.memory_limit = {true, 1}};
	struct config_resources w = resources_to_write(&change, &merged);

	(void)state;
	assert_int_equal(w.memory_limit.v, 1);
	assert_int_equal(w.memory_swap.v, 3);
	assert_int_equal(w.memory_reservation.v, 0);
	assert_true(w.memory_check_before_update);
	assert_false(w.cpu_shares.set || w.cpu_quota.set || w.cpu_burst.set || w.pids_limit.set);
	assert_null(w.cpu_cpus);

	change = (struct config_resources){.cpu_quota = {true, 5}};
	w = resources_to_write(&change, &merged);
	assert_int_equal(w.cpu_period.v, 6);
	assert_int_equal(w.cpu_burst.v, 7);
	assert_false(w.cpu_shares.set || w.memory_limit.set);

	change = (struct config_resources){.cpu_idle = {true, 0}};
	w = resources_to_write(&change, &merged);
	assert_int_equal(w.cpu_shares.v, 4);
	assert_false(w.cpu_quota.set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_leaves_the_rest),
		cmocka_unit_test(zero_says_as_it_was_but_for_burst_and_idle),
		cmocka_unit_test(lists_are_replaced_and_maps_are_not),
		cmocka_unit_test(taking_off_the_memory_limit_takes_off_swaps),
		cmocka_unit_test(what_depends_on_a_change_is_written_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
