#include "lib/util/json.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static yyjson_doc *parse(char *buf, size_t len, const char *name, yyjson_read_flag flags,
	const yyjson_alc *alc, struct err *e)
{
	yyjson_read_err why;
	yyjson_doc *doc;
	size_t line = 1;
	size_t column = 1;

	if (len == 0) {
		err_set(e, EINVAL, "%s: empty, expected a JSON object", name);
		return NULL;
	}
	doc = yyjson_read_opts(buf, len, flags, alc, &why);
	if (doc)
		return doc;
	for (size_t i = 0; i < why.pos && i < len; i++) {
		column++;
		if (buf[i] == '\n') {
			line++;
			column = 1;
		}
	}
	err_set(e, EINVAL, "%s:%zu:%zu: %s", name, line, column, why.msg);
	return NULL;
}

yyjson_doc *json_parse(char *buf, size_t len, const char *name, struct err *e)
{
	memset(buf + len, 0, YYJSON_PADDING_SIZE);
	return parse(buf, len, name, YYJSON_READ_INSITU, NULL, e);
}

static void *alc_malloc(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void *alc_realloc(void *arena, void *p, size_t old, size_t size)
{
	return arena_resize(arena, p, old, size);
}

static void alc_free(void *arena, void *p)
{
	(void)arena;
	(void)p;
}

yyjson_alc json_alc(struct arena *arena)
{
	return (yyjson_alc){alc_malloc, alc_realloc, alc_free, arena};
}

yyjson_doc *json_load_at(int dirfd, const char *name, size_t max, struct arena *arena,
	const char **ret_text, size_t *ret_len, struct err *e)
{
	AUTO_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const yyjson_alc alc = json_alc(arena);
	yyjson_doc *doc;
	struct stat st;
	char *buf;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_set(e, errno, "open %s: %s", name, strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max) {
		err_set(e, EFBIG, "%s: expected a file of at most %zu bytes", name, max);
		return NULL;
	}
	buf = arena_alloc(arena, (size_t)st.st_size + 1);
	if (!buf) {
		err_set(e, ENOMEM, "%s: out of memory", name);
		return NULL;
	}
	n = io_read_all(fd, buf, (size_t)st.st_size);
	if (n < 0) {
		err_set(e, (int)-n, "read %s: %s", name, strerror((int)-n));
		return NULL;
	}
	doc = parse(buf, (size_t)n, name, 0, &alc, e);
	if (!doc)
		return NULL;
	*ret_text = buf;
	*ret_len = (size_t)n;
	return doc;
}

char *json_path(const struct json_at *at, char buf[static JSON_PATH_BYTES_MAX])
{
	const struct json_at *way[JSON_DEPTH_MAX];
	size_t depth = 0;
	size_t len = 0;

	for (; at && at->up && depth < JSON_DEPTH_MAX; at = at->up)
		way[depth++] = at;
	memcpy(buf, "(top)", sizeof("(top)"));
	while (depth-- > 0 && len < JSON_PATH_BYTES_MAX - 1) {
		const struct json_at *node = way[depth];
		size_t room = JSON_PATH_BYTES_MAX - len;
		int n;

		if (node->key)
			n = snprintf(buf + len, room, "%s%s", len ? "." : "", node->key);
		else
			n = snprintf(buf + len, room, "[%zu]", node->index);
		len += n < 0 ? 0 : (size_t)n;
	}
	return buf;
}

int json_err(const struct json_at *at, int errnum, struct err *e, const char *fmt, ...)
{
	char path[JSON_PATH_BYTES_MAX];
	char msg[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	return err_set(e, errnum, "%s: %s", json_path(at, path), msg);
}

int json_want(const struct json_at *at, bool ok, const char *want, struct err *e)
{
	const char *desc;
	const char *got;

	if (ok)
		return 0;
	got = desc = yyjson_get_type_desc(at->val);
	if (strcmp(desc, "true") == 0 || strcmp(desc, "false") == 0)
		got = "a boolean";
	else if (yyjson_is_int(at->val))
		got = "an integer";
	else if (yyjson_is_real(at->val))
		got = "a fraction";
	else if (yyjson_is_str(at->val))
		got = "a string";
	else if (yyjson_is_arr(at->val))
		got = "an array";
	else if (yyjson_is_obj(at->val))
		got = "an object";
	return json_err(at, EINVAL, e, "expected %s, got %s", want, got);
}

int json_str(const struct json_at *at, const char **ret, struct err *e)
{
	const char *s;
	int r = json_want(at, yyjson_is_str(at->val), "a string", e);

	if (r < 0)
		return r;
	s = yyjson_get_str(at->val);
	if (strlen(s) != yyjson_get_len(at->val))
		return json_err(at, EINVAL, e, "a string may not contain a NUL character");
	*ret = s;
	return 0;
}

static int json_str_item(const struct json_at *at, void *out, struct err *e)
{
	return json_str(at, out, e);
}

int json_strv(const struct json_at *at, struct json_strv *ret, struct err *e)
{
	void *items;
	int r = json_array(at, sizeof(char *), json_str_item, &items, &ret->n, e);

	if (r == 0)
		ret->v = items;
	return r;
}

int json_u64(const struct json_at *at, uint64_t max, uint64_t *ret, struct err *e)
{
	bool negative = yyjson_is_sint(at->val) && yyjson_get_sint(at->val) < 0;
	int r = json_want(at, yyjson_is_int(at->val), "an integer", e);
	uint64_t v;

	if (r < 0)
		return r;
	v = yyjson_get_uint(at->val);
	if (negative || v > max)
		return json_err(at, ERANGE, e, "expected 0 to %llu, got %s%llu",
			(unsigned long long)max, negative ? "-" : "",
			(unsigned long long)(negative ? 0 - v : v));
	*ret = v;
	return 0;
}

int json_i64(const struct json_at *at, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
	int r = json_want(at, yyjson_is_int(at->val), "an integer", e);
	bool too_big;
	int64_t v;

	if (r < 0)
		return r;
	too_big = yyjson_is_uint(at->val) && yyjson_get_uint(at->val) > INT64_MAX;
	v = yyjson_get_sint(at->val);
	if (too_big || v < min || v > max)
		return json_err(
			at, ERANGE, e, "expected %lld to %lld", (long long)min, (long long)max);
	*ret = v;
	return 0;
}

int json_array(const struct json_at *at, size_t size,
	int (*fn)(const struct json_at *item, void *out, struct err *e), void **ret_items,
	size_t *ret_n, struct err *e)
{
	int r = json_want(at, yyjson_is_arr(at->val), "an array", e);
	size_t n = yyjson_arr_size(at->val);
	yyjson_arr_iter it;
	yyjson_val *val;
	char *items;

	if (r < 0)
		return r;
	/* One more than needed: an array of pointers then ends with NULL. */
	items = arena_calloc(at->ctx->arena, n + 1, size);
	if (!items)
		return json_err(at, ENOMEM, e, "out of memory");
	yyjson_arr_iter_init(at->val, &it);
	for (size_t i = 0; (val = yyjson_arr_iter_next(&it)); i++) {
		struct json_at item = {.val = val, .up = at, .index = i, .ctx = at->ctx};

		r = fn(&item, items + i * size, e);
		if (r < 0)
			return r;
	}
	*ret_items = items;
	*ret_n = n;
	return 0;
}

static int json_bool(const struct json_at *at, bool *ret, struct err *e)
{
	int r = json_want(at, yyjson_is_bool(at->val), "a boolean", e);

	if (r == 0)
		*ret = yyjson_get_bool(at->val);
	return r;
}

static int json_store(
	const struct json_at *at, const struct json_field *f, void *out, struct err *e)
{
	void *member = (char *)out + f->offset;
	struct json_opt_i64 *opt_i = member;
	struct json_opt_u64 *opt_u = member;
	uint64_t u;
	int64_t i;
	int r = 0;

	switch (f->type) {
	case JSON_STR:
		r = json_str(at, member, e);
		break;
	case JSON_STRV:
		r = json_strv(at, member, e);
		break;
	case JSON_BOOL:
		r = json_bool(at, member, e);
		break;
	case JSON_I32:
		r = json_i64(at, INT32_MIN, INT32_MAX, &i, e);
		if (r == 0)
			*(int32_t *)member = (int32_t)i;
		break;
	case JSON_U32:
		r = json_u64(at, UINT32_MAX, &u, e);
		if (r == 0)
			*(uint32_t *)member = (uint32_t)u;
		break;
	case JSON_OPT_I64:
		r = json_i64(at, INT64_MIN, INT64_MAX, &opt_i->v, e);
		opt_i->set = r == 0;
		break;
	case JSON_OPT_U64:
		r = json_u64(at, UINT64_MAX, &opt_u->v, e);
		opt_u->set = r == 0;
		break;
	case JSON_OBJECT:
		r = json_want(at, yyjson_is_obj(at->val), "an object", e);
		break;
	case JSON_ARRAY:
		r = json_want(at, yyjson_is_arr(at->val), "an array", e);
		break;
	case JSON_ANY:
	case JSON_IGNORE:
		break;
	}
	if (r == 0 && f->fn)
		r = f->fn(at, out, e);
	return r;
}

static const struct json_field *json_find(
	const struct json_field *fields, size_t n_fields, yyjson_val *key)
{
	const char *name = yyjson_get_str(key);

	/* Measured names only where the text is equal: most comparisons end at the first byte. */
	for (size_t i = 0; i < n_fields; i++) {
		if (strcmp(name, fields[i].key) == 0)
			return yyjson_equals_str(key, fields[i].key) ? &fields[i] : NULL;
	}
	return NULL;
}

int json_object(const struct json_at *at, const struct json_field *fields, size_t n_fields,
	void *out, struct err *e)
{
	int r = json_want(at, yyjson_is_obj(at->val), "an object", e);
	char path[JSON_PATH_BYTES_MAX];
	yyjson_obj_iter it;
	uint64_t seen = 0;
	uint64_t given = 0;
	yyjson_val *key;

	if (r < 0)
		return r;
	yyjson_obj_iter_init(at->val, &it);
	while ((key = yyjson_obj_iter_next(&it))) {
		const struct json_field *f = json_find(fields, n_fields, key);
		struct json_at value = {.val = yyjson_obj_iter_get_val(key),
			.up = at,
			.key = yyjson_get_str(key),
			.ctx = at->ctx};
		uint64_t bit;

		if (!f && !at->ctx->unknown)
			return json_err(&value, EINVAL, e, "unknown key");
		if (!f) {
			at->ctx->unknown(at->ctx->arg, json_path(&value, path));
			continue;
		}
		/* Two readers may disagree on which of two equal keys counts: none does. */
		bit = 1ULL << (f - fields);
		if (seen & bit)
			return json_err(&value, EINVAL, e, "the key stands twice");
		seen |= bit;
		if (yyjson_is_null(value.val))
			continue;
		given |= bit;
		r = json_store(&value, f, out, e);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < n_fields; i++) {
		struct json_at value = {.up = at, .key = fields[i].key, .ctx = at->ctx};

		if ((fields[i].flags & JSON_REQUIRED) && !(given & 1ULL << i))
			return json_err(&value, EINVAL, e, "missing");
	}
	return 0;
}
