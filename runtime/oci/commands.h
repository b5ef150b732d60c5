/* The subcommands of sampan-oci, and what more than one of them needs. */
#ifndef SAMPAN_OCI_COMMANDS_H
#define SAMPAN_OCI_COMMANDS_H

#include "lib/base/err.h"
#include "runtime/oci/config.h"
#include "runtime/oci/options.h"
#include "runtime/oci/state.h"

#include <stdbool.h>

/* of the specification, and of this program */
#define OCI_VERSION "1.2.0"
#define PROGRAM_VERSION "0.1.0"

struct globals {
	const char *root;
	const char *log;
	const char *log_format;
	const char *cgroup_manager; /* crun's option */
	const char *rootless;	    /* accepted, not needed */
	const char *criu;	    /* CRIU's program, looked up in PATH */
	bool debug;
	bool version;
	bool help;
};

/* Each gets the words behind its name; returns the exit status, or -errno with @e filled. */
typedef int command_fn(const struct globals *g, char **args, struct err *e);

command_fn cmd_create;
command_fn cmd_run;
command_fn cmd_start;
command_fn cmd_state;
command_fn cmd_kill;
command_fn cmd_delete;
command_fn cmd_exec;
command_fn cmd_ps;
command_fn cmd_list;
command_fn cmd_spec;
command_fn cmd_features;
command_fn cmd_pause;
command_fn cmd_resume;
command_fn cmd_update;
command_fn cmd_events;
command_fn cmd_checkpoint;
command_fn cmd_restore;

/* A warning for the log: main.c decides where it goes. */
void oci_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Told of each unknown key of a config.json. */
void oci_warn_unknown(void *arg, const char *path);

/* One container as most commands open it. */
struct handle {
	int rootfd;
	int dirfd;
	bool locked; /* nobody else makes or removes it */
	struct state state;
};

int handle_open(struct handle *h, const struct globals *g, const char *id, struct err *e);
void handle_close(struct handle *h);

/* Lock the container and load its state again: both may have changed before the lock was there.
 * Returns 0 or -errno with @e filled, as state_lock() and state_load(). */
int handle_lock(struct handle *h, const char *id, struct err *e);
void handle_unlock(struct handle *h);

/* enum container_status, or -errno with @e filled. */
int handle_status(const struct handle *h, struct err *e);

/* Open its cgroup. Returns a descriptor; -ENOENT if it has none. */
int handle_cgroup(const struct handle *h);

/* Check the number of words and that there are no more. -ECANCELED when --help was asked for. */
int args_count(char **args, int min, int max, const char *usage, struct err *e);

/* The word behind --format. */
int format_is_json(const char *format, bool *ret_json, struct err *e);

/* Run the hooks of one kind with the container's stored configuration. Those that fail are an
 * error, but with poststop warnings. */
int run_stored_hooks(
	const struct handle *h, enum hook_kind kind, enum container_status status, struct err *e);

/* Lock it, kill what is left, remove cgroup and state, run the poststop hooks.
 * -ENOENT: somebody else has removed it. */
int container_destroy(struct handle *h, const char *id, struct err *e);

/* Write @pid to the file of --pid-file, which appears by rename. */
int write_pid_file(const char *path, pid_t pid, struct err *e);

/* Connect to the stream socket @path, which @field of the error names. Returns a descriptor. */
int connect_unix(const char *field, const char *path, struct err *e);

/* --pidfd-socket: hand @pidfd to whoever listens there. @path: NULL: nobody does */
int send_pidfd(const char *path, int pidfd, struct err *e);

/*
 * --handover-fd: send @pid, a number of four bytes, with @pidfd over the socket @sock, and wait for
 * one byte back. Until then a process that has ended is ours: nobody else can have taken its exit
 * status, so who receives it has the time to see to it that init tells how it ends.
 * Returns 0; -ECONNRESET when the other end is closed instead; otherwise -errno.
 */
int hand_over(int sock, pid_t pid, int pidfd, struct err *e);

/* --preserve-fds and LISTEN_FDS: how many descriptors behind 2 belong to the container. */
int count_preserved(uint32_t preserve, unsigned *ret_preserve, unsigned *ret_listen, struct err *e);

/*
 * Stay in the foreground until @pidfd ends: forward signals, and copy between the caller's terminal
 * and @master when it is not -1.
 * @signals: the ones to forward, already blocked
 * Returns the exit status as a shell counts it, or -errno.
 */
int foreground(int pidfd, int master, const sigset_t *signals, struct err *e);

/* Tell which capabilities of @p the container @c will not get because we do not have them. */
void warn_capabilities(const struct config *c, const struct config_process *p);

/* Block the signals that `foreground` forwards; what comes before it is forwarded then. */
void foreground_block(sigset_t *ret_forwarded);

/* Make sure that nobody can write to the running program through /proc/PID/exe. */
int self_protect(char **argv, struct err *e);

#endif
