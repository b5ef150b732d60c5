#include "lib/util/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct thing {
	const char *name;
	struct json_strv words;
	bool on;
	int32_t small;
	uint32_t id;
	struct json_opt_i64 limit;
	struct json_opt_u64 size;
	struct thing *items;
	size_t n_items;
};

#define AT(member) offsetof(struct thing, member)

static int read_item(const struct json_at *at, void *out, struct err *e);

static int read_items(const struct json_at *at, void *out, struct err *e)
{
	struct thing *t = out;
	void *items;
	int r = json_array(at, sizeof(*t), read_item, &items, &t->n_items, e);

	t->items = r == 0 ? items : NULL;
	return r;
}

static const struct json_field fields[] = {
	{"name", JSON_STR, NULL, AT(name), 0},
	{"words", JSON_STRV, NULL, AT(words), 0},
	{"on", JSON_BOOL, NULL, AT(on), 0},
	{"small", JSON_I32, NULL, AT(small), 0},
	{"id", JSON_U32, NULL, AT(id), JSON_REQUIRED},
	{"limit", JSON_OPT_I64, NULL, AT(limit), 0},
	{"size", JSON_OPT_U64, NULL, AT(size), 0},
	{"items", JSON_ARRAY, read_items, 0, 0},
	{"other", JSON_IGNORE, NULL, 0, 0},
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static int read_item(const struct json_at *at, void *out, struct err *e)
{
	return json_object(at, fields, N_FIELDS, out, e);
}

static char unknown_seen[256];

static void note_unknown(void *arg, const char *path)
{
	(void)arg;
	strncat(unknown_seen, path, sizeof(unknown_seen) - strlen(unknown_seen) - 2);
	strcat(unknown_seen, ";");
}

/* What the last reading points to; freed before the next. */
static struct arena arena;
static yyjson_doc *doc;
static char *text;

static void forget(void)
{
	yyjson_doc_free(doc);
	free(text);
	arena_free(&arena);
	doc = NULL;
	text = NULL;
}

static int read_text(const char *json, bool strict, struct thing *t, struct err *e)
{
	const struct json_ctx ctx = {.arena = &arena, .unknown = strict ? NULL : note_unknown};
	struct json_at top = {.ctx = &ctx};
	size_t len = strlen(json);

	forget();
	*t = (struct thing){0};
	*e = (struct err){0};
	unknown_seen[0] = '\0';
	text = malloc(len + YYJSON_PADDING_SIZE);
	memcpy(text, json, len);
	doc = json_parse(text, len, "x.json", e);
	if (!doc)
		return -e->code;
	top.val = yyjson_doc_get_root(doc);
	return json_object(&top, fields, N_FIELDS, t, e);
}

static void every_type_is_read(void **state)
{
	struct thing t;
	struct err e;

	(void)state;
	assert_int_equal(read_text("{\"name\":\"n\",\"words\":[\"a\",\"b\"],\"on\":true,"
				   "\"small\":-2147483648,\"id\":4294967295,"
				   "\"limit\":-9223372036854775808,\"size\":18446744073709551615,"
				   "\"items\":[{\"id\":1},{\"id\":2}],\"other\":[{}]}",
				 true, &t, &e),
		0);
	assert_string_equal(t.name, "n");
	assert_int_equal(t.words.n, 2);
	assert_string_equal(t.words.v[1], "b");
	assert_null(t.words.v[2]);
	assert_true(t.on);
	assert_int_equal(t.small, INT32_MIN);
	assert_int_equal(t.id, UINT32_MAX);
	assert_true(t.limit.set && t.limit.v == INT64_MIN);
	assert_true(t.size.set && t.size.v == UINT64_MAX);
	assert_int_equal(t.n_items, 2);
	assert_int_equal(t.items[1].id, 2);
}

static void errors_name_the_path(void **state)
{
	static const struct {
		const char *json;
		const char *msg;
	} cases[] = {
		{"{\"id\":\"7\"}", "id: expected an integer, got a string"},
		{"{\"id\":1.5}", "id: expected an integer, got a fraction"},
		{"{\"id\":-1}", "id: expected 0 to 4294967295, got -1"},
		{"{\"id\":4294967296}", "id: expected 0 to 4294967295, got 4294967296"},
		{"{\"id\":1,\"size\":-1}", "size: expected 0 to 18446744073709551615, got -1"},
		{"{\"id\":1,\"small\":2147483648}", "small: expected -2147483648 to 2147483647"},
		{"{\"id\":1,\"limit\":9223372036854775808}",
			"limit: expected -9223372036854775808 to 9223372036854775807"},
		{"{\"id\":1,\"on\":0}", "on: expected a boolean, got an integer"},
		{"{\"id\":1,\"name\":true}", "name: expected a string, got a boolean"},
		{"{\"id\":1,\"name\":\"a\\u0000b\"}",
			"name: a string may not contain a NUL character"},
		{"{\"id\":1,\"words\":{}}", "words: expected an array, got an object"},
		{"{\"id\":1,\"words\":[\"a\",null]}", "words[1]: expected a string, got null"},
		{"{\"id\":1,\"items\":[{\"id\":1},{\"id\":2,\"items\":[{\"id\":[]}]}]}",
			"items[1].items[0].id: expected an integer, got an array"},
		{"{\"id\":1,\"items\":[{}]}", "items[0].id: missing"},
		{"{\"id\":1,\"id\":1}", "id: the key stands twice"},
		{"{\"id\":1,\"new\":1}", "new: unknown key"},
		{"{}", "id: missing"},
		{"{\"id\":null}", "id: missing"},
		{"[]", "(top): expected an object, got an array"},
		{"", "x.json: empty, expected a JSON object"},
	};
	struct thing t;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(read_text(cases[i].json, true, &t, &e) < 0);
		assert_string_equal(e.msg, cases[i].msg);
		assert_true(e.code > 0);
	}
}

static void broken_syntax_is_told_with_line_and_column(void **state)
{
	static const char where[] = "x.json:2:9: ";
	struct thing t;
	struct err e;

	(void)state;
	assert_int_equal(read_text("{\n  \"id\": ]}", true, &t, &e), -EINVAL);
	assert_memory_equal(e.msg, where, sizeof(where) - 1); /* what follows is the parser's */
}

static void null_is_as_if_not_given(void **state)
{
	struct thing t;
	struct err e;

	(void)state;
	assert_int_equal(
		read_text("{\"id\":1,\"name\":null,\"limit\":null,\"items\":null}", true, &t, &e),
		0);
	assert_null(t.name);
	assert_false(t.limit.set);
}

static void unknown_keys_are_told_with_their_path(void **state)
{
	struct thing t;
	struct err e;

	(void)state;
	assert_int_equal(
		read_text("{\"a\":{},\"id\":1,\"items\":[{\"id\":1,\"b\":1}]}", false, &t, &e), 0);
	assert_string_equal(unknown_seen, "a;items[0].b;");
}

static void deep_and_long_paths_are_cut(void **state)
{
	char key[JSON_PATH_BYTES_MAX * 2];
	struct json_at nodes[JSON_DEPTH_MAX * 2] = {0};
	char buf[JSON_PATH_BYTES_MAX];

	(void)state;
	memset(key, 'k', sizeof(key));
	key[sizeof(key) - 1] = '\0';
	for (size_t i = 1; i < JSON_DEPTH_MAX * 2; i++) {
		nodes[i].up = &nodes[i - 1];
		nodes[i].key = key;
	}
	assert_int_equal(
		strlen(json_path(&nodes[JSON_DEPTH_MAX * 2 - 1], buf)), JSON_PATH_BYTES_MAX - 1);
}

static void arena_gives_zeroed_memory_and_refuses_overflow(void **state)
{
	struct arena a = {0};
	char *big = arena_calloc(&a, 1, 100000);
	uint64_t *numbers = arena_calloc(&a, 3, sizeof(uint64_t));

	(void)state;
	assert_non_null(big);
	assert_int_equal(big[99999], 0);
	assert_int_equal((uintptr_t)numbers % _Alignof(max_align_t), 0);
	assert_int_equal(numbers[2], 0);
	assert_null(arena_calloc(&a, SIZE_MAX, 2));
	assert_null(arena_calloc(&a, SIZE_MAX - 4, 1));
	assert_string_equal(arena_strndup(&a, "hello", 4), "hell");
	arena_free(&a);
	assert_null(a.head);
}

static int clean(void **state)
{
	(void)state;
	forget();
	return 0;
}

static void the_newest_object_grows_in_its_place(void **state)
{
	struct arena a = {0};
	char *first = arena_alloc(&a, 10);
	char *second = arena_alloc(&a, 20);
	char *moved;

	(void)state;
	memcpy(first, "123456789", 10);
	memcpy(second, "abc", 4);
	assert_ptr_equal(arena_resize(&a, second, 20, 4000), second);
	assert_ptr_equal(arena_resize(&a, second, 4000, 20), second);
	/* the room it had is free again, and what it has is its own */
	assert_true((char *)arena_alloc(&a, 8) < second + 64);
	second = arena_alloc(&a, 4);
	assert_ptr_equal(arena_resize(&a, second, 4, 400), second);
	assert_true((char *)arena_alloc(&a, 8) >= second + 400);
	memcpy(second, "abc", 4);

	moved = arena_resize(&a, first, 10, 1000);
	assert_ptr_not_equal(moved, first);
	assert_string_equal(moved, "123456789");
	assert_string_equal(second, "abc");
	memset(moved, 'x', 1000);
	assert_string_equal(second, "abc");
	/* larger than any block that is there */
	moved = arena_resize(&a, moved, 1000, 1000000);
	memset(moved + 1000, 'y', 999000);
	assert_int_equal(moved[999], 'x');
	assert_null(arena_resize(&a, moved, 1000000, SIZE_MAX));
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_is_read),
		cmocka_unit_test(errors_name_the_path),
		cmocka_unit_test(broken_syntax_is_told_with_line_and_column),
		cmocka_unit_test(null_is_as_if_not_given),
		cmocka_unit_test(unknown_keys_are_told_with_their_path),
		cmocka_unit_test(deep_and_long_paths_are_cut),
		cmocka_unit_test(arena_gives_zeroed_memory_and_refuses_overflow),
		cmocka_unit_test(the_newest_object_grows_in_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, clean);
}
