#include "lib/util/duration.h"
#include "runtime/cli/format.h"
#include "runtime/cli/stream.h"
#include "runtime/cli/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void durations_read_as_dockers(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{0, "Less than a second"},
		{1, "1 second"},
		{59, "59 seconds"},
		{60, "About a minute"},
		{120, "2 minutes"},
		{3599, "59 minutes"},
		{3600, "About an hour"},
		{5399, "About an hour"},
		{5400, "2 hours"},
		{47 * 3600, "47 hours"},
		{48 * 3600, "2 days"},
		{13 * 86400, "13 days"},
		{14 * 86400, "2 weeks"},
		{59 * 86400, "8 weeks"},
		{60 * 86400, "2 months"},
		{729 * 86400, "24 months"},
		{730 * 86400, "2 years"},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		duration_in_words(cases[i].seconds, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

static void sizes_read_as_dockers(void **state)
{
	char text[32];

	(void)state;
	format_size(999, 3, text, sizeof(text));
	assert_string_equal(text, "999B");
	format_size(1981952, 3, text, sizeof(text));
	assert_string_equal(text, "1.98MB");
	format_size(1981952, 4, text, sizeof(text));
	assert_string_equal(text, "1.982MB");
	format_binary_size(1536, text, sizeof(text));
	assert_string_equal(text, "1.5KiB");
}

static void bytes_and_durations_are_read_whole_or_not_at_all(void **state)
{
	static const char *const wrong[] = {
		"", "x", "1x", "1mm", "-1", "1 m b", "1ib", "1bb", "99999999999t"};
	static const char *const no_duration[] = {"", "1", "s", "1h30", "1d", "-1s", "1.2.3s"};
	int64_t n = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(format_parse_bytes(wrong[i], &n), -EINVAL);
	for (size_t i = 0; i < sizeof(no_duration) / sizeof(no_duration[0]); i++)
		assert_int_equal(format_parse_duration(no_duration[i], &n), -EINVAL);
	assert_int_equal(n, 7);
	assert_int_equal(format_parse_bytes("1.5g", &n), 0);
	assert_int_equal(n, 3 << 29);
	assert_int_equal(format_parse_bytes("64KiB", &n), 0);
	assert_int_equal(n, 65536);
	assert_int_equal(format_parse_bytes("12 MB", &n), 0);
	assert_int_equal(n, 12 << 20);
	assert_int_equal(format_parse_bytes("100b", &n), 0);
	assert_int_equal(n, 100);
	assert_int_equal(format_parse_duration("1h1m0.5s2ms", &n), 0);
	assert_int_equal(n, 3660502000000);
}

static void moments_are_seconds_dates_or_so_long_ago(void **state)
{
	static const char *const cases[][2] = {
		{"1700000000.5", "1700000000.5"},
		{"10m", "1699999400.000000000"},
		{"1.5s", "1699999998.500000000"},
		{"2023-11-14T22:13:20Z", "1700000000.000000000"},
		{"2023-11-14T22:13:20.25Z", "1700000000.250000000"},
		{"2023-11-15T00:13:20+02:00", "1700000000.000000000"},
		{"2023-11-14T22:13", "1699999980.000000000"},
		{"2023-11-14", "1699920000.000000000"},
	};
	static const char *const wrong[] = {"", "x", "2023-11-14T22:13:20+2", "2023-11-14Tx",
		"2023-11-14T22:13:20.Z", "2023-11-14T22:13:20.1234567890Z"};
	char text[48];

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(format_moment(cases[i][0], 1700000000, text, sizeof(text)), 0);
		assert_string_equal(text, cases[i][1]);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(format_moment(wrong[i], 1700000000, text, sizeof(text)), -EINVAL);
}

static void text_is_cut_by_characters_and_quoted_as_in_go(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_int_equal(format_quoted(&b, "a\"\n\x01ü", 0), 0);
	assert_string_equal(b.v, "\"a\\\"\\n\\x01ü\"");
	buf_consume(&b, b.len);
	assert_int_equal(format_cut(&b, "äöüß", 4), 0);
	assert_int_equal(format_cut(&b, "äöüß", 3), 0);
	assert_string_equal(b.v, "äöüßäö…");
	buf_free(&b);
}

static void a_template_has_fields_and_json_and_nothing_else(void **state)
{
	static const char *const cases[][2] = {
		{"{{.A}}-{{ .B.C }}", "x-1"},
		{"{{json .B}}\\t{{json .}}",
			"{\"C\":1}\t{\"A\":\"x\",\"B\":{\"C\":1},\"D\":[1,\"y\"],\"E\":null}"},
		{"{{.B}} {{.D}} {{.E}} {{.F}} {{.A.B}}",
			"map[C:1] [1 y] <nil> <no value> <no value>"},
		{"{{json .F}}", "null"},
		{"plain\\n}}", "plain\n}}"},
	};
	static const char *const wrong[] = {"{{.A", "{{A}}", "{{.A | upper}}", "{{len .A}}",
		"{{.A..B}}", "{{}}", "{{if .A}}", "{{json A}}"};
	static const char text[] = "{\"A\":\"x\",\"B\":{\"C\":1},\"D\":[1,\"y\"],\"E\":null}";
	yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
	yyjson_mut_doc *copy = yyjson_doc_mut_copy(doc, NULL);
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = {0};

		assert_int_equal(
			template_fill(&b, cases[i][0], yyjson_mut_doc_get_root(copy), &e), 0);
		assert_string_equal(b.v, cases[i][1]);
		buf_free(&b);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct buf b = {0};

		assert_int_equal(
			template_fill(&b, wrong[i], yyjson_mut_doc_get_root(copy), &e), -EINVAL);
		buf_free(&b);
	}
	yyjson_mut_doc_free(copy);
	yyjson_doc_free(doc);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_int_equal(
		table_align(&b, "A\tLONGER NAME\tC\nx…\t\tthe last one is free\n", 10, 3), 0);
	assert_string_equal(
		b.v, "A         LONGER NAME   C\nx…                      the last one is free\n");
	buf_free(&b);
}

struct outputs {
	struct buf text[3];
};

static int collect(void *arg, int which, const char *bytes, size_t len)
{
	return buf_add(&((struct outputs *)arg)->text[which], bytes, len);
}

static void pieces_are_told_apart_wherever_the_stream_is_cut(void **state)
{
	static const char stream[] = "\1\0\0\0\0\0\0\3one\2\0\0\0\0\0\0\2er\1\0\0\0\0\0\0\0"
				     "\1\0\0\0\0\0\0\1!";
	const size_t len = sizeof(stream) - 1;

	(void)state;
	for (size_t first = 0; first <= len; first++) {
		for (size_t second = first; second <= len; second++) {
			struct demux d = {0};
			struct outputs out = {0};

			assert_int_equal(demux_feed(&d, stream, first, collect, &out), 0);
			assert_int_equal(
				demux_feed(&d, stream + first, second - first, collect, &out), 0);
			assert_int_equal(
				demux_feed(&d, stream + second, len - second, collect, &out), 0);
			assert_string_equal(out.text[1].v, "one!");
			assert_string_equal(out.text[2].v, "er");
			buf_free(&out.text[1]);
			buf_free(&out.text[2]);
		}
	}
	assert_int_equal(
		demux_feed(&(struct demux){0}, "\3\0\0\0\0\0\0\1x", 9, collect, NULL), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_read_as_dockers),
		cmocka_unit_test(sizes_read_as_dockers),
		cmocka_unit_test(bytes_and_durations_are_read_whole_or_not_at_all),
		cmocka_unit_test(moments_are_seconds_dates_or_so_long_ago),
		cmocka_unit_test(text_is_cut_by_characters_and_quoted_as_in_go),
		cmocka_unit_test(a_template_has_fields_and_json_and_nothing_else),
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(pieces_are_told_apart_wherever_the_stream_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
