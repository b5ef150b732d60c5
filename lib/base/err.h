/*
 * One error: an errno for the program and one line for the person.
 *
 * Functions whose failure a user can see take a `struct err *` as their last argument and fill it
 * before they return -errno. It lives on the caller's stack and never allocates.
 */
#ifndef SAMPAN_BASE_ERR_H
#define SAMPAN_BASE_ERR_H

#include <errno.h>

/* bytes; a longer message is cut, never overflowed */
#define ERR_MSG_MAX 512

struct err {
	int code; /* positive errno; 0 while nothing failed */
	char msg[ERR_MSG_MAX];
};

/*
 * Record what failed.
 * @e: filled; NULL is allowed, then only the code is returned
 * @errnum: positive errno
 * @fmt: one line without newline: what, where, what was expected. Control characters, which an
 * argument may bring along, become "?".
 * Returns -errnum, so that `return err_set(e, errno, …)` reads well. errno may be read in the
 * arguments: they are evaluated before anything here runs.
 */
int err_set(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * Put the caller's context in front of what is already recorded: "context: old message".
 * Returns -e->code (-EIO if @e is NULL), so that it can be returned.
 */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
