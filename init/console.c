#include "init/console.h"

#include "init/limits.h"
#include "init/logs.h"
#include "init/loop.h"
#include "init/options.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

static int console_fd = -1;
static bool watched;
static unsigned long dropped; /* lines, since the last one that was shown */

/* the rest of a line that was taken in part */
static char rest[LOG_LINE_MAX];
static size_t rest_len;

/* Returns what was taken. */
static size_t put(const char *buf, size_t len)
{
	ssize_t n;

	do {
		n = write(console_fd, buf, len);
	} while (n < 0 && errno == EINTR);
	/* other errors: the line is lost whether it is tried again or not */
	if (n < 0)
		return errno == EAGAIN ? 0 : len;
	return (size_t)n;
}

static void watch(bool on)
{
	if (watched == on || console_fd < 0)
		return;
	if (on && loop_add(console_fd, EPOLLOUT, LOOP_CONSOLE, 0) < 0)
		return;
	if (!on)
		loop_remove(console_fd);
	watched = on;
}

static bool flush(void)
{
	size_t done = rest_len > 0 ? put(rest, rest_len) : 0;

	memmove(rest, rest + done, rest_len - done);
	rest_len -= done;
	return rest_len == 0;
}

static void show(const char *line, size_t len)
{
	size_t done;

	if (console_fd < 0)
		return;
	if (!flush()) {
		dropped++;
		return;
	}
	if (len > sizeof(rest))
		len = sizeof(rest);
	done = put(line, len);
	memcpy(rest, line + done, len - done);
	rest_len = len - done;
	watch(rest_len > 0);
}

static void on_room(unsigned index)
{
	char note[80];
	int n;

	(void)index;
	if (!flush())
		return;
	watch(false);
	if (dropped == 0)
		return;
	n = snprintf(note, sizeof(note), "init: %lu lines were not shown here\n", dropped);
	dropped = 0;
	show(note, (size_t)n);
}

void console_open(void)
{
	int fd;

	if (options.subreaper) {
		/* opened anew, because O_NONBLOCK would also change whoever shares descriptor 2 */
		fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			fd = dup(2);
	} else {
		fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	}
	/* away from 0 to 2, which may not be open yet, and from what a child puts at 3 */
	console_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);
	fd_close(&fd);
}

void console_watch(void)
{
	loop_on(LOOP_CONSOLE, on_room);
	watch(rest_len > 0);
}

void console_line(const char *prefix, const char *text, size_t len)
{
	char line[LOG_LINE_MAX];
	int n = snprintf(line, sizeof(line), "%s | %.*s\n", prefix, (int)len, text);

	if (n > 0)
		show(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

void console_log(const char *line, size_t len)
{
	logs_write_own(line, len);
	show(line, len);
}
