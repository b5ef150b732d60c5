/*
 * One HTTP/1.1 connection of the server's side: requests read by http-parser, answers written
 * whole, in chunks, or as a raw stream (hijacked). One thread uses it, top to bottom.
 */
#ifndef SAMPAN_API_HTTP_H
#define SAMPAN_API_HTTP_H

#include "lib/base/err.h"
#include "lib/util/buf.h"
#include "runtime/api/limits.h"

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct http_header {
	char *name;
	char *value;
};

enum http_answer {
	HTTP_ANSWER_NONE,   /* nothing was sent yet */
	HTTP_ANSWER_STREAM, /* in chunks, not ended yet */
	HTTP_ANSWER_RAW,    /* hijacked */
	HTTP_ANSWER_DONE,
};

struct http_conn {
	int fd; /* owned by who made the connection */
	struct http_parser parser;
	struct buf in; /* bytes received and not parsed */

	/* the request at hand */
	struct buf head; /* target, header names and values, each terminated */
	const char *target;
	struct http_header headers[API_HEADERS_MAX];
	size_t n_headers;
	size_t offsets[2 * API_HEADERS_MAX]; /* of names and values in head, while it grows */
	int last_part;			     /* what the last callback added to */
	bool head_done;
	bool body_done;
	bool continue_wanted;
	const char *body; /* the part of the body that the last step found */
	size_t body_len;
	size_t parsed;	     /* bytes of in that the parser is through with, once body_len is 0 */
	uint64_t body_total; /* bytes */
	bool too_many;

	struct buf more; /* header lines of the answer */
	enum http_answer answer;
	bool head_only; /* of the answer: the request was HEAD */
	bool close;	/* after this answer */
	bool broken;	/* nothing more can be sent */
};

void http_conn_init(struct http_conn *c, int fd);
void http_conn_free(struct http_conn *c);

/*
 * Wait for a request and read its head.
 * Returns 1; 0 when the client has closed between requests; -EBADMSG for what is no HTTP (the
 * answer was sent); -ETIMEDOUT or another -errno when the connection is of no use any more.
 */
int http_read_head(struct http_conn *c);

/* A header's value, or NULL. @name in any case. */
const char *http_header(const struct http_conn *c, const char *name);

/*
 * Read on in the body.
 * Returns bytes put into @buf, 0 at its end, or -errno with @e filled.
 */
ssize_t http_read_body(struct http_conn *c, void *buf, size_t size, struct err *e);

/* Read the whole body, of at most @max bytes. Returns 0 or -errno (-EFBIG) with @e filled. */
int http_read_whole_body(struct http_conn *c, size_t max, struct buf *ret, struct err *e);

/* Read what is left of the body, unless that is much; then the connection ends with the answer. */
void http_drain(struct http_conn *c);

/* One more header line for every answer, "Name: value\r\n" each; borrowed. */
extern const char *http_common_headers;

/* One more header for the answer at hand. @value: one line of the engine's own. 0 or -ENOMEM. */
int http_add_header(struct http_conn *c, const char *name, const char *value);

/* Send a whole answer. @type may be NULL when @len is 0. Returns 0 or -errno. */
int http_send(struct http_conn *c, int status, const char *type, const void *body, size_t len);

/* Start an answer in chunks. */
int http_stream_begin(struct http_conn *c, int status, const char *type);
int http_stream_write(struct http_conn *c, const void *bytes, size_t len);
int http_stream_end(struct http_conn *c);

/*
 * Turn the connection into a raw stream: 101 if the client asked to upgrade, else 200. What the
 * client sent behind its request is in c->in.
 */
int http_hijack(struct http_conn *c, const char *type);

/* Whether the client has closed its side for good. Does not wait. */
bool http_peer_gone(const struct http_conn *c);

/* Write bytes to the client as they are. Returns 0 or -errno; a client that does not take anything
 * for @timeout_ms (-1: for ever) is -ETIMEDOUT. */
int http_write_raw(struct http_conn *c, const void *bytes, size_t len, int timeout_ms);

#endif
