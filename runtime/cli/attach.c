#include "runtime/cli/attach.h"

#include "runtime/cli/command.h"
#include "runtime/cli/services.h"
#include "runtime/cli/session.h"

#include <stdio.h>
#include <string.h>

static int open_attach(struct http *h, const struct attachment *a, struct err *e)
{
	AUTO_BUF struct buf url = {0};
	int r = engine_target(&url, "/containers/", a->id, "/attach?stream=1&stdout=1&stderr=1");

	if (r == 0 && a->input)
		r = url_param(&url, "stdin", "1");
	if (r == 0 && a->detach_keys)
		r = url_param(&url, "detachKeys", a->detach_keys);
	return r < 0 ? r : engine_open(h, "POST", url.v, NULL, true, e);
}

/* The answer's head comes once the engine waits, so no end is missed. */
static int open_wait(struct http *h, const struct attachment *a, struct err *e)
{
	AUTO_BUF struct buf url = {0};
	int r = engine_target(&url, "/containers/", a->id, "/wait");

	if (r == 0 && a->start)
		r = url_param(&url, "condition", a->removed ? "removed" : "next-exit");
	return r < 0 ? r : engine_open(h, "POST", url.v, NULL, false, e);
}

static int post_start(const char *id, struct err *e)
{
	AUTO_BUF struct buf url = {0};
	int r = engine_target(&url, "/containers/", id, "/start");

	return r < 0 ? r : engine_ask("POST", url.v, NULL, NULL, e);
}

static int read_status(struct http *wait, int *ret, struct err *e)
{
	AUTO_DOC yyjson_doc *doc = NULL;
	int r = engine_answer(wait, &doc, e);
	const char *message;

	if (r < 0)
		return r;
	message = field_text(yyjson_obj_get(yyjson_doc_get_root(doc), "Error"), "Message");
	if (message[0])
		return err_set(e, EIO, "Error waiting for container: %s", message);
	*ret = (int)field_int(yyjson_doc_get_root(doc), "StatusCode");
	return 0;
}

int attachment_run(const struct attachment *a, int *ret, bool *ret_detached, struct err *e)
{
	AUTO_HTTP struct http stream = HTTP_NONE;
	AUTO_HTTP struct http wait = HTTP_NONE;
	AUTO_BUF struct buf resize = {0};
	AUTO_BUF struct buf kill = {0};
	struct session s = {
		.http = &stream, .input = a->input, .tty = a->tty, .detach_keys = a->detach_keys};
	int r = engine_target(&resize, "/containers/", a->id, "/resize");

	*ret_detached = false;
	if (r == 0)
		r = engine_target(&kill, "/containers/", a->id, "/kill");
	s.resize = a->tty ? resize.v : NULL;
	s.kill = a->proxy ? kill.v : NULL;
	session_prepare(&s);
	if (r == 0)
		r = open_attach(&stream, a, e);
	if (r == 0)
		r = open_wait(&wait, a, e);
	if (r == 0 && a->start)
		r = post_start(a->id, e);
	if (r < 0)
		return r;
	session_resize(&s);
	r = session_run(&s, e);
	if (r == SESSION_DETACHED) {
		*ret_detached = true;
		*ret = 0;
		return 0;
	}
	if (r != SESSION_OVER) {
		*ret = r;
		return r < 0 ? r : 0;
	}
	return read_status(&wait, ret, e);
}

struct attach {
	bool no_stdin, no_proxy;
	const char *detach_keys;
};

static int take_proxy(void *to, const struct option *o, const char *value, struct err *e)
{
	bool on = true;
	int r = option_bool(&on, &(struct option){.name = o->name}, value, e);

	((struct attach *)to)->no_proxy = !on;
	return r;
}

static const struct option attach_options[] = {
	OPT(0, "detach-keys", "KEYS", attach, detach_keys, option_text, "instead of ctrl-p,ctrl-q"),
	OPT(0, "no-stdin", NULL, attach, no_stdin, option_bool, "only listen"),
	OPT(0, "sig-proxy", NULL, attach, no_proxy, take_proxy, "hand signals on (default true)"),
};

/* Attach to a container that is there. Returns an exit status. */
static int attach_to(struct attachment *a, struct err *e)
{
	AUTO_BUF struct buf url = {0};
	AUTO_DOC yyjson_doc *doc = NULL;
	yyjson_val *config, *state;
	bool detached;
	int status = 0;

	if (engine_target(&url, "/containers/", a->id, "/json") == 0)
		doc = engine_get(url.v, e);
	if (!doc)
		return command_fail(e);
	config = yyjson_obj_get(yyjson_doc_get_root(doc), "Config");
	state = yyjson_obj_get(yyjson_doc_get_root(doc), "State");
	if (!a->start && !field_bool(state, "Running"))
		(void)err_set(e, EINVAL, "cannot attach to a stopped container, start it first");
	else if (!a->start && field_bool(state, "Paused"))
		(void)err_set(e, EINVAL, "cannot attach to a paused container, unpause it first");
	if (e->code)
		return command_fail(e);
	a->tty = field_bool(config, "Tty");
	a->input = a->input && field_bool(config, "OpenStdin");
	a->proxy = a->proxy && !a->tty;
	if (session_check(a->input, a->tty, e) < 0 || attachment_run(a, &status, &detached, e) < 0)
		return command_fail(e);
	if (detached && !a->start) {
		fputs("read escape sequence\n", stderr);
		return EXIT_FAILED;
	}
	return status;
}

static int attach_run(void *options, int argc, char **argv)
{
	const struct attach *o = options;
	struct err e = {0};
	struct attachment a = {.id = argv[1],
		.input = !o->no_stdin,
		.proxy = !o->no_proxy,
		.detach_keys = o->detach_keys};

	(void)argc;
	return attach_to(&a, &e);
}

struct start {
	bool attach, interactive;
	const char *detach_keys;
};

static const struct option start_options[] = {
	OPT('a', "attach", NULL, start, attach, option_bool, "stay with it and show its output"),
	OPT(0, "detach-keys", "KEYS", start, detach_keys, option_text, "instead of ctrl-p,ctrl-q"),
	OPT('i', "interactive", NULL, start, interactive, option_bool, "give it the input, too"),
};

/* Docker tells the names that failed once more at the end. */
static int start_all(char **names)
{
	AUTO_BUF struct buf failed = {0};

	for (; *names; names++) {
		struct err e = {0};

		if (post_start(*names, &e) >= 0) {
			puts(*names);
			continue;
		}
		(void)command_fail(&e);
		(void)buf_printf(&failed, "%s%s", failed.len ? ", " : "", *names);
	}
	if (failed.len == 0)
		return 0;
	fprintf(stderr, "Error: failed to start containers: %s\n", failed.v);
	return EXIT_FAILED;
}

static int start_run(void *options, int argc, char **argv)
{
	const struct start *o = options;
	struct err e = {0};
	struct attachment a = {.id = argv[1],
		.start = true,
		.input = o->interactive,
		.proxy = true,
		.detach_keys = o->detach_keys};

	if (!o->attach && !o->interactive)
		return start_all(argv + 1);
	if (argc > 2) {
		fputs("you cannot start and attach multiple containers at once\n", stderr);
		return EXIT_FAILED;
	}
	return attach_to(&a, &e);
}

static int start_service(void *options, int argc, char **argv)
{
	const struct start *o = options;

	if (o->attach || o->interactive || o->detach_keys) {
		fputs("a service cannot be attached to: sampan logs -f shows what it prints\n",
			stderr);
		return EXIT_USAGE;
	}
	return services_start(argc, argv);
}

const struct command cmd_attach = {"attach", "NAME",
	"connect the terminal with a container that runs", OPTIONS(attach_options),
	sizeof(struct attach), 1, 1, attach_run, NULL};
const struct command cmd_start = {"start", "NAME...",
	"start containers or services; done when they are up", OPTIONS(start_options),
	sizeof(struct start), 1, -1, start_run, start_service};
