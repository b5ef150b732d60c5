/* Attaching to a container: its output to the client, the client's input to it. */
#include "runtime/api/logs.h"
#include "runtime/api/routes.h"

#include "runtime/engine/engine.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* bytes of input taken at once */
#define ATTACH_INPUT_BYTES 8192

/* What goes to and fro. */
struct session {
	struct call *c;
	struct container *one;
	struct stdio *io;
	struct attach a;
	bool with_stdin;
	bool once;     /* the container's input ends with this client's */
	bool input_on; /* the client may still send */
};

/* Input from the client. Returns 0, or -errno when the client is gone. */
static int take_input(struct session *s)
{
	char buf[ATTACH_INPUT_BYTES];
	ssize_t n = recv(s->c->conn->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0) {
		/* Half closed: it has said all and wants to hear the rest. */
		s->input_on = false;
		if (s->with_stdin && s->once)
			container_close_stdin(s->c->engine, s->one, s->io);
		return 0;
	}
	if (s->with_stdin && stdio_write(s->io, buf, (size_t)n) < 0)
		s->with_stdin = false;
	return 0;
}

/* Output to the client. Returns 1 when nothing will follow. */
static int give_output(struct session *s)
{
	AUTO_BUF struct buf out = {0};
	bool ended = attach_take(&s->a, &out);
	int r = http_write_raw(s->c->conn, out.v, out.len, -1);

	return r < 0 ? r : ended;
}

static void run_session(struct session *s)
{
	struct buf *sent = &s->c->conn->in;
	int r = 0;

	while (r == 0) {
		bool input = s->input_on && attach_takes_input(&s->a);
		struct pollfd fds[2] = {
			{.fd = s->a.event, .events = POLLIN},
			{.fd = s->c->conn->fd, .events = input ? POLLIN : 0},
		};

		/* What the client sent behind its request is input already. */
		if (input && sent->len) {
			if (s->with_stdin)
				(void)stdio_write(s->io, sent->v, sent->len);
			buf_consume(sent, sent->len);
		}

		if (poll(fds, 2, -1) < 0) {
			r = errno == EINTR ? 0 : -errno;
			continue;
		}
		if (fds[0].revents)
			r = give_output(s);
		if (r == 0 && input && (fds[1].revents & POLLIN))
			r = take_input(s);
		else if (r == 0 && (fds[1].revents & (POLLERR | POLLHUP)))
			r = -ECONNRESET;
	}
}

int api_container_attach(struct call *c, struct err *e)
{
	struct session s = {.c = c, .input_on = true};
	bool stream = query_bool(&c->query, "stream", false);
	bool logs = query_bool(&c->query, "logs", false);
	struct container_state state;
	struct container *one;
	int r = container_get(c->engine, c->params[0], &one, e);

	if (r < 0)
		return r;
	s.one = one;
	state = container_state(c->engine, one);
	if (state.status == CONTAINER_PAUSED)
		r = err_set(e, EBUSY, "container %s is paused, unpause the container before attach",
			c->params[0]);
	s.io = r == 0 ? container_io(c->engine, one) : NULL;
	if (r == 0 && !s.io)
		r = err_set(e, ENOMEM, "out of memory");
	if (r == 0) {
		yyjson_val *config = container_config(one);

		s.with_stdin = query_bool(&c->query, "stdin", false) &&
			       yyjson_get_bool(yyjson_obj_get(config, "OpenStdin"));
		s.once = yyjson_get_bool(yyjson_obj_get(config, "StdinOnce"));
		r = attach_begin(&s.a, s.io, stream && query_bool(&c->query, "stdout", false),
			stream && query_bool(&c->query, "stderr", false));
		if (r < 0)
			err_set(e, -r, "attach: %s", strerror(-r));
	}
	if (r == 0) {
		r = http_hijack(c->conn, s.io->tty || c->minor < 42
						 ? "application/vnd.docker.raw-stream"
						 : "application/vnd.docker.multiplexed-stream");
		if (r == 0 && logs)
			(void)api_logs_write(c, one);
		if (r == 0 && stream)
			run_session(&s);
		/* A client that goes away without a word ends the input as well. */
		if (s.input_on && s.with_stdin && s.once && stream)
			container_close_stdin(c->engine, one, s.io);
		attach_end(&s.a);
		r = 0;
	}
	stdio_unref(s.io);
	container_put(one);
	return r;
}
