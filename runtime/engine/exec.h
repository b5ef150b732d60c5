/*
 * Programs that are run in a container beside its own: `docker exec`, health probes. Each has a
 * record in RUN/exec/ID, where it outlives the engine and not the boot.
 */
#ifndef SAMPAN_ENGINE_EXEC_H
#define SAMPAN_ENGINE_EXEC_H

#include "runtime/engine/engine.h"

enum exec_status { EXEC_CREATED, EXEC_RUNNING, EXEC_DONE, EXEC_STATUSES };

/* What changes. */
struct exec_state {
	enum exec_status status;
	int pid;
	int exit_code;	  /* once it is done */
	uint64_t done_ms; /* CLOCK_BOOTTIME */
};

struct exec {
	struct exec *next;
	char id[CONTAINER_ID_BYTES];
	struct container *c; /* a reference */
	yyjson_doc *record;  /* what it was made from: the API's ExecConfig, whole */
	bool probe;	     /* of a healthcheck */
	unsigned refs;
	struct stdio *io;

	/* start and end, one at a time; taken before engine->lock */
	pthread_mutex_t op;
	struct exec_state state; /* with engine->lock */
	int pidfd;		 /* with engine->lock; -1 unless it runs */
};

struct exec_start {
	bool detach;
	unsigned rows, columns; /* of its terminal; 0: not given */
};

/*
 * Make one.
 * @config: a whole ExecConfig (runtime/api/shape.h)
 * @ret: exec_put by the caller
 */
int exec_create(struct engine *en, struct container *c, yyjson_val *config, bool probe,
	struct exec **ret, struct err *e);

/* Find by its whole id; exec_put when done. */
int exec_get(struct engine *en, const char *id, struct exec **ret, struct err *e);
void exec_put(struct exec *x);

/* One reference more. Returns @x. */
struct exec *exec_ref(struct exec *x);

/* Whether a program can be run in @c now; else -EBUSY. @name: what the client calls it */
int exec_check(struct engine *en, const struct container *c, const char *name, struct err *e);

/* Run it. Returns when it runs; whoever is attached to x->io hears of its end. */
int exec_start(struct engine *en, struct exec *x, const struct exec_start *how, struct err *e);

struct exec_state exec_state(struct engine *en, const struct exec *x);

/* Whether it has been done for so long that it may go at any time. */
bool exec_can_go(const struct exec_state *s);

/* SIGKILL to its process group. With engine->lock. */
void exec_kill(const struct exec *x);

/* The ids of those of @c that are not done; NULL value when there are none. */
yyjson_mut_val *exec_ids(struct engine *en, const struct container *c, yyjson_mut_doc *doc);

/* Take it off the list and its record away. */
void exec_forget(struct engine *en, struct exec *x);

/* init says that a process ended. Returns false when it is none of these. */
bool exec_ended(struct engine *en, const struct init_exit *x);

/* The container has ended: wait for what ended with it, forget what was not run. */
void exec_container_ended(struct engine *en, struct container *c);

/* The container is removed, and all of its own with it. */
void exec_container_removed(struct engine *en, const struct container *c);

/* Read the records, and take up what runs since before this engine did. */
int exec_recover(struct engine *en, struct err *e);

/* exec_record.c: write the record as it is. With engine->lock or before anybody knows of it. */
int exec_save(struct engine *en, const struct exec *x, struct err *e);
void exec_erase(struct engine *en, const char *id);

/* A new one with one reference. @record: taken over */
struct exec *exec_new(
	struct engine *en, const char *id, struct container *c, yyjson_doc *record, bool probe);
void exec_add(struct engine *en, struct exec *x);

/* exec_spec.c: the process's JSON in a file without a name. Returns a descriptor or -errno. */
int exec_spec(struct engine *en, const struct exec *x, const struct exec_start *how, struct err *e);

/* exec_run.c: init's descriptors of one that still runs. */
int exec_take_back(struct engine *en, struct exec *x, struct err *e);

/* Tell an event about @x: "exec_create: ls -l", or exec_die when @code is not NULL. */
void exec_tell(struct engine *en, const struct exec *x, const char *action, const int *code);

#endif
