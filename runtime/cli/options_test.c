#include "runtime/cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct all {
	bool it, tty;
	const char *name;
	int64_t n;
};

static const struct option table[] = {
	{'i', "interactive", NULL, "", option_bool, offsetof(struct all, it), NULL},
	{'t', "tty", NULL, "", option_bool, offsetof(struct all, tty), NULL},
	{'n', "name", "NAME", "", option_text, offsetof(struct all, name), NULL},
	{0, "number", "N", "", option_count, offsetof(struct all, n), NULL},
};

static struct all to;
static struct err e;
static char *words[16];
static int count;

/* Read @line, words divided by single blanks. Returns what options_parse does. */
static int parse(const char *line, bool ordered)
{
	static char text[256];
	const struct options options = {table, sizeof(table) / sizeof(table[0]), ordered};

	memset(&to, 0, sizeof(to));
	memset(&e, 0, sizeof(e));
	strncpy(text, line, sizeof(text) - 1);
	count = 0;
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		words[count++] = word;
	words[count] = NULL;
	return options_parse(&options, &to, &count, words, &e);
}

static void a_value_may_follow_in_every_way(void **state)
{
	static const char *const ways[] = {"c -n x", "c -nx", "c -n=x", "c --name x", "c --name=x",
		"c -itn x", "c -itnx", "c y --name x"};

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		assert_int_equal(parse(ways[i], false), 0);
		assert_string_equal(to.name, "x");
	}
	assert_int_equal(count, 2);
	assert_string_equal(words[1], "y");
	assert_null(words[2]);
}

static void switches_join_and_can_be_switched_off(void **state)
{
	(void)state;
	assert_int_equal(parse("c -it", false), 0);
	assert_true(to.it && to.tty);
	assert_int_equal(parse("c -it --tty=false", false), 0);
	assert_true(to.it && !to.tty);
	assert_int_equal(parse("c --tty=maybe", false), -EINVAL);
	assert_string_equal(
		e.msg, "invalid argument \"maybe\" for \"-t, --tty\" flag: expected true or false");
}

static void what_follows_is_the_containers_when_options_come_first(void **state)
{
	(void)state;
	assert_int_equal(parse("run -i image -t --name x", true), 0);
	assert_true(to.it && !to.tty && !to.name);
	assert_int_equal(count, 5);
	assert_string_equal(words[2], "-t");
	assert_int_equal(parse("c -i -- -t", false), 0);
	assert_true(!to.tty && count == 2);
	assert_int_equal(parse("c -", false), 0);
	assert_int_equal(count, 2);
}

static void what_is_wrong_is_said_as_docker_says_it(void **state)
{
	static const char *const wrong[][2] = {
		{"c --nope", "unknown flag: --nope"},
		{"c --nope=x", "unknown flag: --nope"},
		{"c -iz", "unknown shorthand flag: 'z' in -iz"},
		{"c --name", "flag needs an argument: --name"},
		{"c -in", "flag needs an argument: 'n' in -in"},
		{"c --number x", "invalid argument \"x\" for \"--number\" flag: expected a number"},
		{"c --number 99999999999999999999",
			"invalid argument \"99999999999999999999\" for \"--number\" flag: expected "
			"a number"},
		{"c --number -1",
			"invalid argument \"-1\" for \"--number\" flag: expected a number of at "
			"least 0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(parse(wrong[i][0], false), -EINVAL);
		assert_string_equal(e.msg, wrong[i][1]);
	}
	assert_int_equal(parse("c --help", false), -ECANCELED);
	assert_int_equal(parse("c -h", false), -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_may_follow_in_every_way),
		cmocka_unit_test(switches_join_and_can_be_switched_off),
		cmocka_unit_test(what_follows_is_the_containers_when_options_come_first),
		cmocka_unit_test(what_is_wrong_is_said_as_docker_says_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
