/*
 * What is kept of a container between two calls of the runtime: the directory ROOT/ID with
 *   state.json    everything below; appears and changes by rename
 *   config.json   the configuration the container was made from
 *   seccomp       its compiled filter, for exec
 *   start         the socket on which its process waits for `start`
 */
#ifndef SAMPAN_OCI_STATE_H
#define SAMPAN_OCI_STATE_H

#include "lib/base/err.h"
#include "lib/util/json.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* of the runtime-spec that states comply with */
#define OCI_VERSION "1.2.0"

enum container_status {
	STATUS_CREATING,
	STATUS_CREATED,
	STATUS_RUNNING,
	STATUS_PAUSED,
	STATUS_STOPPED
};

struct state {
	struct arena arena;

	const char *id;
	const char *bundle;		/* absolute */
	const char *rootfs;		/* absolute */
	const char *created;		/* RFC 3339 */
	const char *cgroup;		/* below the cgroup2 mount; NULL or "": none */
	uint32_t namespaces;		/* bit of enum ns_type: not the runtime's own */
	struct json_opt_i64 pid;	/* 0 while creating */
	struct json_opt_u64 start_time; /* of the process, clock ticks since boot */
	bool has_poststart;
	bool has_poststop;
	const char *seccomp_listener; /* the agent's socket when its filter notifies; or NULL */
	/* What its standard descriptors were made from: "pipe:[NUMBER]", or "" for all else. */
	struct json_strv descriptors;
	yyjson_val *annotations;
};

/* Where the state is without --root: /run/sampan-oci, or for a user who cannot write there
 * $XDG_RUNTIME_DIR/sampan-oci. Of static storage. */
const char *state_default_root(void);

/* Open ROOT, made if missing with mode 0700. Returns a descriptor or -errno with @e filled. */
int state_open_root(const char *root, struct err *e);

/* Letters, digits and _+-. as a directory's name. Returns 0 or -EINVAL with @e filled. */
int state_check_id(const char *id, struct err *e);

/* Open ROOT/ID. -ENOENT: "container ID does not exist". */
int state_open_dir(int rootfd, const char *id, struct err *e);

/* Make ROOT/ID and lock it. -EEXIST if the container exists. */
int state_make_dir(int rootfd, const char *id, struct err *e);

/*
 * Become the only one that makes or removes the container. The lock ends with @dirfd's last copy: a
 * process that is killed leaves none behind.
 * Returns 0; -ENOENT when the container is gone, even if a new one has its id; -EBUSY when somebody
 * else does not come to an end; otherwise -errno. @e is filled.
 */
int state_lock(int rootfd, int dirfd, const char *id, unsigned timeout_ms, struct err *e);

/* Write ROOT/ID/@name, which appears or changes by rename. */
int state_write_file(int dirfd, const char *name, const char *text, size_t len, struct err *e);

int state_load(struct state *s, int dirfd, struct err *e);
/* Write state.json by rename; what that needs of memory stays in the state's arena. */
int state_save(struct state *s, int dirfd, struct err *e);
void state_free(struct state *s);

/* Write the file @name of ROOT/ID, which appears and changes by rename. */
int state_write_file(int dirfd, const char *name, const char *text, size_t len, struct err *e);

/* Remove ROOT/ID and everything in it. Returns 0 or -errno. */
int state_remove(int rootfd, const char *id);

/*
 * Open the container's process.
 * Returns a pidfd; -ESRCH when it is gone (also when its number now is another process's);
 * otherwise -errno.
 */
int state_open_process(const struct state *s);

/* What the container is doing now: enum container_status, or -errno when that cannot be told.
 * @dirfd: ROOT/ID */
int state_status(const struct state *s, int dirfd);
const char *state_status_name(enum container_status status);

/* The start time of process @pid (field 22 of /proc/PID/stat), and whether it is a zombie.
 * Returns 0; -ESRCH when it is gone; otherwise -errno. */
int process_start_time(pid_t pid, uint64_t *ret_time, bool *ret_zombie);

/*
 * The state as the specification prints it, for `state` and for hooks.
 * @extra: runc's additional members (rootfs, created, owner)
 * Returns malloc'ed text, NULL when memory is out.
 */
char *state_print(const struct state *s, enum container_status status, bool extra, size_t *ret_len);

/* The same as part of @doc, without what is runc's. */
yyjson_mut_val *state_value(
	yyjson_mut_doc *doc, const struct state *s, enum container_status status);

/* Connect to the start socket. Returns a descriptor; -ECONNREFUSED or -ENOENT when nobody waits. */
int state_connect_start(int dirfd);

/* Bind and listen on it. Returns a descriptor or -errno. */
int state_listen_start(int dirfd);

#endif
