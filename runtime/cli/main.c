/*
 * sampan: the command on the console; called `docker` it is docker's. A new subcommand is a line in
 * the table below.
 *
 * start, stop, restart and logs know two kinds of names. `sampan` gives what init supervises to
 * init and everything else to the engine, and refuses a name that is both; `docker` asks the engine
 * alone.
 */
#include "runtime/cli/command.h"
#include "runtime/cli/services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum group { OF_CONTAINERS, OF_IMAGES, OF_ENGINE, OF_MACHINE, GROUPS };

static const char *const group_titles[GROUPS] = {
	[OF_CONTAINERS] = "Containers",
	[OF_IMAGES] = "Images",
	[OF_ENGINE] = "The engine",
	[OF_MACHINE] = "The machine",
};

static const struct {
	enum group group;
	const struct command *command;
} commands[] = {
	{OF_CONTAINERS, &cmd_run},
	{OF_CONTAINERS, &cmd_create},
	{OF_CONTAINERS, &cmd_exec},
	{OF_CONTAINERS, &cmd_attach},
	{OF_CONTAINERS, &cmd_start},
	{OF_CONTAINERS, &cmd_stop},
	{OF_CONTAINERS, &cmd_restart},
	{OF_CONTAINERS, &cmd_kill},
	{OF_CONTAINERS, &cmd_pause},
	{OF_CONTAINERS, &cmd_unpause},
	{OF_CONTAINERS, &cmd_wait},
	{OF_CONTAINERS, &cmd_logs},
	{OF_CONTAINERS, &cmd_ps},
	{OF_CONTAINERS, &cmd_top},
	{OF_CONTAINERS, &cmd_stats},
	{OF_CONTAINERS, &cmd_rename},
	{OF_CONTAINERS, &cmd_rm},
	{OF_IMAGES, &cmd_images},
	{OF_IMAGES, &cmd_pull},
	{OF_IMAGES, &cmd_load},
	{OF_IMAGES, &cmd_rmi},
	{OF_ENGINE, &cmd_inspect},
	{OF_ENGINE, &cmd_events},
	{OF_ENGINE, &cmd_info},
	{OF_ENGINE, &cmd_version},
	{OF_ENGINE, &cmd_system},
	{OF_MACHINE, &cmd_status},
	{OF_MACHINE, &cmd_reboot},
	{OF_MACHINE, &cmd_poweroff},
};

/* `docker container ls` and its like: "" keeps the second word. */
static const struct {
	const char *group, *word, *name;
} long_names[] = {
	{"container", "ls", "ps"},
	{"container", "list", "ps"},
	{"image", "ls", "images"},
	{"image", "list", "images"},
	{"image", "rm", "rmi"},
	{"image", "inspect", "inspect"},
	{"image", "load", "load"},
	{"image", "pull", "pull"},
	{"system", "events", "events"},
	{"system", "info", "info"},
	{"container", NULL, NULL},
};

static bool is_docker(void)
{
	return strcmp(command_program, "docker") == 0;
}

/* Docker has no commands for the machine. */
static bool is_shown(size_t i)
{
	return !is_docker() || commands[i].group != OF_MACHINE;
}

static void usage(FILE *to)
{
	fprintf(to, "Usage: %s [-H unix://SOCKET] COMMAND [OPTION]... [ARGUMENT]...\n",
		command_program);
	for (enum group g = 0; g < GROUPS; g++) {
		if (g == OF_MACHINE && is_docker())
			continue;
		fprintf(to, "\n%s:\n", group_titles[g]);
		for (size_t i = 0; i < N_OF(commands); i++) {
			if (commands[i].group == g)
				fprintf(to, "  %-9s %s\n", commands[i].command->name,
					commands[i].command->help);
		}
	}
	fprintf(to, "\n%s COMMAND --help tells the options.\n", command_program);
	if (!is_docker())
		fputs("start, stop, restart and logs: a name that init supervises (sampan status) "
		      "goes to\n"
		      "init, every other name to the engine. A name that is both is refused: "
		      "docker COMMAND\n"
		      "means the container, sampan service COMMAND the service.\n",
			to);
	fputs("Exit status: 0 done, 1 failed, 2 or 125 wrong words; of run and exec the "
	      "container's, or\n"
	      "126 and 127 for a program that cannot be run or found.\n",
		to);
}

static void command_usage(const struct command *c)
{
	printf("Usage: %s %s%s %s\n\n%c%s.\n", command_program, c->name,
		c->options.n ? " [OPTION]..." : "", c->arguments, c->help[0] & ~0x20, c->help + 1);
	if (c->options.n)
		printf("\n");
	for (size_t i = 0; i < c->options.n; i++) {
		const struct option *o = &c->options.v[i];
		char left[40], letter[5] = "    ";

		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		snprintf(left, sizeof(left), "%s--%s %s", letter, o->name,
			o->argument ? o->argument : "");
		printf("  %-31s %s\n", left, o->help);
	}
}

/* Is there a container of that name which init did not start? */
static bool is_container(const char *name)
{
	AUTO_BUF struct buf url = {0};
	AUTO_DOC yyjson_doc *doc = NULL;
	struct err e = {0};
	yyjson_val *labels;

	if (engine_target(&url, "/containers/", name, "/json") == 0)
		doc = engine_get(url.v, &e);
	if (!doc)
		return false;
	labels = yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "Config"), "Labels");
	return !field_text(labels, "org.sampan.declared")[0];
}

/*
 * Divide the names of @argv: those of init first.
 * Returns how many are init's, or -1 for a name that is both, which was told.
 */
static int divide(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		char *name = argv[i];

		if (services_know(name) < 0)
			continue;
		if (is_container(name)) {
			fprintf(stderr,
				"%s is a service and a container: say \"sampan service %s %s\" or "
				"\"docker %s %s\"\n",
				name, argv[0], name, argv[0], name);
			return -1;
		}
		memmove(argv + n + 2, argv + n + 1, (size_t)(i - n - 1) * sizeof(*argv));
		argv[++n] = name;
	}
	return n;
}

/* Is @name neither init's nor anybody's, because the engine does not answer? Then say so. */
static bool is_nobody(const char *name)
{
	AUTO_HTTP struct http h = HTTP_NONE;
	struct err e = {0};

	if (services_know(name) != -ENOENT ||
		http_send(&h, "GET", "/_ping", NULL, 0, false, &e) == 0)
		return false;
	fprintf(stderr, "sampan: %s: no such service, and the engine does not answer\n", name);
	return true;
}

/* Give init its names, and the rest to the engine. */
static int run_divided(const struct command *c, void *options, int argc, char **argv)
{
	int n = divide(argc, argv), status = 0;
	char *next;

	if (n < 0)
		return EXIT_FAILED;
	next = argv[n + 1];
	argv[n + 1] = NULL;
	if (n > 0)
		status = c->service(options, n + 1, argv);
	if (!next || status)
		return status;
	argv[n + 1] = next;
	argv[n] = argv[0];
	return is_nobody(next) ? EXIT_FAILED : c->run(options, argc - n, argv + n);
}

/* How many words there must be, in docker's words. Returns -EINVAL. */
static int check_count(const struct command *c, int n, struct err *e)
{
	const char *kind = c->min == c->max ? "" : n < c->min ? "at least " : "at most ";
	int limit = n < c->min ? c->min : c->max;

	if (n >= c->min && (c->max < 0 || n <= c->max))
		return 0;
	if (c->max == 0)
		return err_set(e, EINVAL, "%s: '%s %s' accepts no arguments", command_program,
			command_program, c->name);
	return err_set(e, EINVAL, "%s: '%s %s' requires %s%d argument%s", command_program,
		command_program, c->name, kind, limit, limit == 1 ? "" : "s");
}

enum { MODE_BOTH, MODE_ENGINE, MODE_SERVICE };

static int run_command(const struct command *c, int mode, int argc, char **argv)
{
	struct err e = {0};
	void *options = calloc(1, c->size ? c->size : 1);
	int r = options ? options_parse(&c->options, options, &argc, argv, &e)
			: err_set(&e, ENOMEM, "no memory");
	int status = EXIT_ENGINE;

	if (r == 0 && check_count(c, argc - 1, &e) < 0) {
		status = EXIT_FAILED;
		r = -EINVAL;
	}
	if (r == -ECANCELED) {
		command_usage(c);
		status = 0;
	} else if (r < 0) {
		fprintf(stderr, "%s\nRun '%s %s --help' for more information\n", e.msg,
			command_program, c->name);
	} else if (mode == MODE_SERVICE) {
		status = c->service(options, argc, argv);
	} else if (mode == MODE_BOTH && c->service) {
		status = run_divided(c, options, argc, argv);
	} else {
		status = c->run(options, argc, argv);
	}
	free(options);
	return status;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < N_OF(commands); i++) {
		if (strcmp(commands[i].command->name, name) == 0 && is_shown(i))
			return commands[i].command;
	}
	return NULL;
}

/* Reduce "container ls" to "ps". Returns how many words go. */
static int reduce(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < N_OF(long_names); i++) {
		if (strcmp(argv[0], long_names[i].group) != 0 ||
			(long_names[i].word && strcmp(argv[1], long_names[i].word) != 0))
			continue;
		if (long_names[i].name) {
			union {
				const char *text;
				char *word;
			} name = {.text = long_names[i].name};

			argv[1] = name.word;
		}
		return 1;
	}
	return 0;
}

static int dispatch(int argc, char **argv)
{
	int mode = is_docker() ? MODE_ENGINE : MODE_BOTH;
	const struct command *c;
	int skip = reduce(argc, argv);

	if (argc > 1 && !is_docker() && strcmp(argv[0], "service") == 0) {
		mode = MODE_SERVICE;
		skip = 1;
	}
	c = find(argv[skip]);
	if (c && (mode != MODE_SERVICE || c->service))
		return run_command(c, mode, argc - skip, argv + skip);
	fprintf(stderr, "%s: unknown command: %s %s%s%s\nRun '%s --help' for more information\n",
		command_program, command_program, argv[0], skip ? " " : "", skip ? argv[1] : "",
		command_program);
	return is_docker() ? EXIT_FAILED : EXIT_USAGE;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');

	if (strcmp(slash ? slash + 1 : argv[0], "docker") == 0)
		command_program = "docker";
	argc--, argv++;
	while (argc > 1 && (strcmp(argv[0], "-H") == 0 || strcmp(argv[0], "--host") == 0)) {
		http_set_host(argv[1]);
		argc -= 2, argv += 2;
	}
	if (argc < 1) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 ||
		strcmp(argv[0], "help") == 0) {
		usage(stdout);
		return 0;
	}
	return dispatch(argc, argv);
}
