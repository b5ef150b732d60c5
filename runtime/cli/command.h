/* A subcommand: what --help says of it, how its words are read, and who does it. */
#ifndef SAMPAN_CLI_COMMAND_H
#define SAMPAN_CLI_COMMAND_H

#include "runtime/cli/engine.h"
#include "runtime/cli/options.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Exit statuses that docker has beside a container's own. */
enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,	   /* of the commands to init */
	EXIT_ENGINE = 125, /* the engine or the words were the reason, not the container */
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
};

struct command {
	const char *name;
	const char *arguments; /* as --help shows them */
	const char *help;
	struct options options;
	size_t size; /* bytes of the struct that the options fill, zeroed at first */
	int min;     /* words behind the options */
	int max;     /* -1: any number */
	/*
	 * @options: that struct
	 * @argv: argv[0] is the command's name, then the words; NULL at the end
	 * Returns the exit status. What failed was told.
	 */
	int (*run)(void *options, int argc, char **argv);
	/* The same for names that init supervises; NULL: all names are the engine's. */
	int (*service)(void *options, int argc, char **argv);
};

/* What the program is called, "sampan" or "docker", for messages. */
extern const char *command_program;

/* Tell what failed. Returns EXIT_FAILED. */
int command_fail(const struct err *e);

/* An option --filter KEY=VALUE, and its way into a target: the filters are freed. */
struct filters {
	yyjson_mut_doc *doc; /* {"KEY": {"VALUE": true}}; NULL: none */
};
int option_filter(void *to, const struct option *o, const char *value, struct err *e);
int filters_param(struct buf *url, struct filters *filters);

/* Add what --since or --until says, or nothing when @text is NULL. Returns 0 or -errno. */
int command_moment(struct buf *url, const char *key, const char *text, struct err *e);

/* Write a JSON document that is indented as docker's are, and a newline. Returns 0 or -errno. */
int command_print_json(yyjson_mut_doc *doc, struct err *e);

/* An entry of the list of options whose member is M of struct S. */
#define OPT(letter_, name_, argument_, S, M, take_, help_)                                         \
	{                                                                                          \
		.letter = (letter_), .name = (name_), .argument = (argument_), .help = (help_),    \
		.take = (take_), .offset = offsetof(struct S, M)                                   \
	}
#define OPTIONS(table)                                                                             \
	{                                                                                          \
		.v = (table), .n = N_OF(table)                                                     \
	}

extern const struct command cmd_status, cmd_system, cmd_reboot, cmd_poweroff;
extern const struct command cmd_ps, cmd_images, cmd_inspect, cmd_logs;
extern const struct command cmd_top, cmd_stats, cmd_events, cmd_info, cmd_version;
extern const struct command cmd_run, cmd_create, cmd_attach, cmd_exec, cmd_pull, cmd_load;
extern const struct command cmd_start, cmd_stop, cmd_restart, cmd_kill, cmd_rm, cmd_rmi, cmd_pause,
	cmd_unpause, cmd_wait, cmd_rename;

#endif
