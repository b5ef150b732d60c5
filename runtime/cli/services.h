/* The subcommands that talk to init. Each takes its own arguments (argv[0] is its name) and returns
 * an exit status: 0, 1 for a failure that was told, 2 for wrong arguments. */
#ifndef SAMPAN_CLI_SERVICES_H
#define SAMPAN_CLI_SERVICES_H

int services_status(int argc, char **argv);
int services_start(int argc, char **argv);
int services_stop(int argc, char **argv);
int services_restart(int argc, char **argv);
int services_logs(int argc, char **argv);
int services_reboot(int argc, char **argv);
int services_poweroff(int argc, char **argv);

#endif
