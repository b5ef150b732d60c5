#include "init/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdint.h>
#include <string.h>

static struct ring ring;
static char text[3 * LOG_RING_BYTES];
static char got[LOG_RING_BYTES + 1];

static int setup(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
	return 0;
}

static void test_what_is_written_is_read_once(void **state)
{
	uint64_t cursor = 0;

	(void)state;
	ring_write(&ring, "abc", 3);
	assert_int_equal(ring_read(&ring, &cursor, got, 2), 2);
	assert_int_equal(ring_read(&ring, &cursor, got + 2, 5), 1);
	assert_memory_equal(got, "abc", 3);
	assert_int_equal(ring_read(&ring, &cursor, got, 5), 0);
	assert_int_equal(cursor, 3);
}

/* Whatever the sizes of the pieces, the last LOG_RING_BYTES are there, in order. */
static void test_the_newest_bytes_stay(void **state)
{
	static const size_t pieces[] = {1, 7, 1000, LOG_RING_BYTES - 1, LOG_RING_BYTES,
		LOG_RING_BYTES + 1, 2 * LOG_RING_BYTES + 5};

	for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
		uint64_t cursor = 0;

		setup(state);
		for (size_t at = 0; at < sizeof(text);) {
			size_t n = sizeof(text) - at < pieces[p] ? sizeof(text) - at : pieces[p];

			ring_write(&ring, text + at, n);
			at += n;
		}
		assert_int_equal(ring_start(&ring), sizeof(text) - LOG_RING_BYTES);
		assert_int_equal(ring_read(&ring, &cursor, got, sizeof(got)), LOG_RING_BYTES);
		assert_memory_equal(got, text + sizeof(text) - LOG_RING_BYTES, LOG_RING_BYTES);
		assert_int_equal(cursor, sizeof(text));
	}
}

static void test_a_cursor_from_elsewhere_is_moved_to_what_there_is(void **state)
{
	uint64_t cursor = UINT64_MAX;

	(void)state;
	ring_write(&ring, "abc", 3);
	assert_int_equal(ring_read(&ring, &cursor, got, 5), 0);
	assert_int_equal(cursor, 3);
	ring_write(&ring, text, LOG_RING_BYTES);
	cursor = 1;
	assert_int_equal(ring_read(&ring, &cursor, got, 1), 1);
	assert_int_equal(cursor, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_what_is_written_is_read_once, setup),
		cmocka_unit_test_setup(test_the_newest_bytes_stay, setup),
		cmocka_unit_test_setup(
			test_a_cursor_from_elsewhere_is_moved_to_what_there_is, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
