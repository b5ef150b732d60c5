/* Programs beside a container's own: exec. */
#include "runtime/engine/exec.h"

#include "lib/util/detach_keys.h"
#include "runtime/api/routes.h"
#include "runtime/api/session.h"
#include "runtime/api/shape.h"
#include "runtime/engine/spec.h"

#include <stdio.h>
#include <string.h>

/*
 * The body in its shape.
 * Returns 0 with a document to be freed, or -errno.
 */
static int read_body(struct call *c, const struct shape *shape, yyjson_doc **ret, struct err *e)
{
	yyjson_mut_doc *doc;
	yyjson_doc *body = NULL;
	yyjson_mut_val *whole;
	int r = call_read_json(c, true, &body, e);

	if (r < 0)
		return r;
	doc = yyjson_mut_doc_new(NULL);
	whole = shape_apply(doc, yyjson_doc_get_root(body), shape, "", e);
	yyjson_doc_free(body);
	*ret = NULL;
	if (whole) {
		/* Of API 1.42. */
		if (c->minor < 42)
			yyjson_mut_obj_remove_key(whole, "ConsoleSize");
		yyjson_mut_doc_set_root(doc, whole);
		*ret = yyjson_mut_doc_imut_copy(doc, NULL);
	}
	yyjson_mut_doc_free(doc);
	if (*ret)
		return 0;
	return e->code ? -e->code : err_set(e, ENOMEM, "out of memory");
}

int api_exec_create(struct call *c, struct err *e)
{
	struct container *one = NULL;
	yyjson_doc *body = NULL;
	yyjson_val *config;
	struct exec *x;
	unsigned char keys[DETACH_KEYS_MAX];
	int r = read_body(c, &shape_exec_config, &body, e);

	if (r < 0)
		return r;
	config = yyjson_doc_get_root(body);
	if (yyjson_arr_size(yyjson_obj_get(config, "Cmd")) == 0)
		r = err_set(e, EINVAL, "No exec command specified");
	if (r == 0)
		r = container_get(c->engine, c->params[0], &one, e);
	if (r == 0)
		r = exec_check(c->engine, one, c->params[0], e);
	if (r == 0) {
		r = detach_keys_parse(spec_str(config, "DetachKeys"), keys, e);
		r = r < 0 ? r : 0;
	}
	if (r == 0)
		r = exec_create(c->engine, one, config, false, &x, e);
	if (one)
		container_put(one);
	yyjson_doc_free(body);
	if (r == 0) {
		yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
		yyjson_mut_val *top = yyjson_mut_obj(doc);

		yyjson_mut_doc_set_root(doc, top);
		yyjson_mut_obj_add_strcpy(doc, top, "Id", x->id);
		exec_put(x);
		r = call_reply(c, 201, doc, e);
	}
	return r;
}

static void close_input(void *arg)
{
	stdio_close_stdin(arg);
}

static bool flag(const struct exec *x, const char *key)
{
	return yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(x->record), key));
}

/* What the client is told once its connection is a stream: Docker's place for it. */
static void say(const struct session *s, const char *text)
{
	AUTO_BUF struct buf out = {0};
	size_t len = strlen(text) + 2;
	const char head[8] = {
		1, 0, 0, 0, (char)(len >> 24), (char)(len >> 16), (char)(len >> 8), (char)len};

	if (s->a.framed && buf_add(&out, head, sizeof(head)) < 0)
		return;
	if (buf_printf(&out, "%s\r\n", text) == 0)
		(void)http_write_raw(s->conn, out.v, out.len, -1);
}

/* With the connection as its standard input and output. */
static int start_attached(
	struct call *c, struct exec *x, const struct exec_start *how, bool tty, struct err *e)
{
	struct session s = {.conn = c->conn,
		.io = x->io,
		.with_stdin = flag(x, "AttachStdin"),
		.once = true,
		.end_input = close_input,
		.arg = x->io};
	int r = attach_begin(&s.a, x->io, flag(x, "AttachStdout"), !tty && flag(x, "AttachStderr"));

	if (r < 0)
		return err_set(e, -r, "attach: %s", strerror(-r));
	s.a.framed = !tty;
	r = http_hijack(c->conn, tty || c->minor < 42
					 ? "application/vnd.docker.raw-stream"
					 : "application/vnd.docker.multiplexed-stream");
	if (r == 0) {
		r = exec_start(c->engine, x, how, e);
		if (r < 0)
			say(&s, e->msg);
		else
			session_run(&s);
	}
	attach_end(&s.a);
	return 0;
}

int api_exec_start(struct call *c, struct err *e)
{
	struct exec_start how = {0};
	struct exec *x = NULL;
	yyjson_doc *body = NULL;
	yyjson_val *options, *size;
	bool tty;
	int r = read_body(c, &shape_exec_start, &body, e);

	if (r < 0)
		return r;
	options = yyjson_doc_get_root(body);
	size = yyjson_obj_get(options, "ConsoleSize");
	how.detach = yyjson_get_bool(yyjson_obj_get(options, "Detach"));
	tty = yyjson_get_bool(yyjson_obj_get(options, "Tty"));
	if (tty) {
		how.rows = (unsigned)yyjson_get_uint(yyjson_arr_get(size, 0));
		how.columns = (unsigned)yyjson_get_uint(yyjson_arr_get(size, 1));
	}
	yyjson_doc_free(body);
	r = exec_get(c->engine, c->params[0], &x, e);
	if (r < 0)
		return r;
	r = exec_check(c->engine, x->c, x->c->id, e);
	if (r == 0 && how.detach) {
		r = exec_start(c->engine, x, &how, e);
		if (r == 0)
			r = call_reply_empty(c, 200);
	} else if (r == 0) {
		r = start_attached(c, x, &how, tty, e);
	}
	exec_put(x);
	return r;
}

int api_exec_resize(struct call *c, struct err *e)
{
	struct exec *x = NULL;
	int64_t rows = 0;
	int64_t columns = 0;
	int r = query_i64(&c->query, "h", &rows, e);

	if (r == 0)
		r = query_i64(&c->query, "w", &columns, e);
	if (r == 0)
		r = exec_get(c->engine, c->params[0], &x, e);
	if (r == 0)
		r = exec_check(c->engine, x->c, x->c->id, e);
	if (r == 0 && exec_state(c->engine, x).status != EXEC_RUNNING)
		r = err_set(e, EINVAL, "exec process is not started");
	if (r == 0) {
		r = stdio_resize(x->io, (unsigned)rows, (unsigned)columns);
		if (r < 0)
			r = err_set(e, r == -ENOTTY ? EINVAL : -r, "cannot resize exec %s: %s",
				x->id, r == -ENOTTY ? "it has no terminal" : strerror(-r));
	}
	if (x)
		exec_put(x);
	return r < 0 ? r : call_reply_empty(c, 200);
}

static yyjson_mut_val *process_config(yyjson_mut_doc *doc, const struct exec *x)
{
	yyjson_val *config = yyjson_doc_get_root(x->record);
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	yyjson_mut_val *args = yyjson_mut_arr(doc);
	yyjson_val *word;
	size_t i, n;

	yyjson_mut_obj_add_bool(doc, o, "tty", flag(x, "Tty"));
	yyjson_arr_foreach (yyjson_obj_get(config, "Cmd"), i, n, word) {
		if (i)
			yyjson_mut_arr_append(args, yyjson_val_mut_copy(doc, word));
		else
			yyjson_mut_obj_add_strcpy(doc, o, "entrypoint", yyjson_get_str(word));
	}
	yyjson_mut_obj_add_val(doc, o, "arguments", args);
	yyjson_mut_obj_add_bool(doc, o, "privileged", flag(x, "Privileged"));
	if (spec_str(config, "User")[0])
		yyjson_mut_obj_add_strcpy(doc, o, "user", spec_str(config, "User"));
	return o;
}

/* Go prints bytes in base64. */
static void add_keys(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct exec *x)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[DETACH_KEYS_MAX / 3 * 4 + 5] = "";
	unsigned char keys[DETACH_KEYS_MAX + 2] = {0};
	struct err ignored = {0};
	int n = detach_keys_parse(
		spec_str(yyjson_doc_get_root(x->record), "DetachKeys"), keys, &ignored);
	char *to = text;

	for (int i = 0; i < n; i += 3) {
		unsigned bits = (unsigned)keys[i] << 16 | (unsigned)keys[i + 1] << 8 | keys[i + 2];

		for (int k = 0; k < 4; k++)
			*to++ = i + k > n ? '=' : digits[bits >> (18 - 6 * k) & 63];
	}
	*to = '\0';
	yyjson_mut_obj_add_strcpy(doc, o, "DetachKeys", text);
}

int api_exec_inspect(struct call *c, struct err *e)
{
	struct exec *x;
	struct exec_state s;
	yyjson_mut_doc *doc;
	yyjson_mut_val *top;
	int r = exec_get(c->engine, c->params[0], &x, e);

	if (r < 0)
		return r;
	s = exec_state(c->engine, x);
	doc = yyjson_mut_doc_new(NULL);
	top = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_strcpy(doc, top, "ID", x->id);
	yyjson_mut_obj_add_bool(doc, top, "Running", s.status == EXEC_RUNNING);
	if (s.status == EXEC_DONE)
		yyjson_mut_obj_add_int(doc, top, "ExitCode", s.exit_code);
	else
		yyjson_mut_obj_add_null(doc, top, "ExitCode");
	yyjson_mut_obj_add_val(doc, top, "ProcessConfig", process_config(doc, x));
	yyjson_mut_obj_add_bool(doc, top, "OpenStdin", flag(x, "AttachStdin"));
	yyjson_mut_obj_add_bool(doc, top, "OpenStderr", flag(x, "AttachStderr"));
	yyjson_mut_obj_add_bool(doc, top, "OpenStdout", flag(x, "AttachStdout"));
	yyjson_mut_obj_add_bool(doc, top, "CanRemove", exec_can_go(&s));
	yyjson_mut_obj_add_strcpy(doc, top, "ContainerID", x->c->id);
	add_keys(doc, top, x);
	yyjson_mut_obj_add_int(doc, top, "Pid", s.pid);
	exec_put(x);
	return call_reply(c, 200, doc, e);
}
