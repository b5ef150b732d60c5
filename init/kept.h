/* Descriptors kept for the engine while it is restarted: terminals, pipes, sockets of containers.
 */
#ifndef SAMPAN_INIT_KEPT_H
#define SAMPAN_INIT_KEPT_H

#include "init/protocol.h"
#include "lib/base/err.h"

/*
 * Keep a descriptor under an id and a name.
 * @fd: taken over in every case
 * Returns 0; -EEXIST: the name is in use; -ENOSPC: the table is full.
 */
int kept_add(const char *id, const char *name, int fd, struct err *e);

/* Returns the @index-th descriptor of @id, borrowed, and its name; -1 past the last one. */
int kept_get(const char *id, unsigned index, char ret_name[INIT_FD_NAME_BYTES]);

/* Close one, or with name "" all of @id. Returns 0 or -ENOENT. */
int kept_drop(const char *id, const char *name, struct err *e);

#endif
