/* The API's socket: one thread per connection. */
#ifndef SAMPAN_API_SERVER_H
#define SAMPAN_API_SERVER_H

#include "lib/base/err.h"

#include <stddef.h>

struct engine;
struct tls_server;

struct server_listener {
	int fd;
	struct tls_server *tls; /* NULL: what comes is served as it is */
};

/*
 * Make the unix socket.
 * @mode: of the socket's file
 * Returns a listening descriptor or -errno with @e filled.
 */
int server_listen_unix(const char *path, unsigned mode, struct err *e);

/* listeners at a time: the unix socket, TLS */
#define SERVER_LISTENERS_MAX 2

/* Accept connections of @n listeners and serve each in a thread of its own, until @stop_fd is
 * readable. */
int server_run(struct engine *engine, const struct server_listener *listeners, size_t n,
	int stop_fd, struct err *e);

#endif
