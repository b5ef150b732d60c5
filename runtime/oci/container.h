/*
 * One container while it is being made: what the runtime opened for its process beforehand. The
 * process is a copy (clone3) of the runtime, so all of this is simply there.
 */
#ifndef SAMPAN_OCI_CONTAINER_H
#define SAMPAN_OCI_CONTAINER_H

#include "runtime/oci/config.h"
#include "runtime/oci/seccomp_notify.h"
#include "runtime/oci/state.h"

#include <sys/resource.h>
#include <sys/types.h>

/* A mount's source, opened by the runtime with the host's rights. */
struct bind_source {
	int fd; /* a detached copy of the tree; of proc, sysfs and what is remounted the mount; else
		   -1 */
	bool is_dir;
};

struct container {
	const struct config *config;
	struct state *state;

	int tree;		   /* detached copy of the root file system; -1: not opened yet */
	struct bind_source *binds; /* one per mount */
	int host_proc;		   /* O_PATH of the host's /proc */
	int ns_fds[NS_N];	   /* namespaces to join; -1: none */
	int cgroup;		   /* O_PATH; -1: none */
	int console;		   /* connection that gets the terminal's master; -1: none */
	int agent;		   /* connection that gets the seccomp listener; -1: none */
	int sync;		   /* to the other side */
	int listener;		   /* the start socket; -1: `run` starts at once */
	unsigned preserve_fds;	   /* descriptors 3 to 3 + n - 1 belong to the container */
	unsigned listen_fds;	   /* how many of them are announced by LISTEN_FDS */
	bool keep_keyring;
	struct seccomp_filter filter;
	struct rlimit nofile; /* as the caller had it */
};

/* Set-up of the root file system, in the order of the stages (rootfs.c, mounts.c, devices.c). Each
 * returns 0 or -errno with @e filled. */
struct rootfs {
	int root;  /* the attached root, opened O_PATH */
	int null;  /* kept open for masks; -1 before the first */
	int empty; /* the read-only tmpfs that covers masked directories; -1 before the first */
};

/*
 * Open the root file system and the sources of bind mounts. This takes rights over the mount
 * namespace: a caller without them, as an ordinary user is, gets -EPERM and an untouched @c, and
 * the container's process does it, which has them in its own.
 */
int rootfs_open_sources(struct container *c, int bundlefd, struct err *e);

static inline bool container_has_sources(const struct container *c)
{
	return c->tree >= 0;
}

int rootfs_attach(const struct container *c, struct rootfs *r, struct err *e);
int rootfs_mount_all(const struct container *c, struct rootfs *r, struct err *e);
int rootfs_make_devices(const struct container *c, struct rootfs *r, struct err *e);

/* Name of the @i-th device that every container has in its /dev; NULL behind the last one. */
const char *rootfs_default_device(size_t i);

int rootfs_mask(const struct container *c, struct rootfs *r, struct err *e);
int rootfs_pivot(const struct container *c, struct rootfs *r, struct err *e);

/* Copy a mount's attributes and propagation onto @fd (detached or attached). Returns 0 or -errno.
 */
int mount_apply(int fd, const struct mount_options *o);

/*
 * Make the file system that the @i-th mount asks for.
 * @covered: O_PATH of the directory it will cover; -1: none that was there before
 * Returns a detached mount or -errno with @e filled.
 */
int mount_new(const struct config *c, size_t i, int covered, struct err *e);

/* "remount": change the mount at @target as far as the words of @m say, its file system too.
 * Returns 0 or -errno with @e filled. */
int mount_again(const struct config_mount *m, size_t i, int target, struct err *e);

/* Does @m give its file system an option "@key=…"? */
bool mount_has_data(const struct config_mount *m, const char *key);

/* Attach the detached mount @from at @target. Returns 0 or -errno. */
int mount_attach(int from, int target);

/* The container's terminal: a new one of its own devpts, bound to /dev/console when @root >= 0.
 * @ret_peer: becomes standard input, output and error
 * @ret_master: goes to whoever asked for the terminal */
int console_open(int root, const struct config_process *p, bool bind_console, int *ret_master,
	int *ret_peer, struct err *e);

/* Send @fd with a byte over the unix socket @sock. Returns 0 or -errno. */
int console_send(int sock, int fd);

/* Receive a descriptor from @sock. Returns it or -errno. */
int console_receive(int sock);

/* Make the terminal @peer the controlling one and descriptors 0 to 2. */
int console_become(int peer, struct err *e);

/* No signal blocked or ignored: a program must not inherit what its engine does with signals. */
void process_reset_signals(void);

/*
 * Raise @pid's hard limits to what process.rlimits wants: inside a user namespace nobody may.
 * @pid: 0 is the caller
 */
int process_raise_limits(pid_t pid, const struct config_process *p, struct err *e);

/* The part of the container's process that both create and exec end with: everything from the
 * limits to execve. Only returns when it fails.
 * @keep: the descriptor that tells the other side; it is closed by execve
 */
int process_prepare(const struct config_process *p, const char **ret_path, struct err *e);

struct process_final {
	const struct config *config;
	const struct config_process *process; /* its own, or that of exec */
	const char *path;		      /* from process_prepare */
	const struct seccomp_filter *filter;
	struct seccomp_agent *agent; /* its descriptor is -1 when the filter does not notify */
	unsigned preserve_fds;
	unsigned listen_fds;
	int host_proc;
	const struct rlimit *nofile;
};

int process_execute(const struct process_final *f, int *keep, struct err *e);

/* Take the rights that the container's program will have: AppArmor, limits, ids, seccomp,
 * capabilities. */
int process_confine(const struct process_final *f, struct err *e);

/* The stages of the container's process. Does not return. */
_Noreturn void child_main(struct container *c);

#endif
