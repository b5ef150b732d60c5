#include "runtime/api/session.h"

#include "lib/base/fd.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* bytes of input taken at once */
#define SESSION_INPUT_BYTES 8192

static void end_input(struct session *s)
{
	s->input_on = false;
	if (s->with_stdin && s->once)
		s->end_input(s->arg);
	s->with_stdin = false;
}

/* Hand on what waits, as far as there is room. */
static void give_input(struct session *s)
{
	ssize_t n = s->with_stdin ? stdio_write(s->io, s->pending.v, s->pending.len) : -EPIPE;

	if (n < 0) {
		/* Nobody reads it: what else comes is dropped, so that the client gets on. */
		s->with_stdin = false;
		n = (ssize_t)s->pending.len;
	}
	buf_consume(&s->pending, (size_t)n);
}

/* Input from the client. Returns 0, or -errno when the client is gone. */
static int take_input(struct session *s)
{
	char buf[SESSION_INPUT_BYTES];
	ssize_t n = recv(s->conn->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	/* Half closed: it has said all and wants to hear the rest. */
	if (n == 0)
		end_input(s);
	else if (s->with_stdin && buf_add(&s->pending, buf, (size_t)n) < 0)
		return -ENOMEM;
	return 0;
}

/* Output to the client. Returns 1 when nothing will follow. */
static int give_output(struct session *s)
{
	AUTO_BUF struct buf out = {0};
	bool ended = attach_take(&s->a, &out);
	int r = http_write_raw(s->conn, out.v, out.len, -1);

	return r < 0 ? r : ended;
}

/* One turn: wait, then move what can be moved. Returns 0 to go on. */
static int turn(struct session *s)
{
	bool open = attach_takes_input(&s->a);
	AUTO_CLOSE int room = open && s->pending.len ? stdio_input(s->io) : -1;
	struct pollfd fds[3] = {
		{.fd = s->a.event, .events = POLLIN},
		/* No more input while some of it waits: it is the program that is slow. */
		{.fd = s->conn->fd, .events = open && s->input_on && !s->pending.len ? POLLIN : 0},
		{.fd = room, .events = POLLOUT},
	};
	int r = 0;

	/* Closed meanwhile. */
	if (open && s->pending.len && room < 0) {
		give_input(s);
		return 0;
	}
	if (poll(fds, 3, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[0].revents)
		r = give_output(s);
	if (r == 0 && fds[2].revents)
		give_input(s);
	if (r == 0 && (fds[1].revents & POLLIN)) {
		r = take_input(s);
		if (r == 0 && s->pending.len)
			give_input(s);
	} else if (r == 0 && (fds[1].revents & (POLLERR | POLLHUP))) {
		r = -ECONNRESET;
	}
	return r;
}

void session_run(struct session *s)
{
	struct buf *sent = &s->conn->in;
	int r = 0;

	s->input_on = true;
	/* What the client sent behind its request is input already. */
	if (s->with_stdin && sent->len)
		r = buf_add(&s->pending, sent->v, sent->len);
	buf_consume(sent, sent->len);
	while (r == 0)
		r = turn(s);
	/* A client that goes away without a word ends the input as well. */
	if (s->input_on)
		end_input(s);
	buf_free(&s->pending);
}
