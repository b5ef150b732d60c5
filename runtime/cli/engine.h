/* Questions to the engine whose answers are JSON, and the reading of these. */
#ifndef SAMPAN_CLI_ENGINE_H
#define SAMPAN_CLI_ENGINE_H

#include "runtime/cli/http.h"

#include <stdint.h>
#include <yyjson.h>

static inline void engine_doc_free(yyjson_doc **doc)
{
	yyjson_doc_free(*doc);
}

static inline void engine_mut_doc_free(yyjson_mut_doc **doc)
{
	yyjson_mut_doc_free(*doc);
}

#define AUTO_DOC __attribute__((cleanup(engine_doc_free), unused))
#define AUTO_MUT_DOC __attribute__((cleanup(engine_mut_doc_free), unused))

/*
 * Ask, and wait for the whole answer.
 * @body: its root is sent; NULL: none
 * @ret: of the answer's body, for the caller to free; NULL when it has none; may be NULL
 * Returns the status below 400; otherwise -errno with @e filled: what the engine answered becomes
 * "Error response from daemon: …", with -ENOENT for 404, -EEXIST for 409, -EIO for the others.
 */
int engine_ask(const char *method, const char *target, yyjson_mut_doc *body, yyjson_doc **ret,
	struct err *e);

/* As engine_ask() for an answer that is JSON. Returns the document or NULL. */
yyjson_doc *engine_get(const char *target, struct err *e);

/* Send @body as http_send() does and wait for the head; an error's body is read as above. */
int engine_open(struct http *h, const char *method, const char *target, yyjson_mut_doc *body,
	bool upgrade, struct err *e);

/* What a head that came says: 0, or -errno with @e from the body of an error. */
int engine_check(struct http *h, struct err *e);

/* Read the rest of an answer that is JSON; *ret is NULL when there is none. */
int engine_answer(struct http *h, yyjson_doc **ret, struct err *e);

/* "/containers/ID/json" from three parts; @id is encoded. */
int engine_target(struct buf *url, const char *before, const char *id, const char *behind);

/*
 * Read a stream of JSON texts, one per line, until its end.
 * @line: called with each; what it returns below 0 ends the reading
 * Returns 0 or -errno with @e filled.
 */
int engine_lines(struct http *h, int (*line)(void *arg, yyjson_val *val, struct err *e), void *arg,
	struct err *e);

/* The member @key; "" or 0 when it is absent or of another type. */
const char *field_text(yyjson_val *obj, const char *key);
int64_t field_int(yyjson_val *obj, const char *key);
bool field_bool(yyjson_val *obj, const char *key);

#endif
