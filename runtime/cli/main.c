/* sampan: the command on the console. A new subcommand is a line in the table below. */
#include "runtime/cli/dial.h"
#include "runtime/cli/services.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	const char *arguments;
	const char *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"status", "[NAME]...", "show services and adopted containers", services_status},
	{"start", "NAME...", "start services; done when they are up", services_start},
	{"stop", "NAME...", "stop services; done when they are down", services_stop},
	{"restart", "NAME...", "stop, then start", services_restart},
	{"logs", "[-f] NAME", "show what a service printed (init: init's own), -f: and goes on to",
		services_logs},
	{"system", "dial-stdio", "connect a docker client, over ssh, with the engine", dial_system},
	{"reboot", "", "stop everything and restart the machine", services_reboot},
	{"poweroff", "", "stop everything and switch the machine off", services_poweroff},
};

static void usage(FILE *to)
{
	fputs("Usage: sampan COMMAND [ARGUMENT]...\n\n", to);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  %-9s%-11s %s\n", commands[i].name, commands[i].arguments,
			commands[i].help);
	fputs("\nExit status: 0 done, 1 failed (one line says why), 2 wrong arguments.\n", to);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		if (argc > 2 && strcmp(argv[2], "--help") == 0) {
			printf("Usage: sampan %s %s\n%s.\n", commands[i].name,
				commands[i].arguments, commands[i].help);
			return 0;
		}
		return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "sampan: no command \"%s\"\nTry: sampan --help\n", argv[1]);
	return 2;
}
