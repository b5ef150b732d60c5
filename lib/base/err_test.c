#include "lib/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void set_records_code_and_line(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(err_set(&e, ENOENT, "open %s: %s", "x", "gone"), -ENOENT);
	assert_int_equal(e.code, ENOENT);
	assert_string_equal(e.msg, "open x: gone");
	assert_int_equal(err_set(NULL, EPERM, "nobody listens"), -EPERM);
}

static void wrap_puts_context_in_front(void **state)
{
	struct err e = {0};

	(void)state;
	err_set(&e, EINVAL, "not a number");
	assert_int_equal(err_wrap(&e, "%s:%d", "web", 3), -EINVAL);
	assert_string_equal(e.msg, "web:3: not a number");
}

static void long_messages_are_cut_and_terminated(void **state)
{
	char longer[ERR_MSG_MAX * 2];
	struct err e = {0};

	(void)state;
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	err_set(&e, EIO, "%s", longer);
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
	for (size_t len = ERR_MSG_MAX - 6; len < ERR_MSG_MAX + 2; len++) {
		err_set(&e, EIO, "%s", longer);
		assert_int_equal(err_wrap(&e, "%.*s", (int)len, longer), -EIO);
		assert_true(strlen(e.msg) < ERR_MSG_MAX);
	}
}

static void control_characters_become_question_marks(void **state)
{
	struct err e = {0};

	(void)state;
	err_set(&e, EINVAL, "entry %s: bad", "a\nroot: fine\033[2J\177\xc3\xa9");
	assert_string_equal(e.msg, "entry a?root: fine?[2J?\xc3\xa9: bad");
	err_wrap(&e, "%s", "x\r\n");
	assert_string_equal(e.msg, "x??: entry a?root: fine?[2J?\xc3\xa9: bad");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_records_code_and_line),
		cmocka_unit_test(wrap_puts_context_in_front),
		cmocka_unit_test(long_messages_are_cut_and_terminated),
		cmocka_unit_test(control_characters_become_question_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
