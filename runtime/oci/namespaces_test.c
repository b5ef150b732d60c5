#include "runtime/oci/namespaces.h"

#include <linux/sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct ns_plan plan_of(const struct config *c)
{
	struct ns_plan plan;

	ns_plan_make(c, &plan);
	return plan;
}

static void new_namespaces_are_made_by_clone3(void **state)
{
	const struct config c = {.ns = {[NS_MOUNT].given = true,
					 [NS_PID].given = true,
					 [NS_NET].given = true,
					 [NS_USER].given = true,
					 [NS_TIME].given = true}};
	struct ns_plan plan = plan_of(&c);

	(void)state;
	assert_true(plan.clone_flags ==
		    (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUSER | CLONE_NEWTIME));
	assert_false(plan.intermediate || plan.new_cgroup || plan.offset_time);
	assert_int_equal(plan.join_before | plan.join_after, 0);
}

static void a_cgroup_namespace_waits_for_the_cgroup(void **state)
{
	const struct config c = {.ns = {[NS_MOUNT].given = true, [NS_CGROUP].given = true}};
	struct ns_plan plan = plan_of(&c);

	(void)state;
	assert_true(plan.new_cgroup);
	assert_true(plan.clone_flags == CLONE_NEWNS);
}

static void clocks_are_set_before_anybody_is_inside(void **state)
{
	const struct config c = {
		.ns = {[NS_MOUNT].given = true, [NS_TIME].given = true}, .boottime.given = true};
	struct ns_plan plan = plan_of(&c);

	(void)state;
	assert_true(plan.offset_time);
	assert_true(plan.clone_flags == CLONE_NEWNS);
}

static void joining_pid_takes_a_process_in_between(void **state)
{
	const struct config c = {
		.ns = {[NS_MOUNT].given = true, [NS_PID] = {true, "/p"}, [NS_NET] = {true, "/n"}}};
	struct ns_plan plan = plan_of(&c);

	(void)state;
	assert_true(plan.intermediate);
	assert_int_equal(plan.join_before, 1U << NS_PID | 1U << NS_NET);
	assert_int_equal(plan.join_after, 0);
}

static void a_foreign_user_namespace_owns_what_is_new(void **state)
{
	const struct config c = {
		.ns = {[NS_MOUNT].given = true, [NS_USER] = {true, "/u"}, [NS_PID] = {true, "/p"}}};
	struct ns_plan plan = plan_of(&c);

	(void)state;
	assert_true(plan.intermediate);
	assert_int_equal(plan.join_before, 1U << NS_USER | 1U << NS_PID);
	assert_int_equal(plan.join_after, 0);
}

static void a_new_user_namespace_has_no_rights_over_old_ones(void **state)
{
	const struct config c = {
		.ns = {[NS_MOUNT].given = true, [NS_USER].given = true, [NS_NET] = {true, "/n"}}};
	struct ns_plan plan = plan_of(&c);

	(void)state;
	assert_true(plan.intermediate);
	assert_int_equal(plan.join_before, 1U << NS_NET);
}

static void a_new_user_namespace_may_live_in_an_old_pid_namespace(void **state)
{
	const struct config c = {
		.ns = {[NS_MOUNT].given = true, [NS_USER].given = true, [NS_PID] = {true, "/p"}}};
	struct ns_plan plan = plan_of(&c);

	(void)state;
	assert_true(plan.intermediate);
	assert_int_equal(plan.join_before, 1U << NS_PID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_namespaces_are_made_by_clone3),
		cmocka_unit_test(a_cgroup_namespace_waits_for_the_cgroup),
		cmocka_unit_test(clocks_are_set_before_anybody_is_inside),
		cmocka_unit_test(joining_pid_takes_a_process_in_between),
		cmocka_unit_test(a_foreign_user_namespace_owns_what_is_new),
		cmocka_unit_test(a_new_user_namespace_may_live_in_an_old_pid_namespace),
		cmocka_unit_test(a_new_user_namespace_has_no_rights_over_old_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
