#include "runtime/api/shape.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* bytes of a path in an error; a longer one is cut */
#define PATH_BYTES 192

static yyjson_mut_val *wrong(struct err *e, const char *where, const char *want, yyjson_val *got)
{
	err_set(e, EINVAL, "invalid JSON: %s: expected %s, got %s", where, want,
		yyjson_get_type_desc(got));
	return NULL;
}

static yyjson_mut_val *default_of(yyjson_mut_doc *doc, const struct shape_field *f)
{
	yyjson_doc *absent = yyjson_read(f->absent, strlen(f->absent), 0);
	yyjson_mut_val *val = absent ? yyjson_val_mut_copy(doc, yyjson_doc_get_root(absent)) : NULL;

	yyjson_doc_free(absent);
	return val;
}

/* @is: what each item has to be, which @want names: "an array of strings" */
static yyjson_mut_val *copy_array(yyjson_mut_doc *doc, yyjson_val *val, bool (*is)(yyjson_val *),
	const char *want, const char *where, struct err *e)
{
	yyjson_mut_val *out = yyjson_mut_arr(doc);
	yyjson_val *item;
	size_t i, n;

	if (!yyjson_is_arr(val))
		return wrong(e, where, want, val);
	yyjson_arr_foreach (val, i, n, item) {
		if (!is(item))
			return wrong(e, where, want, item);
		yyjson_mut_arr_append(out, yyjson_val_mut_copy(doc, item));
	}
	return out;
}

static yyjson_mut_val *copy_strings(
	yyjson_mut_doc *doc, yyjson_val *val, const char *where, struct err *e)
{
	return copy_array(doc, val, yyjson_is_str, "an array of strings", where, e);
}

static yyjson_mut_val *copy_rows(
	yyjson_mut_doc *doc, yyjson_val *val, const char *where, struct err *e)
{
	yyjson_mut_val *out = yyjson_mut_arr(doc);
	yyjson_val *item;
	size_t i, n;

	if (!yyjson_is_arr(val))
		return wrong(e, where, "an array of arrays of strings", val);
	yyjson_arr_foreach (val, i, n, item) {
		yyjson_mut_val *row = copy_strings(doc, item, where, e);

		if (!row)
			return NULL;
		yyjson_mut_arr_append(out, row);
	}
	return out;
}

static yyjson_mut_val *copy_list(yyjson_mut_doc *doc, yyjson_val *val, const struct shape *sub,
	const char *where, struct err *e)
{
	yyjson_mut_val *out = yyjson_mut_arr(doc);
	char path[PATH_BYTES];
	yyjson_val *item;
	size_t i, n;

	if (yyjson_is_null(val))
		return yyjson_mut_null(doc);
	if (!yyjson_is_arr(val))
		return wrong(e, where, "an array of objects", val);
	yyjson_arr_foreach (val, i, n, item) {
		yyjson_mut_val *made;

		(void)snprintf(path, sizeof(path), "%.160s[%zu]", where, i);
		made = shape_apply(doc, item, sub, path, e);
		if (!made)
			return NULL;
		yyjson_mut_arr_append(out, made);
	}
	return out;
}

static yyjson_mut_val *copy_map_item(yyjson_mut_doc *doc, yyjson_val *item,
	const struct shape_field *f, const char *path, struct err *e)
{
	switch (f->kind) {
	case SHAPE_STR_MAP:
		return yyjson_is_str(item) ? yyjson_val_mut_copy(doc, item)
					   : wrong(e, path, "a string", item);
	case SHAPE_SET:
		return yyjson_is_obj(item) || yyjson_is_null(item)
			       ? yyjson_mut_obj(doc)
			       : wrong(e, path, "an empty object", item);
	case SHAPE_LISTS:
		return copy_list(doc, item, f->sub, path, e);
	default:
		return yyjson_is_null(item) ? yyjson_mut_null(doc)
					    : shape_apply(doc, item, f->sub, path, e);
	}
}

static yyjson_mut_val *copy_map(yyjson_mut_doc *doc, yyjson_val *val, const struct shape_field *f,
	const char *where, struct err *e)
{
	yyjson_mut_val *out = yyjson_mut_obj(doc);
	char path[PATH_BYTES];
	yyjson_val *key, *item;
	size_t i, n;

	if (!yyjson_is_obj(val))
		return wrong(e, where, "an object", val);
	yyjson_obj_foreach (val, i, n, key, item) {
		yyjson_mut_val *made;

		(void)snprintf(path, sizeof(path), "%.128s.%.60s", where, yyjson_get_str(key));
		made = copy_map_item(doc, item, f, path, e);
		if (!made)
			return NULL;
		yyjson_mut_obj_put(out, yyjson_val_mut_copy(doc, key), made);
	}
	return out;
}

static yyjson_mut_val *copy_field(yyjson_mut_doc *doc, yyjson_val *val, const struct shape_field *f,
	const char *where, struct err *e)
{
	switch (f->kind) {
	case SHAPE_STR:
		return yyjson_is_str(val) ? yyjson_val_mut_copy(doc, val)
					  : wrong(e, where, "a string", val);
	case SHAPE_BOOL:
		return yyjson_is_bool(val) ? yyjson_val_mut_copy(doc, val)
					   : wrong(e, where, "true or false", val);
	case SHAPE_INT:
		return yyjson_is_int(val) ? yyjson_val_mut_copy(doc, val)
					  : wrong(e, where, "a whole number", val);
	case SHAPE_WORDS:
		if (yyjson_is_str(val)) {
			yyjson_mut_val *one = yyjson_mut_arr(doc);

			yyjson_mut_arr_append(one, yyjson_val_mut_copy(doc, val));
			return one;
		}
		return copy_strings(doc, val, where, e);
	case SHAPE_STRV:
		return copy_strings(doc, val, where, e);
	case SHAPE_INTS:
		return copy_array(doc, val, yyjson_is_int, "an array of numbers", where, e);
	case SHAPE_STRVS:
		return copy_rows(doc, val, where, e);
	case SHAPE_OBJ:
		return shape_apply(doc, val, f->sub, where, e);
	case SHAPE_LIST:
		return copy_list(doc, val, f->sub, where, e);
	default:
		return copy_map(doc, val, f, where, e);
	}
}

yyjson_mut_val *shape_apply(yyjson_mut_doc *doc, yyjson_val *val, const struct shape *shape,
	const char *where, struct err *e)
{
	yyjson_mut_val *out = yyjson_mut_obj(doc);
	char path[PATH_BYTES];

	if (val && !yyjson_is_obj(val) && !yyjson_is_null(val))
		return wrong(e, where, "an object", val);
	for (size_t i = 0; i < shape->n; i++) {
		const struct shape_field *f = &shape->fields[i];
		yyjson_val *given = yyjson_obj_get(val, f->key);
		yyjson_mut_val *made;

		if (yyjson_is_null(given))
			given = NULL;
		if (!given && !f->absent)
			continue;
		(void)snprintf(
			path, sizeof(path), "%.128s%s%s", where, where[0] ? "." : "", f->key);
		made = given ? copy_field(doc, given, f, path, e) : default_of(doc, f);
		if (!made) {
			if (e && !e->code)
				err_set(e, ENOMEM, "out of memory");
			return NULL;
		}
		yyjson_mut_obj_add_val(doc, out, f->key, made);
	}
	return out;
}
