/*
 * The engine's side of init's socket (init/protocol.h): PID 1 is the parent of every container, so
 * it is who knows how they end and who keeps their descriptors while the engine is away.
 */
#ifndef SAMPAN_ENGINE_INITLINK_H
#define SAMPAN_ENGINE_INITLINK_H

#include "init/protocol.h"
#include "lib/base/err.h"

#include <pthread.h>
#include <stdbool.h>

struct initlink {
	const char *path; /* of init.sock, borrowed */
	int fd;		  /* for requests, one at a time */
	pthread_mutex_t lock;
};

/* Connect to init's socket. Returns 0 or -errno. */
int initlink_open(struct initlink *l, const char *path, struct err *e);

/* Have @pid watched under the name @id. @pidfd: borrowed. */
int initlink_adopt(struct initlink *l, const char *id, int pid, int pidfd, struct err *e);

/* The end of @id is on record; init may forget it. */
int initlink_ack(struct initlink *l, const char *id, struct err *e);

/* Leave a copy of @fd with init under (@id, @name). */
int initlink_keep_fd(struct initlink *l, const char *id, const char *name, int fd, struct err *e);

/* Get the @index-th kept descriptor of @id. Returns it, -ENOENT behind the last, or -errno. */
int initlink_give_fd(struct initlink *l, const char *id, unsigned index,
	char ret_name[static INIT_FD_NAME_BYTES], struct err *e);

/* Have init close what it keeps as (@id, @name); NULL is all of @id. */
int initlink_drop_fds(struct initlink *l, const char *id, const char *name, struct err *e);

/* The service at @index, or the one called @name (NULL: by index). -ENOENT behind the last. */
int initlink_service(struct initlink *l, const char *name, unsigned index,
	struct init_service_info *ret, struct err *e);

/*
 * Start, stop or restart a service (INIT_START …) and wait until that is done. The wait holds up
 * no other request: it has a connection of its own.
 */
int initlink_command(
	const struct initlink *l, enum init_msg_type type, const char *name, struct err *e);

/*
 * The log of a service, over a connection of its own, so that poll tells when there is an answer.
 * @cursor: 0 at first, then that of the last answer
 * @follow: answer when there is more; else at once, with len 0 at the end
 */
int initlink_logs_open(const struct initlink *l, struct err *e);
int initlink_logs_ask(int fd, const char *name, uint64_t cursor, bool follow, struct err *e);
int initlink_logs_read(int fd, struct init_log_data *ret, struct err *e);

/* What init watches: entry @index. Returns 0, -ENOENT behind the last, or -errno. */
int initlink_adopted(struct initlink *l, unsigned index, struct init_exit *ret, struct err *e);

/*
 * Receive the ends of processes over a connection of their own, for ever; each is told again after
 * a restart until it is acknowledged. Returns only when init goes away: -errno with @e filled.
 */
int initlink_exits(const struct initlink *l, void (*on_exit)(void *arg, const struct init_exit *x),
	void *arg, struct err *e);

#endif
