#include "runtime/oci/criu_message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void is_written(const struct criu_writer *w, const char *bytes, size_t len)
{
	assert_int_equal(w->error, 0);
	assert_int_equal(w->buf.len, len);
	assert_memory_equal(w->buf.v, bytes, len);
}

#define IS_WRITTEN(w, literal) is_written(w, literal, sizeof(literal) - 1)

static void fields_are_written_as_protobuf_has_them(void **state)
{
	AUTO_CRIU_WRITER struct criu_writer w = {0};
	AUTO_CRIU_WRITER struct criu_writer negative = {0};
	AUTO_CRIU_WRITER struct criu_writer text = {0};
	AUTO_CRIU_WRITER struct criu_writer pair = {0};
	AUTO_CRIU_WRITER struct criu_writer inherit = {0};

	(void)state;
	/* The first is the example of "Encoding". */
	criu_put_number(&w, 1, 150);
	criu_put_number(&w, CRIU_ORPHAN_PTS_MASTER, true);
	criu_put_number(&w, 2, 0);
	IS_WRITTEN(&w, "\x08\x96\x01\x90\x03\x01\x10\x00");
	criu_put_number(&negative, 1, -1);
	IS_WRITTEN(&negative, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
	criu_put_text(&text, 2, "testing");
	criu_put_text(&text, CRIU_CONFIG_FILE, "");
	IS_WRITTEN(&text, "\x12\x07testing\x9a\x03\x00");
	criu_put_pair(&pair, CRIU_EXT_MNT, "/a", "/bc");
	IS_WRITTEN(&pair, "\xba\x01\x09\x0a\x02/a\x12\x03/bc");
	criu_put_numbered(&inherit, CRIU_INHERIT_FD, "p", 5);
	IS_WRITTEN(&inherit, "\xda\x01\x05\x0a\x01p\x10\x05");
}

static void requests_are_written_whole(void **state)
{
	AUTO_CRIU_WRITER struct criu_writer opts = {0};
	AUTO_CRIU_WRITER struct criu_writer dump = {0};
	AUTO_CRIU_WRITER struct criu_writer version = {0};
	AUTO_CRIU_WRITER struct criu_writer yes = {0};
	AUTO_CRIU_WRITER struct criu_writer no = {0};
	AUTO_CRIU_WRITER struct criu_writer features = {0};

	(void)state;
	criu_put_number(&opts, CRIU_IMAGES_DIR_FD, 7);
	criu_put_request(&dump, CRIU_DUMP, &opts);
	IS_WRITTEN(&dump, "\x08\x01\x12\x02\x08\x07");
	criu_put_request(&version, CRIU_VERSION, NULL);
	IS_WRITTEN(&version, "\x08\x0a");
	criu_put_notified(&yes, true);
	IS_WRITTEN(&yes, "\x08\x06\x18\x01");
	criu_put_notified(&no, false);
	IS_WRITTEN(&no, "\x08\x06\x18\x00");
	criu_put_feature_check(&features);
	IS_WRITTEN(&features, "\x08\x09\x2a\x02\x08\x01");
}

static int read_bytes(const char *bytes, size_t len, struct criu_response *r)
{
	memset(r, 0xee, sizeof(*r));
	return criu_read_response(bytes, len, r);
}

#define READ(literal, r) read_bytes(literal, sizeof(literal) - 1, r)

static void answers_are_read(void **state)
{
	struct criu_response r;

	(void)state;
	assert_int_equal(READ("\x08\x0a\x10\x01\x52\x06\x08\x03\x10\x11\x20\x02", &r), 0);
	assert_true(r.type == CRIU_VERSION && r.success);
	assert_true(r.major == 3 && r.minor == 17 && r.sublevel == 2);
	assert_int_equal(READ("\x08\x06\x10\x01\x2a\x07\x0a\x02hi\x10\x96\x01", &r), 0);
	assert_true(r.type == CRIU_NOTIFY && criu_text_is(&r.script, "hi"));
	assert_false(criu_text_is(&r.script, "h") || criu_text_is(&r.script, "hi!"));
	assert_int_equal(r.notify_pid, 150);
	assert_int_equal(READ("\x08\x02\x10\x00\x38\x10\x4a\x03why\x22\x02\x08\x05", &r), 0);
	assert_true(!r.success && r.error == 16 && criu_text_is(&r.error_text, "why"));
	assert_int_equal(r.restored_pid, 5);
	assert_false(criu_text_is(&r.script, ""));
	assert_int_equal(READ("\x08\x09\x10\x01\x42\x02\x08\x01", &r), 0);
	assert_true(r.mem_track == 1);
	/* a negative number, as CRIU sends cr_errno */
	assert_int_equal(
		READ("\x08\x01\x10\x00\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &r), 0);
	assert_int_equal(r.error, -1);
}

static void what_is_not_known_is_skipped(void **state)
{
	struct criu_response r;

	(void)state;
	/* fields 11, 100 (bytes), 101 (fixed64), 102 (fixed32) */
	assert_int_equal(READ("\x58\x01\x08\x01\xa2\x06\x03xyz\x10\x01\xa9\x06"
			      "12345678\xb5\x06"
			      "1234",
				 &r),
		0);
	assert_true(r.type == CRIU_DUMP && r.success);
	/* the last one counts */
	assert_int_equal(READ("\x08\x01\x10\x01\x08\x02", &r), 0);
	assert_true(r.type == CRIU_RESTORE);
}

static void what_is_no_answer_is_refused(void **state)
{
	struct criu_response r;

	(void)state;
	assert_int_equal(READ("", &r), -EBADMSG);
	assert_int_equal(READ("\x08\x01", &r), -EBADMSG); /* no success */
	assert_int_equal(READ("\x10\x01", &r), -EBADMSG); /* no type */
	assert_int_equal(READ("\x0a\x01"
			      "a\x10\x01",
				 &r),
		-EBADMSG); /* a text for a number */
	assert_int_equal(
		READ("\x08\x01\x10\x01\x28\x01", &r), -EBADMSG); /* a number for a message */
	assert_int_equal(READ("\x08\x01\x10\x01\x00\x01", &r), -EBADMSG); /* field 0 */
	assert_int_equal(READ("\x08\x01\x10\x01\x0b", &r), -EBADMSG);	  /* a group */
	assert_int_equal(READ("\x08\x01\x10\x01\x4a\x04"
			      "abc",
				 &r),
		-EBADMSG);
	assert_int_equal(
		READ("\x08\x01\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", &r), -EBADMSG);
	/* and what was there stays */
	assert_int_equal(r.type, 0xeeeeeeee);
}

static void every_truncation_is_safe(void **state)
{
	static const char whole[] =
		"\x08\x06\x10\x01\x2a\x07\x0a\x02hi\x10\x96\x01\x52\x04\x08\x03\x10\x11";
	struct criu_response r;

	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		int n = criu_read_response(whole, len, &r);

		assert_true(n == 0 || n == -EBADMSG);
		assert_true(n == 0 || len < 4 || len > 4);
	}
}

static void find(const char *log, const char *want)
{
	struct criu_text found;

	criu_find_error(log, strlen(log), &found);
	if (want)
		assert_true(criu_text_is(&found, want));
	else
		assert_null(found.v);
}

static void the_last_error_of_a_log_is_found(void **state)
{
	(void)state;
	find("(1) Error (a.c:1): first\n(2) Error (b.c:2): last\n(3) done\n",
		"Error (b.c:2): last");
	find("(1) Error: without a newline", "Error: without a newline");
	find("(1) an error\n(2) Erro\nr\n", NULL);
	find("(1) Error (a.c:1): why\n(2) Error (cr-dump.c:9): Dumping FAILED.\n",
		"Error (a.c:1): why");
	find("(1) Error (cr-restore.c:9): Restoring FAILED.\n", NULL);
	find("\n\n", NULL);
	find("", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_written_as_protobuf_has_them),
		cmocka_unit_test(requests_are_written_whole),
		cmocka_unit_test(answers_are_read),
		cmocka_unit_test(what_is_not_known_is_skipped),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(every_truncation_is_safe),
		cmocka_unit_test(the_last_error_of_a_log_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
