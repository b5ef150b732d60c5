/* sampan-oci: the OCI runtime. One command, one error line, exit status 1. */
#include "runtime/oci/commands.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "runtime/oci/container.h"

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static struct globals globals = {.criu = "criu"};

static const struct option_spec global_specs[] = {
	{"root", 0, OPTION_STR, offsetof(struct globals, root), "directory of the state"},
	{"log", 0, OPTION_STR, offsetof(struct globals, log), "file for errors and warnings"},
	{"log-format", 0, OPTION_STR, offsetof(struct globals, log_format), "text or json"},
	{"debug", 0, OPTION_FLAG, offsetof(struct globals, debug), "accepted, says nothing more"},
	{"version", 'v', OPTION_FLAG, offsetof(struct globals, version), "print the version"},
	{"help", 'h', OPTION_FLAG, offsetof(struct globals, help), "print this"},
	{"rootless", 0, OPTION_STR, offsetof(struct globals, rootless),
		"true, false or auto: it is found out in any case"},
	{"systemd-cgroup", 0, OPTION_REFUSE, 0, "is not supported: there is no systemd"},
	{"cgroup-manager", 0, OPTION_STR, offsetof(struct globals, cgroup_manager),
		"cgroupfs or disabled"},
	{"criu", 0, OPTION_STR, offsetof(struct globals, criu),
		"program for checkpoint and restore"},
};

static const struct {
	const char *name;
	command_fn *run;
	/* It puts our own program inside a container, if only until execve. */
	bool enters;
	const char *help;
} commands[] = {
	{"checkpoint", cmd_checkpoint, false, "write a container's processes to files, by CRIU"},
	{"create", cmd_create, true, "make a container from a bundle"},
	{"delete", cmd_delete, false, "remove what is kept of a container"},
	{"events", cmd_events, false, "print what a container uses, again and again"},
	{"exec", cmd_exec, true, "run one more process in a container"},
	{"features", cmd_features, false, "print what this runtime can do"},
	{"kill", cmd_kill, false, "send a signal to a container"},
	{"list", cmd_list, false, "list the containers"},
	{"pause", cmd_pause, false, "freeze a container"},
	{"ps", cmd_ps, false, "list a container's processes"},
	{"restore", cmd_restore, false, "make a container from such files"},
	{"resume", cmd_resume, false, "thaw a container"},
	{"run", cmd_run, true, "create and start"},
	{"spec", cmd_spec, false, "write a config.json to start from"},
	{"start", cmd_start, false, "start a container that was created"},
	{"state", cmd_state, false, "print a container's state"},
	{"update", cmd_update, false, "change a container's limits"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static bool log_is_json(void)
{
	return globals.log_format && strcmp(globals.log_format, "json") == 0;
}

/* One record as runc's log has it: that is what engines parse. */
static void write_record(int fd, const char *level, const char *text)
{
	yyjson_mut_doc *doc;
	yyjson_mut_val *o;
	struct timespec now;
	char stamp[40];
	struct tm tm;
	size_t len = 0;
	char *line;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (!log_is_json()) {
		char buf[LOG_LINE_MAX];
		int n = snprintf(buf, sizeof(buf), "time=\"%s\" level=%s msg=\"%.600s\"\n", stamp,
			level, text);

		(void)io_write_all(fd, buf, n < 0 ? 0 : strlen(buf));
		return;
	}
	doc = yyjson_mut_doc_new(NULL);
	o = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, o);
	yyjson_mut_obj_add_str(doc, o, "level", level);
	yyjson_mut_obj_add_str(doc, o, "msg", text);
	yyjson_mut_obj_add_str(doc, o, "time", stamp);
	line = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &len);
	yyjson_mut_doc_free(doc);
	if (line) {
		line[len] = '\n'; /* in place of the terminator: one write, one line */
		(void)io_write_all(fd, line, len + 1);
	}
	free(line);
}

static void report(const char *level, const char *text)
{
	AUTO_CLOSE int fd = -1;

	if (globals.log) {
		fd = open(globals.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
		if (fd >= 0)
			write_record(fd, level, text);
	}
	if (strcmp(level, "error") == 0 && (globals.log || !log_is_json()))
		log_error("%s", text);
	else if (!globals.log && log_is_json())
		write_record(2, level, text);
	else if (!globals.log)
		log_warn("warning: %s", text);
}

void oci_warn(const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	report("warning", text);
}

void oci_warn_unknown(void *arg, const char *path)
{
	(void)arg;
	oci_warn("%s: unknown key, ignored", path);
}

static void print_help(void)
{
	puts("usage: sampan-oci [global options] COMMAND [options] …\n\ncommands:");
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].help);
	puts("\nglobal options:");
	options_print(FIELDS(global_specs));
	puts("\n\"sampan-oci COMMAND --help\" tells a command's options.");
}

static void print_command_help(const char *help)
{
	printf("usage: sampan-oci %s\n\n%c%s.\n", options_help.usage,
		toupper((unsigned char)help[0]), help + 1);
	if (options_help.n_specs)
		puts("\noptions:");
	options_print(options_help.specs, options_help.n_specs);
}

/* Descriptors 0 to 2 exist: nothing that is opened later may be taken for them. */
static int fill_stdio(struct err *e)
{
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return err_set(e, errno, "open /dev/null: %s", strerror(errno));
	}
	return 0;
}

static int dispatch(char **argv, char **args, struct err *e)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		int r;

		if (strcmp(args[0], commands[i].name) != 0)
			continue;
		r = commands[i].enters ? self_protect(argv, e) : 0;
		if (r == 0)
			r = commands[i].run(&globals, args + 1, e);
		if (r != -ECANCELED || !options_help.wanted)
			return r;
		print_command_help(commands[i].help);
		return 0;
	}
	return err_set(e, EINVAL, "unknown command \"%s\" (see --help)", args[0]);
}

int main(int argc, char **argv)
{
	struct err e = {0};
	char **args = argv;
	int r = fill_stdio(&e);

	/* Whoever called us may ignore SIGCHLD, and then nothing could be waited for. A reader of
	 * our output that is gone must not end us half way. */
	process_reset_signals();
	(void)signal(SIGPIPE, SIG_IGN);
	log_open("sampan-oci", 2, 0);
	umask(022);
	if (r == 0)
		r = options_parse(
			FIELDS(global_specs), argc > 0 ? argv + 1 : argv, &globals, &args, &e);
	if (r == 0 && globals.log_format && !log_is_json() &&
		strcmp(globals.log_format, "text") != 0)
		r = err_set(&e, EINVAL, "--log-format: expected text or json, got \"%s\"",
			globals.log_format);
	if (r == 0 && globals.rootless && strcmp(globals.rootless, "auto") != 0 &&
		strcmp(globals.rootless, "true") != 0 && strcmp(globals.rootless, "false") != 0)
		r = err_set(&e, EINVAL, "--rootless: expected true, false or auto, got \"%s\"",
			globals.rootless);
	if (r == 0 && globals.version) {
		/* Engines take it apart: the first word, " version ", "spec: ". */
		puts("sampan-oci version " PROGRAM_VERSION "\nspec: " OCI_VERSION);
		return 0;
	}
	if (r == 0 && (globals.help || !args[0])) {
		print_help();
		return globals.help ? 0 : 1;
	}
	if (r == 0 && !globals.root)
		globals.root = state_default_root();
	if (r == 0)
		r = dispatch(argv, args, &e);
	/* Who reads an answer must not take half of it for the whole. */
	if (r >= 0 && (fflush(stdout) != 0 || ferror(stdout)))
		r = err_set(&e, errno ? errno : EIO, "write to standard output: %s",
			strerror(errno ? errno : EIO));
	if (r >= 0)
		return r;
	report("error", e.msg);
	return 1;
}
