/* run and create. */
#include "runtime/cli/run.h"

#include "runtime/cli/attach.h"
#include "runtime/cli/pull.h"
#include "runtime/cli/session.h"

#include <stdio.h>
#include <string.h>

/* Bring in what the switches say, and the image and command behind the options. */
static void finish(struct run *o, int argc, char **argv)
{
	yyjson_mut_doc *doc;
	yyjson_mut_val *size;
	unsigned rows, columns;

	run_begin(o);
	doc = o->doc;
	(void)yyjson_mut_obj_add_str(doc, o->config, "Image", argv[1]);
	for (int i = 2; i < argc; i++)
		run_append(o, o->config, "Cmd", yyjson_mut_str(doc, argv[i]));
	(void)yyjson_mut_obj_add_bool(doc, o->config, "Tty", o->tty);
	(void)yyjson_mut_obj_add_bool(doc, o->config, "OpenStdin", o->interactive);
	(void)yyjson_mut_obj_add_bool(doc, o->config, "AttachStdin", o->interactive && !o->detach);
	(void)yyjson_mut_obj_add_bool(doc, o->config, "StdinOnce", o->interactive && !o->detach);
	(void)yyjson_mut_obj_add_bool(doc, o->config, "AttachStdout", !o->detach);
	(void)yyjson_mut_obj_add_bool(doc, o->config, "AttachStderr", !o->detach);
	(void)yyjson_mut_obj_add_bool(doc, o->host, "AutoRemove", o->remove);
	/* docker's client says these even if nobody asked */
	(void)run_object(o, o->config, "Volumes");
	if (!yyjson_mut_obj_get(o->host, "PidsLimit"))
		(void)yyjson_mut_obj_add_int(doc, o->host, "PidsLimit", 0);
	if (session_size(&rows, &columns)) {
		size = yyjson_mut_obj_add_arr(doc, o->host, "ConsoleSize");
		(void)yyjson_mut_arr_add_uint(doc, size, rows);
		(void)yyjson_mut_arr_add_uint(doc, size, columns);
	}
	(void)yyjson_mut_obj_add_val(doc, o->config, "HostConfig", o->host);
}

static int create_target(struct buf *url, const struct run *o)
{
	int r = buf_add_str(url, "/containers/create");

	if (r == 0 && o->name)
		r = url_param(url, "name", o->name);
	if (r == 0 && o->platform)
		r = url_param(url, "platform", o->platform);
	return r;
}

static void print_warnings(yyjson_val *answer)
{
	yyjson_val *warnings = yyjson_obj_get(answer, "Warnings"), *one;
	size_t i, n;

	if (!yyjson_is_arr(warnings))
		return;
	yyjson_arr_foreach (warnings, i, n, one)
		fprintf(stderr, "WARNING: %s\n", yyjson_get_str(one));
}

static int write_id(const char *path, const char *id, struct err *e)
{
	FILE *file = fopen(path, "wxe");
	bool ok;

	if (!file)
		return err_set(e, errno, "failed to write the container ID to the file: %s: %s",
			path, strerror(errno));
	ok = fputs(id, file) >= 0;
	if (fclose(file) != 0 || !ok)
		return err_set(e, EIO, "failed to write the container ID to the file: %s", path);
	return 0;
}

/* Create, after a pull where it is needed. Returns the engine's answer or NULL with @e filled. */
static yyjson_doc *create(struct run *o, const char *image, struct err *e)
{
	AUTO_BUF struct buf url = {0};
	yyjson_doc *doc = NULL;
	const char *when = o->pull ? o->pull : "missing";
	const struct pull pull = {.platform = o->platform, .to = stderr, .quiet = o->quiet};
	int r;

	if (strcmp(when, "missing") != 0 && strcmp(when, "always") != 0 &&
		strcmp(when, "never") != 0) {
		(void)err_set(e, EINVAL,
			"invalid pull option: '%s': must be one of \"always\", "
			"\"missing\" or \"never\"",
			when);
		return NULL;
	}
	if (create_target(&url, o) < 0 ||
		(strcmp(when, "always") == 0 && pull_image(&pull, image, e) < 0))
		return NULL;
	r = engine_ask("POST", url.v, o->doc, &doc, e);
	if (r == -ENOENT && strcmp(when, "missing") == 0 && strstr(e->msg, "No such image")) {
		char name[512];

		pull_name(image, name, sizeof(name));
		fprintf(stderr, "Unable to find image '%s' locally\n", name);
		if (pull_image(&pull, image, e) < 0)
			return NULL;
		(void)engine_ask("POST", url.v, o->doc, &doc, e);
	}
	if (doc && o->cidfile &&
		write_id(o->cidfile, field_text(yyjson_doc_get_root(doc), "Id"), e) < 0) {
		yyjson_doc_free(doc);
		return NULL;
	}
	return doc;
}

static int tell(const struct err *e, const char *verb)
{
	fprintf(stderr, "%s: %s\n\nRun '%s %s --help' for more information\n", command_program,
		e->msg, command_program, verb);
	return EXIT_ENGINE;
}

/* What docker's client makes of an error: a program that is not there, or may not be run. */
static int failed(const struct err *e, const char *verb)
{
	static const struct {
		const char *words;
		int status;
	} known[] = {
		{"executable file not found", EXIT_NOT_FOUND},
		{"no such file or directory", EXIT_NOT_FOUND},
		{"permission denied", EXIT_NOT_EXECUTABLE},
		{"is a directory", EXIT_NOT_EXECUTABLE},
	};

	(void)tell(e, verb);
	for (size_t i = 0; i < N_OF(known); i++) {
		if (strcasestr(e->msg, known[i].words))
			return known[i].status;
	}
	return EXIT_ENGINE;
}

static int start_detached(const char *id, struct err *e)
{
	AUTO_BUF struct buf url = {0};
	int r = engine_target(&url, "/containers/", id, "/start");

	if (r == 0)
		r = engine_ask("POST", url.v, NULL, NULL, e);
	if (r >= 0)
		puts(id);
	return r < 0 ? r : 0;
}

int run_run(void *options, int argc, char **argv)
{
	struct run *o = options;
	AUTO_MUT_DOC yyjson_mut_doc *body = NULL;
	AUTO_DOC yyjson_doc *doc = NULL;
	struct err e = {0};
	struct attachment a = {.input = o->interactive,
		.tty = o->tty,
		.start = true,
		.proxy = !o->no_proxy,
		.removed = o->remove,
		.detach_keys = o->detach_keys};
	bool detached;
	int status = 0, r = 0;

	finish(o, argc, argv);
	body = o->doc;
	if (!o->detach && session_check(o->interactive, o->tty, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return EXIT_FAILED;
	}
	doc = create(o, argv[1], &e);
	if (!doc)
		return tell(&e, "run");
	print_warnings(yyjson_doc_get_root(doc));
	a.id = field_text(yyjson_doc_get_root(doc), "Id");
	r = o->detach ? start_detached(a.id, &e) : attachment_run(&a, &status, &detached, &e);
	return r < 0 ? failed(&e, "run") : status;
}

int create_run(void *options, int argc, char **argv)
{
	struct run *o = options;
	AUTO_MUT_DOC yyjson_mut_doc *body = NULL;
	AUTO_DOC yyjson_doc *doc = NULL;
	struct err e = {0};

	finish(o, argc, argv);
	body = o->doc;
	doc = create(o, argv[1], &e);
	if (!doc)
		return command_fail(&e);
	print_warnings(yyjson_doc_get_root(doc));
	puts(field_text(yyjson_doc_get_root(doc), "Id"));
	return 0;
}
