/*
 * One container is made or removed by one process at a time. Without that a `delete --force` that
 * read the state late would kill and remove what a later `create` made under the same id.
 */
#include "runtime/oci/state.h"

#include "lib/base/time.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

static void interrupt(int sig)
{
	(void)sig;
}

/* flock(2) knows no time limit: a timer's signal interrupts it. Not one of those that the
 * foreground forwards and has blocked. */
static int lock_until(int dirfd, unsigned timeout_ms)
{
	const struct sigaction act = {.sa_handler = interrupt};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	/* Again and again: the first may come just before the wait. */
	const struct itimerspec due = {
		.it_value = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L},
		.it_interval = {.tv_nsec = 100000000L},
	};
	uint64_t end = time_now_ms() + timeout_ms;
	timer_t timer;
	int r = 0;

	if (sigaction(SIGRTMIN, &act, NULL) < 0 ||
		timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
		return -errno;
	if (timer_settime(timer, 0, &due, NULL) < 0)
		r = -errno;
	while (r == 0 && flock(dirfd, LOCK_EX) < 0) {
		if (errno != EINTR)
			r = -errno;
		else if (time_now_ms() >= end)
			r = -EBUSY;
	}
	timer_delete(timer);
	return r;
}

int state_lock(int rootfd, int dirfd, const char *id, unsigned timeout_ms, struct err *e)
{
	struct stat held;
	struct stat named;
	int r = flock(dirfd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;

	if (r == -EWOULDBLOCK || r == -EINTR)
		r = lock_until(dirfd, timeout_ms);
	if (r == -EBUSY)
		return err_set(
			e, EBUSY, "container %s is being made or removed by another process", id);
	if (r < 0)
		return err_set(e, -r, "lock the state of %s: %s", id, strerror(-r));
	if (fstat(dirfd, &held) < 0)
		return err_set(e, errno, "lock the state of %s: %s", id, strerror(errno));
	r = fstatat(rootfd, id, &named, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	if (r == -ENOENT ||
		(r == 0 && (named.st_dev != held.st_dev || named.st_ino != held.st_ino)))
		return err_set(e, ENOENT, "container %s does not exist", id);
	return r < 0 ? err_set(e, -r, "lock the state of %s: %s", id, strerror(-r)) : 0;
}
