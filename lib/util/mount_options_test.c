#include "lib/util/mount_options.h"

#include <linux/mount.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct arena arena;

static int parse(struct mount_options *o, size_t n, const char **words)
{
	const struct json_strv v = {.v = words, .n = n};

	return mount_options_parse(&arena, &v, o);
}

#define PARSE(o, ...)                                                                              \
	parse(o, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                           \
		(const char *[]){__VA_ARGS__})

static void attributes_and_data_are_sorted(void **state)
{
	struct mount_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "nosuid", "noexec", "mode=755", "size=64k", "sync"), 0);
	assert_true(o.top.set == (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
	assert_true(o.top.clear == 0);
	assert_int_equal(o.data.n, 3);
	assert_string_equal(o.data.v[0], "mode=755");
	assert_string_equal(o.data.v[2], "sync");
	assert_false(o.bind);
}

static void a_later_word_wins(void **state)
{
	struct mount_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "ro", "rw"), 0);
	assert_true(o.top.set == 0 && o.top.clear == MOUNT_ATTR_RDONLY);
	assert_int_equal(PARSE(&o, "rw", "ro"), 0);
	assert_true(o.top.set == MOUNT_ATTR_RDONLY && o.top.clear == 0);
	assert_int_equal(PARSE(&o, "private", "rshared", "slave"), 0);
	assert_true(o.top.propagation == MS_SLAVE && o.all.propagation == 0);
	assert_int_equal(PARSE(&o, "slave", "rprivate"), 0);
	assert_true(o.top.propagation == 0 && o.all.propagation == MS_PRIVATE);
}

static void one_access_time_mode_replaces_another(void **state)
{
	struct mount_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "noatime", "strictatime"), 0);
	assert_true(o.top.set == MOUNT_ATTR_STRICTATIME);
	/* mount_setattr(2) takes an access-time mode only with the whole field cleared. */
	assert_true((o.top.clear & MOUNT_ATTR__ATIME) == MOUNT_ATTR__ATIME);
	assert_int_equal(PARSE(&o, "noatime", "relatime"), 0);
	assert_true(o.top.set == MOUNT_ATTR_RELATIME);
}

static void recursive_words_go_to_the_whole_tree(void **state)
{
	struct mount_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "rbind", "rro", "nosuid", "rprivate"), 0);
	assert_true(o.bind && o.recursive_bind);
	assert_true(o.all.set == MOUNT_ATTR_RDONLY && o.all.propagation == MS_PRIVATE);
	assert_true(o.top.set == MOUNT_ATTR_NOSUID);
	assert_int_equal(PARSE(&o, "bind", "rnosuid", "rsuid"), 0);
	assert_false(o.recursive_bind);
	assert_true(o.all.clear == MOUNT_ATTR_NOSUID && o.all.set == 0);
}

static void an_access_time_mode_is_taken_back_by_its_opposite_alone(void **state)
{
	struct mount_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "noatime", "norelatime", "nostrictatime"), 0);
	assert_true(o.top.set == MOUNT_ATTR_NOATIME);
	assert_int_equal(PARSE(&o, "rstrictatime", "ratime"), 0);
	assert_true(o.all.set == MOUNT_ATTR_STRICTATIME);
	assert_int_equal(PARSE(&o, "noatime", "atime"), 0);
	assert_true(o.top.set == MOUNT_ATTR_RELATIME);
	/* Of a mount that has a mode already, the field is cleared. */
	assert_int_equal(PARSE(&o, "atime"), 0);
	assert_true(o.top.clear == MOUNT_ATTR__ATIME);
}

static void mapping_and_remounting_are_told_apart(void **state)
{
	struct mount_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "bind", "idmap"), 0);
	assert_true(o.idmap && !o.recursive_idmap && !o.remount);
	assert_int_equal(PARSE(&o, "ridmap", "remount"), 0);
	assert_true(o.idmap && o.recursive_idmap && o.remount && !o.bind);
}

static void words_that_may_have_no_meaning_are_known(void **state)
{
	(void)state;
	assert_true(mount_option_is_hint("acl"));
	assert_true(mount_option_is_hint("noiversion"));
	assert_false(mount_option_is_hint("sync"));
	assert_false(mount_option_is_hint("fantasy"));
}

static void an_empty_word_says_nothing(void **state)
{
	struct mount_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "", "ro", "", "size=1"), 0);
	assert_true(o.top.set == MOUNT_ATTR_RDONLY);
	assert_int_equal(o.data.n, 1);
}

static void propagation_words_are_known(void **state)
{
	uint64_t flag;
	bool recursive;

	(void)state;
	assert_int_equal(mount_propagation("rslave", &flag, &recursive), 0);
	assert_true(flag == MS_SLAVE && recursive);
	assert_int_equal(mount_propagation("unbindable", &flag, &recursive), 0);
	assert_true(flag == MS_UNBINDABLE && !recursive);
	assert_int_equal(mount_propagation("ro", &flag, &recursive), -EINVAL);
	assert_int_equal(mount_propagation("", &flag, &recursive), -EINVAL);
}

static void every_listed_name_is_accepted(void **state)
{
	struct mount_options o;
	const char *name;
	size_t i;

	(void)state;
	for (i = 0; (name = mount_option_name(i)); i++)
		assert_int_equal(parse(&o, 1, &name), 0);
	assert_true(i > 50);
}

static int clean(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_and_data_are_sorted),
		cmocka_unit_test(a_later_word_wins),
		cmocka_unit_test(one_access_time_mode_replaces_another),
		cmocka_unit_test(recursive_words_go_to_the_whole_tree),
		cmocka_unit_test(an_access_time_mode_is_taken_back_by_its_opposite_alone),
		cmocka_unit_test(mapping_and_remounting_are_told_apart),
		cmocka_unit_test(words_that_may_have_no_meaning_are_known),
		cmocka_unit_test(an_empty_word_says_nothing),
		cmocka_unit_test(propagation_words_are_known),
		cmocka_unit_test(every_listed_name_is_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, clean);
}
