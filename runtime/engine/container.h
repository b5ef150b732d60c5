/* What the engine's own files share about containers; engine.h is what the API sees. */
#ifndef SAMPAN_ENGINE_CONTAINER_H
#define SAMPAN_ENGINE_CONTAINER_H

#include "runtime/engine/engine.h"
#include "runtime/image/spec.h"

/* @record: taken over. Returns a container with one reference, or NULL. */
struct container *container_new(const char *id, const char *name, yyjson_doc *record);

void container_ref(struct container *c);

/* Put it on record and in the list. -EEXIST when its name is taken. */
int container_add(struct engine *en, struct container *c, struct err *e);

/* Take it off the list and its record away. */
int container_forget(struct engine *en, struct container *c, struct err *e);

/* Read all records. */
int container_load_all(struct engine *en, struct err *e);

/* Docker's rule for names. */
int container_check_name(const char *name, struct err *e);

/* Put a changed record in the place of the old one, which is freed when nobody reads it any more.
 * @record: taken over after 0 */
int container_replace_record(
	struct engine *en, struct container *c, yyjson_doc *record, struct err *e);

/* Docker's rules for restart policies. Returns 0 or -EINVAL. */
int restart_policy_check(const char *name, int64_t max_retries, struct err *e);

/* Change the state, put it on record, and tell who waits. */
void container_set_state(struct engine *en, struct container *c, const struct container_state *s);

/* Open the log that the host config asks for. */
int container_open_log(struct engine *en, struct container *c, struct stdio *io, struct err *e);

/* Send @signal to its first process. Returns 0, -ESRCH when it has none, or -errno. */
int container_signal(struct engine *en, struct container *c, int signal);

/* Wait until it does not run any more, for at most @ms milliseconds (negative: for ever). */
bool container_wait_stopped(struct engine *en, struct container *c, int64_t ms);

/* What init says of a declared container. */
struct container_state declared_state(struct engine *en, const struct container *c);

/* Have init do what @type says (INIT_START, INIT_STOP) with it. */
int declared_command(
	struct engine *en, const struct container *c, enum init_msg_type type, struct err *e);

/* Have the runtime forget it, whatever state it is in. */
void container_oci_delete(struct engine *en, const struct container *c);

/*
 * Mount the root file system of @c at containers/ID/rootfs: its image's layers below, its own on
 * top.
 * Returns a descriptor of the mounted root, or -errno.
 */
int rootfs_mount(struct engine *en, struct container *c, struct err *e);
void rootfs_unmount(struct engine *en, struct container *c);

/* The same, attached nowhere: it is there as long as the descriptor is open. */
int rootfs_open(struct engine *en, struct container *c, struct err *e);

/* The image @id alone, read-only: a mount that is attached nowhere, or the directory of its only
 * layer. A descriptor; -ENODATA for an image without layers; -errno. */
int rootfs_open_image(struct engine *en, const char *id, struct err *e);

/* Complete @config, an API ContainerConfig, by what it leaves to @theirs: an image's. */
void config_merge(yyjson_mut_doc *doc, yyjson_mut_val *config, yyjson_val *theirs);

/*
 * Write bundle/config.json for the runtime.
 * @rootfd: the mounted root
 */
int spec_write(struct engine *en, struct container *c, int rootfd, struct err *e);

/*
 * Run sampan-oci and wait for its end.
 * @args: NULL-terminated, behind the program's own options
 * @stdio: its descriptors 0 to 2; NULL: /dev/null
 * Returns 0; else -errno with what it said in @e.
 */
int runtime_run(struct engine *en, const char *const *args, const int *stdio, struct err *e);

/*
 * A running sampan-oci.
 * @stdio: its descriptors 0 to 2; NULL: /dev/null
 * @more: further ones, which it has as 4, 5 …; borrowed
 */
struct runtime_child {
	int pid;
	int log;
	const char *what;
};
int runtime_spawn(struct engine *en, const char *const *args, const int *stdio, const int *more,
	size_t n_more, struct runtime_child *ret, struct err *e);

/* Wait for its end. Returns as runtime_run. */
int runtime_finish(struct runtime_child *child, struct err *e);

/*
 * The socket that the runtime sends the terminal's master of @id to.
 * @path: where it is, filled; to be removed by the caller
 * Returns a descriptor or -errno.
 */
int terminal_listen(struct engine *en, const char *id, char *path, size_t size, struct err *e);

/* The master, once the runtime has sent it. Returns a descriptor or -errno. */
int terminal_take(int listener, struct err *e);

/* Docker's exit code of a program that could not be run, by what the runtime said in @e. The error
 * becomes EINVAL, as Docker answers 400, when the program is not there or may not be run. */
int runtime_exit_code(struct err *e);

/* What init knows of @id: ADOPTED_…, or -errno. */
enum { ADOPTED_NOT, ADOPTED_RUNS, ADOPTED_ENDED };
int engine_adopted(struct engine *en, const char *id, struct err *e);

/* How a process ended, as a shell counts: 128 and the signal. */
int init_exit_code(const struct init_exit *x);

/* Run @fn with @arg in a thread that nobody waits for. Returns 0 or -errno. */
int engine_thread(void *(*fn)(void *), void *arg);

/* Bytes of all files below the directory @fd, which is taken over. */
int64_t size_below(int fd);

/* 64 hexadecimal digits, the first twelve not all decimal. Returns 0 or -errno. */
int id_make(char ret[static CONTAINER_ID_BYTES]);

/* A name like "brave_keel"; @round: 0 at first, then with a number behind it. */
void name_make(unsigned round, char *buf, size_t size);

#endif
