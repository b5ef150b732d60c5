/* What containers and services have printed. */
#include "runtime/cli/command.h"
#include "runtime/cli/services.h"
#include "runtime/cli/stream.h"

#include <stdio.h>

struct logs {
	bool follow, timestamps, details;
	const char *tail, *since, *until;
};

static const struct option logs_options[] = {
	OPT(0, "details", NULL, logs, details, option_bool, "also what the log driver adds"),
	OPT('f', "follow", NULL, logs, follow, option_bool, "go on with what is added"),
	OPT(0, "since", "TIME", logs, since, option_text, "from a date on, or the last \"10m\""),
	OPT('n', "tail", "N", logs, tail, option_text, "only the last N lines"),
	OPT('t', "timestamps", NULL, logs, timestamps, option_bool, "when each line was written"),
	OPT(0, "until", "TIME", logs, until, option_text, "up to a date"),
};

static int logs_target(struct buf *url, const struct logs *o, const char *name, struct err *e)
{
	int r = engine_target(url, "/containers/", name, "/logs?stdout=1&stderr=1");

	if (r == 0 && o->follow)
		r = url_param(url, "follow", "1");
	if (r == 0 && o->timestamps)
		r = url_param(url, "timestamps", "1");
	if (r == 0 && o->details)
		r = url_param(url, "details", "1");
	if (r == 0 && o->tail)
		r = url_param(url, "tail", o->tail);
	if (r == 0)
		r = command_moment(url, "since", o->since, e);
	return r < 0 ? r : command_moment(url, "until", o->until, e);
}

static int logs_run(void *options, int argc, char **argv)
{
	AUTO_HTTP struct http h = HTTP_NONE;
	AUTO_BUF struct buf url = {0};
	struct err e = {0};
	int r = logs_target(&url, options, argv[1], &e);

	(void)argc;
	if (r == 0)
		r = engine_open(&h, "GET", url.v, NULL, false, &e);
	if (r == 0)
		r = stream_copy(&h, &e);
	return r < 0 ? command_fail(&e) : 0;
}

static int logs_service(void *options, int argc, char **argv)
{
	const struct logs *o = options;

	(void)argc;
	if (o->timestamps || o->details || o->tail || o->since || o->until) {
		fputs("logs of a service has one option, -f\n", stderr);
		return EXIT_USAGE;
	}
	return services_logs(argv[1], o->follow);
}

const struct command cmd_logs = {"logs", "NAME", "show what a container or service printed",
	OPTIONS(logs_options), sizeof(struct logs), 1, 1, logs_run, logs_service};
