/* The commands that ask one thing of each container or image that is named. */
#include "runtime/cli/command.h"
#include "runtime/cli/services.h"

#include <stdio.h>
#include <string.h>

/* Ask @method for each name and print the name, or what failed. Returns an exit status. */
static int for_each(const char *method, const char *before, const char *behind,
	const struct buf *params, char **names)
{
	int status = 0;

	for (; *names; names++) {
		AUTO_BUF struct buf url = {0};
		struct err e = {0};
		int r = engine_target(&url, before, *names, behind);

		if (r == 0 && params->len > 0)
			r = buf_add_str(&url, params->v);
		if (r == 0)
			r = engine_ask(method, url.v, NULL, NULL, &e);
		if (r < 0)
			status = command_fail(&e);
		else
			puts(*names);
		(void)fflush(stdout);
	}
	return status;
}

struct stop {
	const char *signal;
	int64_t time;
	bool timed;
};

static int take_time(void *to, const struct option *o, const char *value, struct err *e)
{
	((struct stop *)to)->timed = true;
	return option_int(to, o, value, e);
}

static const struct option stop_options[] = {
	OPT('s', "signal", "SIGNAL", stop, signal, option_text, "the signal to begin with"),
	OPT('t', "time", "SECONDS", stop, time, take_time, "how long before it is killed"),
	OPT(0, "timeout", "SECONDS", stop, time, take_time, "the same"),
};

static int stop_or_restart(const struct stop *o, const char *behind, char **names)
{
	AUTO_BUF struct buf params = {0};
	char seconds[24];

	snprintf(seconds, sizeof(seconds), "%lld", (long long)o->time);
	if ((o->timed && url_param(&params, "t", seconds) < 0) ||
		(o->signal && url_param(&params, "signal", o->signal) < 0))
		return EXIT_FAILED;
	return for_each("POST", "/containers/", behind, &params, names);
}

static int stop_run(void *options, int argc, char **argv)
{
	(void)argc;
	return stop_or_restart(options, "/stop", argv + 1);
}

static int restart_run(void *options, int argc, char **argv)
{
	(void)argc;
	return stop_or_restart(options, "/restart", argv + 1);
}

static bool stop_is_plain(const struct stop *o)
{
	if (!o->timed && !o->signal)
		return true;
	fputs("a service is stopped as it was declared: -s and -t are for containers\n", stderr);
	return false;
}

static int stop_service(void *options, int argc, char **argv)
{
	return stop_is_plain(options) ? services_stop(argc, argv) : EXIT_USAGE;
}

static int restart_service(void *options, int argc, char **argv)
{
	return stop_is_plain(options) ? services_restart(argc, argv) : EXIT_USAGE;
}

struct kill {
	const char *signal;
};

static const struct option kill_options[] = {
	OPT('s', "signal", "SIGNAL", kill, signal, option_text, "the signal (default KILL)"),
};

static int kill_run(void *options, int argc, char **argv)
{
	const struct kill *o = options;
	AUTO_BUF struct buf params = {0};

	(void)argc;
	if (o->signal && url_param(&params, "signal", o->signal) < 0)
		return EXIT_FAILED;
	return for_each("POST", "/containers/", "/kill", &params, argv + 1);
}

struct rm {
	bool force, volumes;
};

static const struct option rm_options[] = {
	OPT('f', "force", NULL, rm, force, option_bool, "kill it first if it runs"),
	OPT('v', "volumes", NULL, rm, volumes, option_bool, "also its volumes without a name"),
};

static int rm_run(void *options, int argc, char **argv)
{
	const struct rm *o = options;
	AUTO_BUF struct buf params = {0};
	int status = 0;

	(void)argc;
	if ((o->volumes && url_param(&params, "v", "1") < 0) ||
		(o->force && url_param(&params, "force", "1") < 0))
		return EXIT_FAILED;
	for (char **name = argv + 1; *name; name++) {
		AUTO_BUF struct buf url = {0};
		struct err e = {0};
		int r = engine_target(&url, "/containers/", *name, params.v ? params.v : "");

		if (r == 0)
			r = engine_ask("DELETE", url.v, NULL, NULL, &e);
		/* with -f it is enough that it is not there */
		if (r < 0 && !(o->force && e.code == ENOENT))
			status = command_fail(&e);
		else if (r < 0)
			(void)command_fail(&e);
		else
			puts(*name);
	}
	return status;
}

struct rmi {
	bool force, no_prune;
};

static const struct option rmi_options[] = {
	OPT('f', "force", NULL, rmi, force, option_bool, "also with several names"),
	OPT(0, "no-prune", NULL, rmi, no_prune, option_bool, "keep what it was made of"),
};

static void print_removed(yyjson_doc *doc)
{
	yyjson_val *list = yyjson_doc_get_root(doc), *one;
	size_t i, n;

	if (!yyjson_is_arr(list))
		return;
	yyjson_arr_foreach (list, i, n, one) {
		const char *deleted = field_text(one, "Deleted");

		if (deleted[0])
			printf("Deleted: %s\n", deleted);
		else
			printf("Untagged: %s\n", field_text(one, "Untagged"));
	}
}

static int rmi_run(void *options, int argc, char **argv)
{
	const struct rmi *o = options;
	int status = 0;

	for (int i = 1; i < argc; i++) {
		AUTO_BUF struct buf url = {0};
		AUTO_DOC yyjson_doc *doc = NULL;
		struct err e = {0};
		int r = engine_target(&url, "/images/", argv[i], "");

		if (r == 0 && o->force)
			r = url_param(&url, "force", "1");
		if (r == 0 && o->no_prune)
			r = url_param(&url, "noprune", "1");
		if (r == 0)
			r = engine_ask("DELETE", url.v, NULL, &doc, &e);
		if (r < 0) {
			int failed = command_fail(&e);

			status = o->force && e.code == ENOENT ? status : failed;
		}
		print_removed(doc);
	}
	return status;
}

static int pause_run(void *options, int argc, char **argv)
{
	(void)options, (void)argc;
	return for_each("POST", "/containers/", "/pause", &(struct buf){0}, argv + 1);
}

static int unpause_run(void *options, int argc, char **argv)
{
	(void)options, (void)argc;
	return for_each("POST", "/containers/", "/unpause", &(struct buf){0}, argv + 1);
}

static int wait_run(void *options, int argc, char **argv)
{
	int status = 0;

	(void)options;
	for (int i = 1; i < argc; i++) {
		AUTO_BUF struct buf url = {0};
		AUTO_DOC yyjson_doc *doc = NULL;
		struct err e = {0};
		int r = engine_target(&url, "/containers/", argv[i], "/wait");

		if (r == 0)
			r = engine_ask("POST", url.v, NULL, &doc, &e);
		if (r < 0)
			status = command_fail(&e);
		else
			printf("%lld\n",
				(long long)field_int(yyjson_doc_get_root(doc), "StatusCode"));
		(void)fflush(stdout);
	}
	return status;
}

static int rename_run(void *options, int argc, char **argv)
{
	AUTO_BUF struct buf url = {0};
	struct err e = {0};
	int r = engine_target(&url, "/containers/", argv[1], "/rename");

	(void)options, (void)argc;
	if (r == 0)
		r = url_param(&url, "name", argv[2]);
	if (r == 0)
		r = engine_ask("POST", url.v, NULL, NULL, &e);
	return r < 0 ? command_fail(&e) : 0;
}

const struct command cmd_stop = {"stop", "NAME...",
	"stop containers or services; done when they are down", OPTIONS(stop_options),
	sizeof(struct stop), 1, -1, stop_run, stop_service};
const struct command cmd_restart = {"restart", "NAME...", "stop, then start", OPTIONS(stop_options),
	sizeof(struct stop), 1, -1, restart_run, restart_service};
const struct command cmd_kill = {"kill", "NAME...", "send containers a signal",
	OPTIONS(kill_options), sizeof(struct kill), 1, -1, kill_run, NULL};
const struct command cmd_rm = {"rm", "NAME...", "remove containers", OPTIONS(rm_options),
	sizeof(struct rm), 1, -1, rm_run, NULL};
const struct command cmd_rmi = {"rmi", "IMAGE...", "remove images", OPTIONS(rmi_options),
	sizeof(struct rmi), 1, -1, rmi_run, NULL};
const struct command cmd_pause = {
	"pause", "NAME...", "freeze containers", {0}, 0, 1, -1, pause_run, NULL};
const struct command cmd_unpause = {
	"unpause", "NAME...", "let frozen containers go on", {0}, 0, 1, -1, unpause_run, NULL};
const struct command cmd_wait = {"wait", "NAME...", "wait for their ends, print exit statuses", {0},
	0, 1, -1, wait_run, NULL};
const struct command cmd_rename = {
	"rename", "NAME NEW", "give a container another name", {0}, 0, 2, 2, rename_run, NULL};
