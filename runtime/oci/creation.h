/*
 * A container while the runtime makes it, from its bundle or from a checkpoint: the parts that both
 * ways have in common, in the order in which they are called.
 */
#ifndef SAMPAN_OCI_CREATION_H
#define SAMPAN_OCI_CREATION_H

#include "runtime/oci/cgroup.h"
#include "runtime/oci/commands.h"
#include "runtime/oci/container.h"
#include "runtime/oci/namespaces.h"
#include "runtime/oci/netdev.h"

#include <signal.h>

struct create_options {
	const char *bundle;
	const char *pid_file;
	const char *console_socket;
	const char *pidfd_socket;
	uint32_t preserve_fds;
	bool detach;
	bool keep;
	bool no_new_keyring;
};

struct creation {
	struct handle h; /* rootfd, dirfd, state */
	const struct create_options *opts;
	struct config config;
	struct container c;
	struct ns_plan plan;
	int bundlefd;
	int cgroup_root;
	char *bundle;
	char *rootfs;
	struct netdev_moves net;
	char cgroup[CGROUP_PATH_MAX];
	char created[40];
	char stdio[3][64];
	const char *descriptors[4];
	pid_t pid;
	int pidfd;
	bool wrote_pid_file;
	bool no_cgroup;
	sigset_t forwarded;
};

void creation_init(struct creation *n, const struct create_options *opts);

/* Read and check the bundle's configuration; nothing is made. Returns 0 or -errno with @e filled.
 */
int creation_load(struct creation *n, const struct globals *g, const char *id, struct err *e);

/* Make ROOT/ID, locked, with the configuration and a first state: from here on `delete --force`
 * knows what to look for. Returns 0 or -errno with @e filled. */
int creation_make_state(struct creation *n, struct err *e);

/* Compile the seccomp section and keep the filter, for exec too. Returns 0 or -errno with @e
 * filled. */
int creation_make_filter(struct creation *n, struct err *e);

/* Make the cgroup with its limits and its device filter. Returns 0, also where there is none and
 * none is needed, or -errno with @e filled. */
int creation_make_cgroup(struct creation *n, struct err *e);

/* Take back all of it: end the process, remove cgroup, state and pid file. */
void creation_undo(struct creation *n, const char *id);

/*
 * Stay in the foreground until the process ends, then remove the container unless --keep is given.
 * @master: of its terminal, or -1
 * Returns its exit status or -errno, as foreground().
 */
int creation_stay(struct creation *n, const char *id, int master, struct err *e);

#endif
