/* Attaching to a container: its output to the client, the client's input to it. */
#include "runtime/api/logs.h"
#include "runtime/api/routes.h"
#include "runtime/api/session.h"

#include "runtime/engine/engine.h"

#include <string.h>

/* What ends a container's input. */
struct input {
	struct engine *engine;
	struct container *one;
	struct stdio *io;
};

static void end_input(void *arg)
{
	const struct input *in = arg;

	container_close_stdin(in->engine, in->one, in->io);
}

int api_container_attach(struct call *c, struct err *e)
{
	struct session s = {.conn = c->conn, .end_input = end_input};
	struct input input = {.engine = c->engine};
	bool stream = query_bool(&c->query, "stream", false);
	bool logs = query_bool(&c->query, "logs", false);
	struct container_state state;
	struct container *one;
	int r = container_get(c->engine, c->params[0], &one, e);

	if (r < 0)
		return r;
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
		input.one = one;
		input.io = s.io;
		s.arg = &input;
		if (r == 0 && stream)
			session_run(&s);
		attach_end(&s.a);
		r = 0;
	}
	stdio_unref(s.io);
	container_put(one);
	return r;
}
