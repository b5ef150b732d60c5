/*
 * Typed reading of JSON over yyjson, with errors that name the place:
 * "linux.resources.memory.limit: expected an integer, got a string".
 *
 * A struct json_at is a value and the way to it; the nodes live on the callers' stacks, so a path
 * costs nothing until it is printed. An object is read through a table of struct json_field.
 * Strings are borrowed from the document; arrays come from the context's arena.
 */
#ifndef SAMPAN_UTIL_JSON_H
#define SAMPAN_UTIL_JSON_H

#include "lib/base/err.h"
#include "lib/util/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

/* nodes from the root to the deepest value of any format we read */
#define JSON_DEPTH_MAX 32

/* bytes of a printed path; a longer one is cut */
#define JSON_PATH_BYTES_MAX 256

struct json_ctx {
	struct arena *arena;
	/* Told the path of every key that no table knows. NULL: such a key is an error. */
	void (*unknown)(void *arg, const char *path);
	void *arg;
};

struct json_at {
	yyjson_val *val;
	const struct json_at *up;
	const char *key; /* NULL: @index counts */
	size_t index;
	const struct json_ctx *ctx;
};

/* Strings, also terminated by a NULL. */
struct json_strv {
	const char **v;
	size_t n;
};

/* Numbers for which "not given" differs from every value. */
struct json_opt_i64 {
	bool set;
	int64_t v;
};

struct json_opt_u64 {
	bool set;
	uint64_t v;
};

enum json_type {
	JSON_STR,     /* const char * */
	JSON_STRV,    /* struct json_strv */
	JSON_BOOL,    /* bool */
	JSON_I32,     /* int32_t */
	JSON_U32,     /* uint32_t */
	JSON_OPT_I64, /* struct json_opt_i64 */
	JSON_OPT_U64, /* struct json_opt_u64 */
	JSON_OBJECT,  /* fn is called; an object is required */
	JSON_ARRAY,   /* fn is called; an array is required */
	JSON_ANY,     /* fn is called with whatever stands there */
	JSON_IGNORE,  /* known, and without meaning here */
};

enum json_field_flags { JSON_REQUIRED = 1 };

struct json_field {
	const char *key;
	enum json_type type;
	/* Of the three container types; also called after a scalar was stored, to check it. */
	int (*fn)(const struct json_at *at, void *out, struct err *e);
	size_t offset; /* of the member in the struct that the table fills */
	unsigned flags;
};

/*
 * Parse @len bytes at @buf in place; the buffer must outlive the document and have
 * YYJSON_PADDING_SIZE writable bytes behind it.
 * @name: of the file, for the error "NAME:LINE:COLUMN: reason"
 * Returns the document (yyjson_doc_free) or NULL with @e filled.
 */
yyjson_doc *json_parse(char *buf, size_t len, const char *name, struct err *e);

/*
 * Read the file @name below @dirfd whole and parse it. The text, as it stands in the file, and the
 * document live in @arena.
 * @max: bytes; a larger file is refused
 * Returns the document or NULL with @e filled.
 */
yyjson_doc *json_load_at(int dirfd, const char *name, size_t max, struct arena *arena,
	const char **ret_text, size_t *ret_len, struct err *e);

/* What yyjson reads or writes with this lives in @arena; freeing it does nothing. */
yyjson_alc json_alc(struct arena *arena);

/* Record "PATH: message". Returns -errnum. */
int json_err(const struct json_at *at, int errnum, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Print the path of @at: "mounts[2].options", "(top)" for the root. Returns @buf. */
char *json_path(const struct json_at *at, char buf[static JSON_PATH_BYTES_MAX]);

/*
 * Read the object @at through @fields into the struct at @out. A key that stands twice, one of the
 * wrong type and a required one that is missing are errors; null is as if not given.
 * Returns 0 or -errno with @e filled.
 */
int json_object(const struct json_at *at, const struct json_field *fields, size_t n_fields,
	void *out, struct err *e);

/*
 * Read the array @at: @ret_items gets @ret_n structs of @size bytes, each filled by @fn.
 * Returns 0 or -errno with @e filled.
 */
int json_array(const struct json_at *at, size_t size,
	int (*fn)(const struct json_at *item, void *out, struct err *e), void **ret_items,
	size_t *ret_n, struct err *e);

int json_str(const struct json_at *at, const char **ret, struct err *e);
int json_strv(const struct json_at *at, struct json_strv *ret, struct err *e);
int json_u64(const struct json_at *at, uint64_t max, uint64_t *ret, struct err *e);
int json_i64(const struct json_at *at, int64_t min, int64_t max, int64_t *ret, struct err *e);

/* The value of @at must be @want ("an object"). Returns 0 or -EINVAL. */
int json_want(const struct json_at *at, bool ok, const char *want, struct err *e);

#endif
