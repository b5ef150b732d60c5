/* Inside of exec: what is known of one more process, and how it is read. */
#ifndef SAMPAN_OCI_EXEC_H
#define SAMPAN_OCI_EXEC_H

#include "lib/util/json.h"
#include "runtime/oci/commands.h"
#include "runtime/oci/config.h"
#include "runtime/oci/container.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct exec_options {
	const char *process;
	const char *user;
	const char *cwd;
	const char *pid_file;
	const char *console_socket;
	const char *pidfd_socket;
	const char *apparmor;
	const char *process_label;
	const char *cgroup;
	struct json_strv env;
	struct json_strv caps;
	struct json_strv gids;
	uint32_t preserve_fds;
	uint32_t handover_fd;
	bool tty;
	bool detach;
	bool no_new_privs;
	bool ignore_paused;
};

struct exec {
	struct handle h;
	struct exec_options opts;
	struct config config;	   /* as the container was made */
	struct config own_process; /* of --process; only its process counts */
	struct config_process process;
	struct seccomp_filter filter;
	struct seccomp_agent agent;
	int host_proc;
	int target; /* pidfd of the container's first process */
	int cgroup;
	int console;
	int own_console; /* the other end, when we copy the terminal ourselves */
	int sync;
	unsigned preserve_fds;
	unsigned listen_fds;
	bool in_user_ns; /* the runtime itself had to join it */
	sigset_t forwarded;
	pid_t pid;
	int pidfd;
};

/*
 * Read the container's configuration into @x and make the process that is asked for: that of
 * --process, or the container's own with the words of the command line. It is checked, and by
 * default as easily killed for memory as the container.
 * @x: opts and h are filled in; config, own_process and process are written
 * @args: the program and its arguments, NULL at the end, borrowed; unused with --process
 * Returns 0; -EINVAL for a word that is not understood; otherwise -errno. @e names the option or
 * the field. Source: runc exec(8); OCI config.md "process".
 */
int exec_load_process(struct exec *x, char **args, struct err *e);

#endif
