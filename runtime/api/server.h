/* The API's socket: one thread per connection. */
#ifndef SAMPAN_API_SERVER_H
#define SAMPAN_API_SERVER_H

#include "lib/base/err.h"

struct engine;

/*
 * Make the unix socket.
 * @mode: of the socket's file
 * Returns a listening descriptor or -errno with @e filled.
 */
int server_listen_unix(const char *path, unsigned mode, struct err *e);

/* Accept connections and serve each in a thread of its own, until @stop_fd is readable. */
int server_run(struct engine *engine, int listener, int stop_fd, struct err *e);

#endif
