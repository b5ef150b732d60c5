/*
 * The API's JSON objects as tables: what a client sent becomes the whole object as Docker stores
 * and shows it, every field in its place with its default. Unknown fields are dropped; a field of
 * the wrong type is refused by its path.
 */
#ifndef SAMPAN_API_SHAPE_H
#define SAMPAN_API_SHAPE_H

#include "lib/base/err.h"

#include <stddef.h>
#include <yyjson.h>

enum shape_kind {
	SHAPE_STR,
	SHAPE_BOOL,
	SHAPE_INT,
	SHAPE_STRV,    /* array of strings */
	SHAPE_WORDS,   /* a string, which becomes an array of one, or an array of strings */
	SHAPE_STR_MAP, /* object of strings */
	SHAPE_SET,     /* object of empty objects */
	SHAPE_OBJ,     /* @sub */
	SHAPE_LIST,    /* array of @sub */
	SHAPE_MAP,     /* object of @sub */
	SHAPE_LISTS,   /* object of arrays of @sub: port bindings */
	SHAPE_INTS,    /* array of numbers */
	SHAPE_STRVS,   /* array of arrays of strings */
};

struct shape {
	const struct shape_field *fields;
	size_t n;
};

struct shape_field {
	const char *key;
	enum shape_kind kind;
	const char *absent; /* JSON text for when it is not given; NULL: then it is left out */
	const struct shape *sub;
};

/*
 * Bring @val into @shape.
 * @val: NULL: all defaults
 * @where: the object's name, for errors: "HostConfig"
 * Returns an object of @doc, or NULL with @e filled.
 */
yyjson_mut_val *shape_apply(yyjson_mut_doc *doc, yyjson_val *val, const struct shape *shape,
	const char *where, struct err *e);

extern const struct shape shape_config;
extern const struct shape shape_host_config;
extern const struct shape shape_networking_config;
extern const struct shape shape_volume;
extern const struct shape shape_exec_config;
extern const struct shape shape_exec_start;

#endif
