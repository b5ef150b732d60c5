/* What `run` and `create` ask for: a container as the API wants it, put together by the options. */
#ifndef SAMPAN_CLI_RUN_H
#define SAMPAN_CLI_RUN_H

#include "runtime/cli/command.h"

struct run {
	yyjson_mut_doc *doc; /* the body; owned, NULL before the first option that needs it */
	yyjson_mut_val *config, *host;
	bool detach, interactive, tty, remove, quiet, no_proxy;
	const char *name, *pull, *platform, *cidfile, *detach_keys;
};

/* The commands, as struct command has them. */
int run_run(void *options, int argc, char **argv);
int create_run(void *options, int argc, char **argv);

/* Make @run->doc if there is none. */
void run_begin(struct run *run);

/* The object @key in @obj, made if it is not there. */
yyjson_mut_val *run_object(struct run *run, yyjson_mut_val *obj, const char *key);

/* Append @value to the array @key in @obj, made if it is not there. */
void run_append(struct run *run, yyjson_mut_val *obj, const char *key, yyjson_mut_val *value);

/* Options whose values have parts: take functions as struct option has them. Source: docker-run(1).
 */
int run_take_volume(void *to, const struct option *o, const char *value, struct err *e);
int run_take_mount(void *to, const struct option *o, const char *value, struct err *e);
int run_take_publish(void *to, const struct option *o, const char *value, struct err *e);
int run_take_expose(void *to, const struct option *o, const char *value, struct err *e);

#endif
