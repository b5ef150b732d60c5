#include "runtime/api/filters.h"

#include <string.h>

int filters_read(struct filters *f, const struct call *c, const char *const *known, struct err *e)
{
	const char *text = query_str(&c->query, "filters");
	yyjson_val *key, *val, *item;
	size_t i, n, k, m;

	f->doc = NULL;
	if (!text || !text[0])
		return 0;
	f->doc = yyjson_read(text, strlen(text), 0);
	if (!yyjson_is_obj(yyjson_doc_get_root(f->doc))) {
		filters_free(f);
		return err_set(e, EINVAL, "invalid filters: expected a JSON object");
	}
	yyjson_obj_foreach (yyjson_doc_get_root(f->doc), i, n, key, val) {
		const char *const *name = known;

		while (*name && strcmp(*name, yyjson_get_str(key)) != 0)
			name++;
		if (!*name) {
			err_set(e, EINVAL, "invalid filter '%s'", yyjson_get_str(key));
			filters_free(f);
			return -EINVAL;
		}
		if (yyjson_is_obj(val))
			continue;
		yyjson_arr_foreach (val, k, m, item)
			if (!yyjson_is_str(item))
				val = NULL;
		if (!yyjson_is_arr(val)) {
			err_set(e, EINVAL, "invalid filter '%s': expected a list of strings",
				yyjson_get_str(key));
			filters_free(f);
			return -EINVAL;
		}
	}
	return 0;
}

void filters_free(struct filters *f)
{
	yyjson_doc_free(f->doc);
	f->doc = NULL;
}

bool filters_have(const struct filters *f, const char *name)
{
	yyjson_val *val = yyjson_obj_get(yyjson_doc_get_root(f->doc), name);

	return yyjson_arr_size(val) + yyjson_obj_size(val) > 0;
}

bool filters_any(const struct filters *f, const char *name,
	bool (*test)(void *arg, const char *value), void *arg)
{
	yyjson_val *val = yyjson_obj_get(yyjson_doc_get_root(f->doc), name);
	yyjson_val *key, *item;
	size_t i, n;

	if (!filters_have(f, name))
		return true;
	if (yyjson_is_obj(val)) {
		yyjson_obj_foreach (val, i, n, key, item)
			if (test(arg, yyjson_get_str(key)))
				return true;
		return false;
	}
	yyjson_arr_foreach (val, i, n, item)
		if (test(arg, yyjson_get_str(item)))
			return true;
	return false;
}

static bool is_same(void *arg, const char *value)
{
	return strcmp(arg, value) == 0;
}

bool filters_match(const struct filters *f, const char *name, const char *value)
{
	char *wanted;

	memcpy(&wanted, &value, sizeof(wanted));
	return filters_any(f, name, is_same, wanted);
}

bool filter_part(const char *text, const char *value)
{
	size_t len = strlen(value);
	size_t total = strlen(text);
	bool from_start = len && value[0] == '^';
	bool to_end = len > from_start && value[len - 1] == '$';
	size_t n = len - from_start - to_end;

	value += from_start;
	if (n > total)
		return false;
	if (from_start && to_end && n != total)
		return false;
	for (size_t i = 0; i <= total - n; i++) {
		if ((from_start && i) || (to_end && i + n != total))
			continue;
		if (memcmp(text + i, value, n) == 0)
			return true;
	}
	return false;
}

int filters_bool(const struct filters *f, const char *name, bool *ret, struct err *e)
{
	static const char *const words[] = {"0", "false", "1", "true"};

	if (!filters_have(f, name))
		return 0;
	for (size_t i = 4; i-- > 0;)
		if (filters_match(f, name, words[i])) {
			*ret = i >= 2;
			return 0;
		}
	return err_set(e, EINVAL, "invalid filter '%s'", name);
}

struct label_test {
	yyjson_val *labels;
	bool all;
};

/* "key" or "key=value"; counts what fails, so that all are looked at. */
static bool note_missing(void *arg, const char *value)
{
	struct label_test *t = arg;
	size_t len = strcspn(value, "=");
	yyjson_val *has = yyjson_obj_getn(t->labels, value, len);

	if (!has || (value[len] && !yyjson_equals_str(has, value + len + 1)))
		t->all = false;
	return false;
}

bool filters_labels(const struct filters *f, const char *name, yyjson_val *labels)
{
	struct label_test t = {labels, true};

	(void)filters_any(f, name, note_missing, &t);
	return t.all;
}
