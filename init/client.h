/* Connections to init.sock: what server.c, which has them, and requests.c, which answers, share. */
#ifndef SAMPAN_INIT_CLIENT_H
#define SAMPAN_INIT_CLIENT_H

#include "init/protocol.h"

#include <stdbool.h>
#include <stdint.h>

enum waits_for { WAITS_NOT, WAITS_UP, WAITS_DOWN, WAITS_LOG };

struct client {
	int fd; /* 0: free, as static memory has it */
	enum waits_for waits;
	unsigned index; /* the service, or the log's slot */
	uint64_t cursor;
	bool engine; /* it subscribed to exits */
};

union request {
	struct init_header h;
	struct init_index index;
	struct init_logs logs;
	struct init_shutdown shutdown;
	struct init_adopt adopt;
	struct init_fd fd;
	char bytes[512]; /* more than any request, so that a longer one is seen as such */
};

/* Close a connection; @why is for the log, NULL when there is nothing to say. */
void client_drop(struct client *c, const char *why);

/* Send one message, with a descriptor unless @fd is -1. Never blocks. Returns 0 or -errno. */
int client_send(const struct client *c, const void *msg, int fd);

/* Have request_send_exits() called when there is room for more. */
void client_watch_room(struct client *c, bool on);

/* Returns the client that subscribed to exits, or NULL. */
struct client *client_engine(void);

/* Does a request of this type bring a descriptor? */
bool request_takes_fd(uint32_t type);

/* Do what a checked request asks, and answer it now or when there is something to answer. @fd: what
 * came with it, or -1; taken over by setting it to -1. */
void request_handle(struct client *c, const union request *req, int *fd);

/* Answer a client that waits for its service if there is something to say. */
void request_check_service(struct client *c);

/* Send a client that follows a log what came since; nothing if there is nothing, unless
 * @at_end_too. */
void request_send_log(struct client *c, bool at_end_too);

/* Send the engine the exits that it does not have. */
void request_send_exits(struct client *c);

#endif
