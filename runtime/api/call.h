/* One call of the API: the request at hand and the ways to answer it. */
#ifndef SAMPAN_API_CALL_H
#define SAMPAN_API_CALL_H

#include "lib/base/err.h"
#include "runtime/api/http.h"
#include "runtime/api/query.h"

#include <yyjson.h>

/* The versions of the Docker Engine API that are served, as minor numbers of 1.x. */
#define API_MINOR_MIN 24
#define API_MINOR_MAX 51

/* parameters in the path of a route */
#define CALL_PARAMS_MAX 2

struct engine;

struct call {
	struct engine *engine;
	struct http_conn *conn;
	struct query query;
	int minor;		       /* API version 1.minor */
	char *params[CALL_PARAMS_MAX]; /* what stood for {name} in the route, in order */
};

/*
 * A handler answers by one of the functions below, or returns -errno with @e filled before anything
 * was sent: ENOENT becomes 404, EEXIST and EBUSY 409, EINVAL 400, EPERM 403, ENOTSUP 501, EALREADY
 * 304, ECONNREFUSED 503, all else 500. Once an answer has begun, an error ends the connection.
 */
typedef int (*call_handler)(struct call *c, struct err *e);

/* Answer with a document, which is freed; NULL is out of memory. */
int call_reply(struct call *c, int status, yyjson_mut_doc *doc, struct err *e);

/* Answer without a body: 204, 200 or 201. */
int call_reply_empty(struct call *c, int status);

int call_reply_error(struct call *c, const struct err *e);

/*
 * Read the body as a JSON document.
 * @ret_doc: NULL for an empty body where @optional; yyjson_doc_free by the caller
 * Returns 0 or -errno with @e filled.
 */
int call_read_json(struct call *c, bool optional, yyjson_doc **ret_doc, struct err *e);

/* The body in a file without a name. Returns its descriptor, or -errno with @e filled. */
int call_spool_body(struct call *c, struct err *e);

/* Write a document and a newline into a streamed answer; it is freed. */
int call_stream_json(struct call *c, yyjson_mut_doc *doc);

/* The HTTP status that an error number stands for. */
int call_status(int errnum);

#endif
