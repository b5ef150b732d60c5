/* A program beside a container's own. */
#include "runtime/cli/command.h"
#include "runtime/cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct exec {
	yyjson_mut_doc *doc; /* the body; owned, NULL before the first -e */
	bool detach, interactive, tty, privileged;
	const char *user, *workdir, *detach_keys;
};

static yyjson_mut_val *body_of(struct exec *o)
{
	if (!o->doc) {
		o->doc = yyjson_mut_doc_new(NULL);
		yyjson_mut_doc_set_root(o->doc, yyjson_mut_obj(o->doc));
	}
	return yyjson_mut_doc_get_root(o->doc);
}

static int take_env(void *to, const struct option *o, const char *value, struct err *e)
{
	struct exec *exec = to;
	yyjson_mut_val *body = body_of(exec), *env = yyjson_mut_obj_get(body, "Env");
	const char *own = strchr(value, '=') ? NULL : getenv(value);
	AUTO_BUF struct buf text = {0};

	(void)o;
	if (buf_printf(&text, "%s%s%s", value, own ? "=" : "", own ? own : "") < 0)
		return err_set(e, ENOMEM, "no memory");
	if (!env)
		env = yyjson_mut_obj_add_arr(exec->doc, body, "Env");
	(void)yyjson_mut_arr_add_strncpy(exec->doc, env, text.v, text.len);
	return 0;
}

static const struct option exec_options[] = {
	OPT('d', "detach", NULL, exec, detach, option_bool, "do not wait for it"),
	OPT(0, "detach-keys", "KEYS", exec, detach_keys, option_text, "instead of ctrl-p,ctrl-q"),
	OPT('e', "env", "NAME[=VALUE]", exec, doc, take_env, "a variable"),
	OPT('i', "interactive", NULL, exec, interactive, option_bool, "give it the input"),
	OPT(0, "privileged", NULL, exec, privileged, option_bool, "everything is allowed"),
	OPT('t', "tty", NULL, exec, tty, option_bool, "give it a terminal"),
	OPT('u', "user", "USER[:GROUP]", exec, user, option_text, "who it runs as"),
	OPT('w', "workdir", "PATH", exec, workdir, option_text, "where it starts"),
};

static void put_console(yyjson_mut_doc *doc, yyjson_mut_val *body)
{
	unsigned rows, columns;
	yyjson_mut_val *size;

	if (!session_size(&rows, &columns))
		return;
	size = yyjson_mut_obj_add_arr(doc, body, "ConsoleSize");
	(void)yyjson_mut_arr_add_uint(doc, size, rows);
	(void)yyjson_mut_arr_add_uint(doc, size, columns);
}

/* Returns the engine's answer, which has the id. */
static yyjson_doc *create(struct exec *o, int argc, char **argv, struct err *e)
{
	AUTO_BUF struct buf url = {0};
	yyjson_mut_val *body = body_of(o), *words;
	yyjson_doc *doc = NULL;
	yyjson_mut_doc *d = o->doc;

	if (o->user)
		(void)yyjson_mut_obj_add_str(d, body, "User", o->user);
	if (o->workdir)
		(void)yyjson_mut_obj_add_str(d, body, "WorkingDir", o->workdir);
	if (o->detach_keys)
		(void)yyjson_mut_obj_add_str(d, body, "DetachKeys", o->detach_keys);
	(void)yyjson_mut_obj_add_bool(d, body, "Privileged", o->privileged);
	(void)yyjson_mut_obj_add_bool(d, body, "Tty", o->tty);
	(void)yyjson_mut_obj_add_bool(d, body, "AttachStdin", o->interactive && !o->detach);
	(void)yyjson_mut_obj_add_bool(d, body, "AttachStdout", !o->detach);
	(void)yyjson_mut_obj_add_bool(d, body, "AttachStderr", !o->detach);
	if (o->tty)
		put_console(d, body);
	words = yyjson_mut_obj_add_arr(d, body, "Cmd");
	for (int i = 2; i < argc; i++)
		(void)yyjson_mut_arr_add_str(d, words, argv[i]);
	if (engine_target(&url, "/containers/", argv[1], "/exec") == 0)
		(void)engine_ask("POST", url.v, d, &doc, e);
	return doc;
}

/* Start it and, unless it is to go alone, stay with it. Returns as session_run. */
static int start(const struct exec *o, const char *id, struct err *e)
{
	AUTO_HTTP struct http h = HTTP_NONE;
	AUTO_BUF struct buf url = {0};
	AUTO_BUF struct buf resize = {0};
	AUTO_MUT_DOC yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *body = yyjson_mut_obj(doc);
	struct session s = {
		.http = &h, .input = o->interactive, .tty = o->tty, .detach_keys = o->detach_keys};
	int r = engine_target(&url, "/exec/", id, "/start");

	yyjson_mut_doc_set_root(doc, body);
	(void)yyjson_mut_obj_add_bool(doc, body, "Detach", o->detach);
	(void)yyjson_mut_obj_add_bool(doc, body, "Tty", o->tty);
	if (o->tty)
		put_console(doc, body);
	if (r == 0 && o->detach)
		return engine_ask("POST", url.v, doc, NULL, e);
	if (r == 0)
		r = engine_target(&resize, "/exec/", id, "/resize");
	s.resize = o->tty ? resize.v : NULL;
	session_prepare(&s);
	if (r == 0)
		r = engine_open(&h, "POST", url.v, doc, true, e);
	if (r < 0)
		return r;
	session_resize(&s);
	return session_run(&s, e);
}

static int exit_status(const char *id, struct err *e)
{
	AUTO_BUF struct buf url = {0};
	AUTO_DOC yyjson_doc *doc = NULL;

	if (engine_target(&url, "/exec/", id, "/json") == 0)
		doc = engine_get(url.v, e);
	return doc ? (int)field_int(yyjson_doc_get_root(doc), "ExitCode") : command_fail(e);
}

static int exec_run(void *options, int argc, char **argv)
{
	struct exec *o = options;
	AUTO_MUT_DOC yyjson_mut_doc *body = NULL;
	AUTO_DOC yyjson_doc *doc = NULL;
	struct err e = {0};
	const char *id;
	int r = 0;

	(void)body_of(o);
	body = o->doc;
	if (!o->detach && session_check(o->interactive, o->tty, &e) < 0)
		return command_fail(&e);
	doc = create(o, argc, argv, &e);
	if (!doc)
		return command_fail(&e);
	id = field_text(yyjson_doc_get_root(doc), "Id");
	r = start(o, id, &e);
	if (r < 0)
		return command_fail(&e);
	if (o->detach)
		return 0;
	if (r == SESSION_DETACHED) {
		fputs("read escape sequence\n", stderr);
		return EXIT_FAILED;
	}
	return r == SESSION_OVER ? exit_status(id, &e) : r;
}

const struct command cmd_exec = {"exec", "NAME COMMAND [ARGUMENT]...",
	"run a program in a container that runs",
	{.v = exec_options, .n = N_OF(exec_options), .ordered = true}, sizeof(struct exec), 2, -1,
	exec_run, NULL};
