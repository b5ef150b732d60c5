/*
 * Processes adopted for the engine: it names a process and an id; how that process ended is kept
 * here until the engine says that it has it on record.
 */
#ifndef SAMPAN_INIT_ADOPT_H
#define SAMPAN_INIT_ADOPT_H

#include "init/protocol.h"
#include "lib/base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

void adopt_init(void);

/* Is @pid a child of this process? Returns 1 or 0; -ESRCH if there is no such process. */
int adopt_check_parent(pid_t pid);

/*
 * Watch a process.
 * @pidfd: of @pid, taken over in every case; -1: it is opened here, and then @pid must be a child
 * of init already. With a pidfd the process may still be somebody else's child: its end is told
 * when it has become init's.
 * Returns 0; -EEXIST: the id is in use; -ENOSPC: the table is full; -ESRCH: it is gone.
 */
int adopt_add(const char *id, pid_t pid, int pidfd, struct err *e);

/* The engine has the exit of @id. Returns 0, -ENOENT, or -EBUSY while it still runs. */
int adopt_ack(const char *id, struct err *e);

/* Copy entry @index, counted over those in use. Returns false past the last one. */
bool adopt_get(unsigned index, struct init_exit *ret);

/* Copy the oldest exit that was not sent to the engine yet. Returns false if there is none. */
bool adopt_next_exit(struct init_exit *ret);
/* It was sent. */
void adopt_mark_sent(const char *id);
/* A new engine: everything that is not acknowledged is sent again. */
void adopt_unsend_all(void);

/* A child ended. Returns whether it was an adopted one. */
bool adopt_reap(pid_t pid, int code, int status);

/* After reaping: look after those that may have ended as somebody else's child. */
void adopt_check_lost(void);

/* Signal all that run. Returns how many there are. */
unsigned adopt_signal_all(int sig);

#endif
