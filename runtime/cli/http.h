/* One request to the engine over its unix socket, and its answer as a stream. */
#ifndef SAMPAN_CLI_HTTP_H
#define SAMPAN_CLI_HTTP_H

#include "lib/base/err.h"
#include "lib/util/buf.h"

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* bytes received at once */
#define HTTP_IO_BYTES 65536

/* Zero-initialise with fd -1; free with http_close(). */
struct http {
	int fd;
	struct http_parser parser;
	struct buf in;	 /* received and not parsed yet */
	size_t consumed; /* bytes of it that may go with the next read */
	unsigned status;
	bool head_done;
	bool over;     /* the body's end was seen */
	bool raw;      /* upgraded: what comes is the stream itself */
	bool in_type;  /* the header at hand is Content-Type */
	char type[80]; /* Content-Type, cut */
	const char *body;
	size_t body_len;
};

#define HTTP_NONE                                                                                  \
	{                                                                                          \
		.fd = -1                                                                           \
	}
#define AUTO_HTTP __attribute__((cleanup(http_close)))

/* Where the engine listens: of -H, DOCKER_HOST or SAMPAN_ENGINE_SOCKET, /run/docker.sock without.
 * Returns NULL with @e filled for what is no unix socket. */
const char *http_socket(struct err *e);

/* Take the value of -H in place of the environment's. */
void http_set_host(const char *host);

/*
 * Connect and send a request with a whole body.
 * @target: what follows the version, "/containers/json?all=1"
 * @body: JSON; NULL: none
 * @upgrade: ask for the connection itself
 * Returns 0 or -errno with @e filled. The answer's head is not waited for.
 */
int http_send(struct http *h, const char *method, const char *target, const char *body, size_t len,
	bool upgrade, struct err *e);

/* Connect and begin a request whose body follows in pieces; the last one has no bytes. */
int http_send_stream(
	struct http *h, const char *method, const char *target, const char *type, struct err *e);
int http_send_piece(struct http *h, const void *bytes, size_t len, struct err *e);

/* Wait for the answer's head. Returns 0 or -errno with @e filled; h->status is set. */
int http_head(struct http *h, struct err *e);

/*
 * The next piece of the body, or of the stream of an upgraded connection.
 * @ret: borrowed until the next call
 * Returns its bytes, 0 at the end, or -errno with @e filled.
 */
ssize_t http_read(struct http *h, const char **ret, struct err *e);

/* Is there a piece that http_read() would give without waiting for the socket? */
bool http_pending(const struct http *h);

void http_close(struct http *h);

/* Append @text percent-encoded to a target. Returns 0 or -ENOMEM. */
int url_add(struct buf *url, const char *text);

/* Append "?key=value" or "&key=value". */
int url_param(struct buf *url, const char *key, const char *value);

#endif
