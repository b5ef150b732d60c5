#include "init/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static char buf[8192];

static void test_every_type_has_a_size_and_passes_at_that_size_only(void **state)
{
	unsigned types = 0;

	(void)state;
	for (uint32_t type = 0; type < 300; type++) {
		size_t len = init_msg_len(type);

		if (len == 0)
			continue;
		types++;
		assert_true(len >= sizeof(struct init_header) && len <= sizeof(buf) - 1);
		init_msg_begin(buf, type, "name");
		assert_null(init_msg_check(buf, len));
		assert_non_null(init_msg_check(buf, len - 1));
		assert_non_null(init_msg_check(buf, len + 1));
	}
	assert_int_equal(types, (INIT_REQUESTS - INIT_STATUS) + (INIT_ANSWERS - INIT_OK));
}

/* The sanitizer sees a read behind the end of a buffer that is exactly as long as the packet. */
static void test_no_packet_is_read_behind_its_end(void **state)
{
	(void)state;
	init_msg_begin(buf, INIT_KEEP_FD, "name");
	for (size_t len = 0; len < sizeof(struct init_fd); len++) {
		char *exact = malloc(len + 1);

		assert_non_null(exact);
		memcpy(exact + 1, buf, len);
		assert_non_null(init_msg_check(exact + 1, len));
		free(exact);
	}
}

static void test_lies_about_length_and_type_are_seen(void **state)
{
	struct init_header h;

	(void)state;
	init_msg_begin(&h, INIT_START, "a");
	h.len++;
	assert_string_equal(init_msg_check(&h, sizeof(h)), "wrong length");
	init_msg_begin(&h, INIT_START, "a");
	h.type = INIT_LOG_DATA;
	assert_string_equal(init_msg_check(&h, sizeof(h)), "wrong length");
	h.type = UINT32_MAX;
	assert_string_equal(init_msg_check(&h, sizeof(h)), "unknown type");
	h.type = INIT_REQUESTS;
	assert_string_equal(init_msg_check(&h, sizeof(h)), "unknown type");
}

static void test_an_id_without_end_is_refused_and_never_made(void **state)
{
	struct init_header h;
	char name[2 * INIT_ID_BYTES];

	(void)state;
	memset(name, 'x', sizeof(name));
	init_msg_begin(&h, INIT_START, name);
	assert_null(init_msg_check(&h, sizeof(h)));
	assert_int_equal(strlen(h.id), INIT_ID_BYTES - 1);
	h.id[INIT_ID_BYTES - 1] = 'x';
	assert_string_equal(init_msg_check(&h, sizeof(h)), "id not terminated");
}

/* What clients in other languages, and engines of another build, rely on. */
static void test_the_layout_is_fixed(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct init_header), 80);
	assert_int_equal(sizeof(struct init_index), 88);
	assert_int_equal(sizeof(struct init_logs), 96);
	assert_int_equal(sizeof(struct init_log_data), 96 + INIT_LOG_BYTES);
	assert_int_equal(sizeof(struct init_adopt), 88);
	assert_int_equal(sizeof(struct init_fd), 104);
	assert_int_equal(sizeof(struct init_exit), 104);
	assert_int_equal(sizeof(struct init_error), 248);
	assert_int_equal(sizeof(struct init_service_info), 440);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_has_a_size_and_passes_at_that_size_only),
		cmocka_unit_test(test_no_packet_is_read_behind_its_end),
		cmocka_unit_test(test_lies_about_length_and_type_are_seen),
		cmocka_unit_test(test_an_id_without_end_is_refused_and_never_made),
		cmocka_unit_test(test_the_layout_is_fixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
