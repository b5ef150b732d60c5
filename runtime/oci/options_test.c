#include "runtime/oci/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

struct opts {
	bool force;
	const char *root;
	struct json_strv env;
	uint32_t fds;
};

static const struct option_spec specs[] = {
	{"force", 'f', OPTION_FLAG, offsetof(struct opts, force), ""},
	{"root", 0, OPTION_STR, offsetof(struct opts, root), ""},
	{"env", 'e', OPTION_LIST, offsetof(struct opts, env), ""},
	{"fds", 0, OPTION_U32, offsetof(struct opts, fds), ""},
	{"old", 0, OPTION_IGNORE, 0, ""},
	{"no-pivot", 0, OPTION_REFUSE, 0, "is not supported"},
};

static int parse(struct opts *o, char ***rest, struct err *e, char **args)
{
	*o = (struct opts){0};
	*e = (struct err){0};
	return options_parse(specs, sizeof(specs) / sizeof(specs[0]), args, o, rest, e);
}

#define WORDS(...)                                                                                 \
	(char *[])                                                                                 \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

/* String literals are const here; the parser gets what main gets. */
static char force[] = "--force", force_no[] = "--force=false", short_f[] = "-f", root[] = "--root",
	    root_is[] = "--root=/x", dir[] = "/y", e1[] = "-e", env[] = "--env=B=2", a1[] = "A=1",
	    fds[] = "--fds", three[] = "3", old[] = "--old", pivot[] = "--no-pivot", id[] = "id",
	    dashes[] = "--", wrong[] = "--wrong", cluster[] = "-fe", maybe[] = "--force=maybe",
	    pivot_no[] = "--no-pivot=false", dash[] = "-";

static void options_in_all_forms(void **state)
{
	struct opts o;
	struct err e;
	char **rest;

	(void)state;
	assert_int_equal(parse(&o, &rest, &e,
				 WORDS(force, root, dir, e1, a1, env, fds, three, old, pivot_no, id,
					 short_f)),
		0);
	assert_true(o.force);
	assert_string_equal(o.root, "/y");
	assert_int_equal(o.env.n, 2);
	assert_string_equal(o.env.v[1], "B=2");
	assert_int_equal(o.fds, 3);
	assert_string_equal(rest[0], "id");
	assert_string_equal(rest[1], "-f"); /* behind the first word everything is a word */
	free(o.env.v);
	assert_int_equal(parse(&o, &rest, &e, WORDS(short_f, force_no, root_is, dashes, force)), 0);
	assert_false(o.force);
	assert_string_equal(o.root, "/x");
	assert_string_equal(rest[0], "--force");
	assert_int_equal(parse(&o, &rest, &e, WORDS(dash)), 0);
	assert_string_equal(rest[0], "-");
}

static void mistakes_are_named(void **state)
{
	struct opts o;
	struct err e;
	char **rest;

	(void)state;
	assert_int_equal(parse(&o, &rest, &e, WORDS(wrong)), -EINVAL);
	assert_string_equal(e.msg, "unknown option --wrong");
	assert_int_equal(parse(&o, &rest, &e, WORDS(cluster)), -EINVAL);
	assert_int_equal(parse(&o, &rest, &e, WORDS(root)), -EINVAL);
	assert_string_equal(e.msg, "--root: expected a value");
	assert_int_equal(parse(&o, &rest, &e, WORDS(fds, id)), -EINVAL);
	assert_string_equal(e.msg, "--fds: expected a number, got \"id\"");
	assert_int_equal(parse(&o, &rest, &e, WORDS(maybe)), -EINVAL);
	assert_int_equal(parse(&o, &rest, &e, WORDS(pivot)), -ENOTSUP);
	assert_string_equal(e.msg, "--no-pivot: is not supported");
}

static void mixed_options_may_stand_behind_words(void **state)
{
	struct opts o = {0};
	struct err e = {0};
	char **rest;
	char *args[] = {short_f, id, root, dir, dash, dashes, three, fds, NULL};

	(void)state;
	assert_int_equal(
		options_parse_mixed(specs, sizeof(specs) / sizeof(specs[0]), args, &o, &rest, &e),
		0);
	assert_true(o.force);
	assert_string_equal(o.root, "/y");
	assert_string_equal(rest[0], "id");
	assert_string_equal(rest[1], "-");
	assert_string_equal(rest[2], "3");
	assert_string_equal(rest[3], "--fds");
	assert_null(rest[4]);
	args[0] = id;
	args[1] = wrong;
	assert_int_equal(
		options_parse_mixed(specs, sizeof(specs) / sizeof(specs[0]), args, &o, &rest, &e),
		-EINVAL);
	assert_string_equal(e.msg, "unknown option --wrong");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mixed_options_may_stand_behind_words),
		cmocka_unit_test(options_in_all_forms),
		cmocka_unit_test(mistakes_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
