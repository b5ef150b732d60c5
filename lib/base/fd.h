/*
 * Owned descriptors. A descriptor has one owner, declared with AUTO_CLOSE and handed on with
 * TAKE_FD; a borrowed one is a plain int parameter. -1 means none.
 */
#ifndef SAMPAN_BASE_FD_H
#define SAMPAN_BASE_FD_H

#include <unistd.h>

/* Close *@fd if it is open and set it to -1. errno is kept. close() is never retried: on Linux the
 * descriptor is gone even after EINTR. */
void fd_close(int *fd);

/* Set or clear O_CLOEXEC. Returns 0 or -errno. */
int fd_set_cloexec(int fd, int on);

/* Set or clear O_NONBLOCK. Returns 0 or -errno. */
int fd_set_nonblock(int fd, int on);

#define AUTO_CLOSE __attribute__((cleanup(fd_close)))

static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Hand an AUTO_CLOSE descriptor to a new owner. */
#define TAKE_FD(fd) fd_take(&(fd))

#endif
