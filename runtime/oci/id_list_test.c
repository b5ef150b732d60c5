#include "runtime/oci/id_list.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct id_list list;

static void lists_become_masks(void **state)
{
	(void)state;
	assert_int_equal(id_list_parse("0-3,7", 64, &list), 0);
	assert_true(list.bits[0] == 0x8f && list.n == 5);
	assert_int_equal(id_list_parse(" 1 , ,2 - 3,3,", 64, &list), 0);
	assert_true(list.bits[0] == 0xe && list.n == 3);
	assert_int_equal(id_list_parse("", 64, &list), 0);
	assert_true(list.bits[0] == 0 && list.n == 0);
	assert_int_equal(id_list_parse("8191", ID_LIST_BITS, &list), 0);
	assert_true(
		list.bits[ID_LIST_BITS / (8 * sizeof(long)) - 1] == 1UL << (8 * sizeof(long) - 1));
	id_list_fill(&list);
	assert_true(list.bits[1] == ~0UL);
}

static void other_text_is_refused(void **state)
{
	static const char *const bad[] = {"x", "1-", "-1", "3-2", "1--2", "1 2", "64", "0-64", "+1",
		"0x1", "1;2", "99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* Exact memory: a read behind the end is seen. */
		char *copy = strdup(bad[i]);

		if (id_list_parse(copy, 64, &list) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_become_masks),
		cmocka_unit_test(other_text_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
