/* The output of a container as it comes from the engine. */
#ifndef SAMPAN_CLI_STREAM_H
#define SAMPAN_CLI_STREAM_H

#include "runtime/cli/http.h"

/* A stream in which each piece has a header: which output, and how many bytes. */
struct demux {
	unsigned char header[8];
	size_t have; /* bytes of the header */
	size_t left; /* bytes of the piece that follow */
};

/*
 * Take the next bytes of the stream.
 * @put: called with each piece, or a part of one; @which is 1 or 2; what it returns below 0 ends it
 * Returns 0; -EBADMSG for a header that is none; what @put returned.
 * Source: Docker Engine API v1.51, "Stream format" of /containers/{id}/attach.
 */
int demux_feed(struct demux *d, const char *bytes, size_t len,
	int (*put)(void *arg, int which, const char *bytes, size_t len), void *arg);

/* Is the answer such a stream? Else it is one output as it comes. */
bool stream_is_framed(const struct http *h);

/* Write the next bytes to standard output and error. */
int stream_put(struct demux *d, bool framed, const char *bytes, size_t len, struct err *e);

/* Write all that comes until the end. Returns 0 or -errno with @e filled. */
int stream_copy(struct http *h, struct err *e);

#endif
