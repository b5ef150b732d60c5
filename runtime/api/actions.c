/* What is done to a container: start, stop, kill, wait, remove. */
#include "runtime/api/routes.h"

#include "runtime/engine/engine.h"
#include "runtime/engine/limits.h"
#include "runtime/engine/spec.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Find the container of the route by @find, do @action with it, answer 204. */
static int act(struct call *c,
	int (*find)(struct engine *en, const char *ref, struct container **ret, struct err *e),
	int (*action)(struct call *c, struct container *one, struct err *e), struct err *e)
{
	struct container *one;
	int r = find(c->engine, c->params[0], &one, e);

	if (r < 0)
		return r;
	r = action(c, one, e);
	container_put(one);
	return r < 0 ? r : call_reply_empty(c, 204);
}

static int do_start(struct call *c, struct container *one, struct err *e)
{
	return container_start(c->engine, one, e);
}

int api_container_start(struct call *c, struct err *e)
{
	return act(c, container_get_any, do_start, e);
}

/* The signal and the time that stop and restart use: asked for, the container's, the default. */
static int stop_options(
	struct call *c, const struct container *one, int *ret_signal, int64_t *ret_s, struct err *e)
{
	const char *word = query_str(&c->query, "signal");

	*ret_signal = word && word[0] ? signal_parse(word, e) : container_stop_signal(one, e);
	if (*ret_signal < 0)
		return *ret_signal;
	*ret_s = container_stop_timeout_s(one);
	return query_i64(&c->query, "t", ret_s, e);
}

static int do_stop(struct call *c, struct container *one, struct err *e)
{
	int64_t timeout_s;
	int signal;
	int r = stop_options(c, one, &signal, &timeout_s, e);

	return r < 0 ? r : container_stop(c->engine, one, signal, timeout_s, e);
}

int api_container_stop(struct call *c, struct err *e)
{
	return act(c, container_get_any, do_stop, e);
}

static int do_restart(struct call *c, struct container *one, struct err *e)
{
	int r = do_stop(c, one, e);

	if (r < 0 && r != -EALREADY)
		return r;
	*e = (struct err){0};
	r = container_start(c->engine, one, e);
	if (r == 0)
		container_tell(c->engine, one, "restart", NULL);
	return r;
}

int api_container_restart(struct call *c, struct err *e)
{
	return act(c, container_get_any, do_restart, e);
}

static int do_kill(struct call *c, struct container *one, struct err *e)
{
	const char *word = query_str(&c->query, "signal");
	int signal = word && word[0] ? signal_parse(word, e) : SIGKILL;

	return signal < 0 ? signal : container_kill(c->engine, one, signal, e);
}

int api_container_kill(struct call *c, struct err *e)
{
	return act(c, container_get_any, do_kill, e);
}

static int do_pause(struct call *c, struct container *one, struct err *e)
{
	return container_pause(c->engine, one, true, e);
}

int api_container_pause(struct call *c, struct err *e)
{
	return act(c, container_get, do_pause, e);
}

static int do_unpause(struct call *c, struct container *one, struct err *e)
{
	return container_pause(c->engine, one, false, e);
}

int api_container_unpause(struct call *c, struct err *e)
{
	return act(c, container_get, do_unpause, e);
}

static int do_rename(struct call *c, struct container *one, struct err *e)
{
	const char *name = query_str(&c->query, "name");

	if (!name || !name[0])
		return err_set(e, EINVAL, "Neither old nor new names may be empty");
	return container_rename(c->engine, one, name, e);
}

int api_container_rename(struct call *c, struct err *e)
{
	return act(c, container_get, do_rename, e);
}

int api_container_resize(struct call *c, struct err *e)
{
	struct container *one;
	struct stdio *io;
	int64_t rows = 0;
	int64_t columns = 0;
	int r = query_i64(&c->query, "h", &rows, e);

	if (r == 0)
		r = query_i64(&c->query, "w", &columns, e);
	if (r == 0)
		r = container_get(c->engine, c->params[0], &one, e);
	if (r < 0)
		return r;
	io = container_io(c->engine, one);
	r = io ? stdio_resize(io, (unsigned)rows, (unsigned)columns) : -ENOMEM;
	stdio_unref(io);
	if (r < 0)
		err_set(e, r == -ENOTTY ? EBUSY : -r, "cannot resize container %s: %s", one->id,
			r == -ENOTTY ? "it has no terminal or is not running" : strerror(-r));
	container_put(one);
	return r < 0 ? (r == -ENOTTY ? -EBUSY : r) : call_reply_empty(c, 200);
}

static int do_remove(struct call *c, struct container *one, struct err *e)
{
	return container_remove(c->engine, one, query_bool(&c->query, "force", false),
		query_bool(&c->query, "v", false), e);
}

int api_container_remove(struct call *c, struct err *e)
{
	return act(c, container_get, do_remove, e);
}

static bool client_gone(void *arg)
{
	return http_peer_gone(arg);
}

int api_container_wait(struct call *c, struct err *e)
{
	static const struct {
		const char *word;
		enum wait_for what;
	} conditions[] = {{"not-running", WAIT_NOT_RUNNING}, {"next-exit", WAIT_NEXT_EXIT},
		{"removed", WAIT_REMOVED}};
	const char *word = query_str(&c->query, "condition");
	enum wait_for what = WAIT_NOT_RUNNING;
	yyjson_mut_doc *doc;
	yyjson_mut_val *top;
	struct container *one;
	bool known = !word || !word[0];
	unsigned begun;
	int code = 0;
	int r;

	for (size_t i = 0; !known && i < 3; i++) {
		if (strcmp(word, conditions[i].word) == 0) {
			what = conditions[i].what;
			known = true;
		}
	}
	if (!known)
		return err_set(e, EINVAL, "invalid condition: \"%.32s\"", word);
	r = container_get(c->engine, c->params[0], &one, e);
	if (r < 0)
		return r;
	begun = container_wait_begin(c->engine, one);
	/* At once: the client starts the container when it knows that somebody waits. */
	r = http_stream_begin(c->conn, 200, "application/json");
	if (r == 0)
		r = container_wait(c->engine, one, what, begun, client_gone, c->conn, &code);
	container_put(one);
	if (r < 0)
		return r;
	doc = yyjson_mut_doc_new(NULL);
	top = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_int(doc, top, "StatusCode", code);
	(void)call_stream_json(c, doc);
	(void)http_stream_end(c->conn);
	return 0;
}
