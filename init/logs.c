#include "init/logs.h"

#include "init/console.h"
#include "init/loop.h"
#include "init/ring.h"
#include "init/server.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

struct log_slot {
	int read_fd; /* 0: none yet, as static memory has it; 0 itself is /dev/null */
	int write_fd;
	bool console;
	const char *name;
	uint64_t shown; /* cursor of the first byte that the console has not had */
};

static struct log_slot slots[SERVICES_MAX];
/* static, so zero pages: the kernel gives memory to the ones that are written */
static struct ring rings[SERVICES_MAX + 1];

/* Show the complete lines that came since the last call, and pieces of the ones that are too long.
 */
static void mirror(struct log_slot *slot, const struct ring *ring)
{
	char line[CONSOLE_LINE_BYTES_MAX];

	for (;;) {
		uint64_t cursor = slot->shown;
		size_t n = ring_read(ring, &cursor, line, sizeof(line));
		const char *newline = memchr(line, '\n', n);
		uint64_t start = cursor - n;

		if (!newline && n < sizeof(line))
			return;
		n = newline ? (size_t)(newline - line) : n;
		slot->shown = start + n + (newline ? 1 : 0);
		if (n > 0 && line[n - 1] == '\r')
			n--;
		console_line(slot->name, line, n);
	}
}

static bool take(unsigned index)
{
	static char buf[4096];
	struct log_slot *slot = &slots[index];
	ssize_t n = read(slot->read_fd, buf, sizeof(buf));

	if (n <= 0)
		return false;
	ring_write(&rings[index], buf, (size_t)n);
	if (slot->console)
		mirror(slot, &rings[index]);
	server_log_grew(index);
	return true;
}

static void on_output(unsigned index)
{
	(void)take(index);
}

void logs_init(void)
{
	loop_on(LOOP_LOG, on_output);
}

int logs_pipe(unsigned index, const char *name, bool console)
{
	struct log_slot *slot = &slots[index];
	int fds[2];
	int r;

	if (slot->read_fd > 0)
		return slot->write_fd;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	/* Only init's end: a service that writes faster than we read has to wait, not to fail. */
	r = fd_set_nonblock(fds[0], 1);
	if (r == 0)
		r = loop_add(fds[0], EPOLLIN, LOOP_LOG, index);
	if (r < 0) {
		fd_close(&fds[0]);
		fd_close(&fds[1]);
		return r;
	}
	*slot = (struct log_slot){
		.read_fd = fds[0], .write_fd = fds[1], .console = console, .name = name};
	return slot->write_fd;
}

void logs_drain(unsigned index)
{
	/* bounded: the pipe may have other writers, who never stop */
	for (int i = 0; i < 32 && slots[index].read_fd > 0; i++)
		if (!take(index))
			return;
}

void logs_write_own(const char *line, size_t len)
{
	ring_write(&rings[LOGS_OWN], line, len);
	server_log_grew(LOGS_OWN);
}

size_t logs_read(unsigned index, uint64_t *cursor, char *buf, size_t size)
{
	return ring_read(&rings[index], cursor, buf, size);
}
