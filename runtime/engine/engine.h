/*
 * The engine: what it knows of containers, and what it does with them. The API's handlers call
 * this; nothing here knows of HTTP.
 */
#ifndef SAMPAN_ENGINE_ENGINE_H
#define SAMPAN_ENGINE_ENGINE_H

#include "runtime/engine/events.h"
#include "runtime/engine/initlink.h"
#include "runtime/engine/stdio.h"
#include "runtime/engine/volumes.h"
#include "runtime/registry/endpoint.h"
#include "runtime/store/images.h"
#include "runtime/store/db.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <yyjson.h>

/* 64 digits and the NUL */
#define CONTAINER_ID_BYTES 65

enum container_status {
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_RESTARTING,
	CONTAINER_REMOVING,
	CONTAINER_EXITED,
	CONTAINER_DEAD,
	CONTAINER_STATUSES,
};

/* What changes while a container lives; on record whenever it did. */
struct container_state {
	enum container_status status;
	int pid; /* 0 unless it runs */
	int exit_code;
	bool oom_killed;
	bool stopped_by_hand; /* `stop` and `kill`: unless-stopped does not start it again */
	int64_t started_ns;   /* realtime; 0: never */
	int64_t finished_ns;
	int restarts;	 /* by its restart policy */
	char error[256]; /* why it could not be started */
};

struct container {
	struct container *next;
	char id[CONTAINER_ID_BYTES];
	char *name; /* without a slash in front */
	yyjson_doc *record;
	struct old_record *old; /* those that somebody may still read */
	unsigned refs;
	bool removed;
	bool declared; /* a service of init's that the image brought: its state is with init */

	/* one start, stop, removal … at a time; taken before engine->lock */
	pthread_mutex_t op;
	pthread_cond_t changed; /* with engine->lock */
	struct container_state state;
	struct stdio *io;	  /* of this run, or of the next one */
	uint64_t restart_wait_ms; /* before the last restart by its policy; 0: none yet */
	struct health *health;	  /* with engine->lock; NULL: never had a healthcheck */
	bool mounts_taken;	  /* its volumes are mounted for it; with op */
	unsigned ends;		  /* how often it did: waiters tell one run from the next */
};

/* Lines for the client about what could not be done as it was asked for: an array of @doc. */
struct warnings {
	yyjson_mut_doc *doc;
	yyjson_mut_val *list;
};

/* Where the engine finds what it needs; absolute paths, which outlive it. */
struct engine_paths {
	const char *root;	 /* images, containers, records */
	const char *run;	 /* what need not outlive a boot */
	const char *oci;	 /* sampan-oci */
	const char *init;	 /* init's socket */
	const char *docker_init; /* what HostConfig.Init puts in front of the program */
};

struct engine {
	struct engine_paths paths;
	struct registry_settings registries;
	int root; /* directory */
	struct db db;
	struct image_store images;
	struct volumes volumes;
	struct events events;
	struct initlink init;
	struct stdio_loop stdio;
	pthread_mutex_t lock; /* the list of containers and their states */
	struct container *containers;
	struct exec *execs;
	pthread_cond_t health_due; /* with the lock: a probe's time has changed */
	bool health_watched;	   /* the thread of the probes' times runs */
	int64_t started_ns;
	char id[40];	 /* of this machine's engine */
	bool going_down; /* with lock: nothing is started again */
};

/* Open the records and all that goes with them. Returns 0 or -errno. */
int engine_open(struct engine *en, const struct engine_paths *paths,
	const struct registry_settings *registries, struct err *e);

/* A pair of JSON helpers: fields of a container's record. Never NULL for what Docker always has. */
yyjson_val *container_config(const struct container *c);
yyjson_val *container_host_config(const struct container *c);
const char *container_image(const struct container *c); /* id */
int64_t container_created_ns(const struct container *c);

/* Find by id, name, or the beginning of an id; container_put when done. */
int container_get(struct engine *en, const char *ref, struct container **ret, struct err *e);
void container_put(struct container *c);

/* The same, declared ones too, which container_get refuses by name: init has them in hand. */
int container_get_any(struct engine *en, const char *ref, struct container **ret, struct err *e);

/* Milliseconds of CLOCK_BOOTTIME, as init counts, in nanoseconds of realtime. */
int64_t declared_realtime_ns(uint64_t boot_ms);

/*
 * Put a container of init's on the list (runtime/engine/declared.c).
 * @record: taken over; the same objects as an own container has
 */
int container_declare(struct engine *en, const char *name, yyjson_doc *record, struct err *e);

/* All containers, the newest first; a NULL-terminated array, each to be put, then freed. */
struct container **container_list(struct engine *en);

/* Whether it has a process. */
bool container_runs(const struct container_state *s);

/* A copy of the state as it is now. */
struct container_state container_state(struct engine *en, const struct container *c);
const char *container_status_name(enum container_status s);

/* Write the state as it is onto the record. With engine->lock. */
int container_save_state(struct engine *en, struct container *c, struct err *e);

/* Tell an event of a container, with @more attributes (key and value in turn, NULL at the end). */
void container_tell(
	struct engine *en, const struct container *c, const char *action, const char *const *more);

/*
 * Make a container.
 * @name: NULL or "": one is made up
 * @config, @host, @networking: whole objects (runtime/api/shape.h)
 * @said: filled
 * @ret: container_put by the caller
 */
int container_create(struct engine *en, const char *name, yyjson_val *config, yyjson_val *host,
	yyjson_val *networking, const struct warnings *said, struct container **ret, struct err *e);

/*
 * Change what a container may use and its restart policy, at once if it runs, and on record.
 * @change: fields of a host config; 0 and "" leave things as they are
 */
int container_update(struct engine *en, struct container *c, yyjson_val *change,
	const struct warnings *said, struct err *e);

/* Each returns 0 or -errno; -EALREADY when there is nothing to do. */
int container_start(struct engine *en, struct container *c, struct err *e);
int container_stop(
	struct engine *en, struct container *c, int signal, int64_t timeout_s, struct err *e);
/* The signal and the seconds (negative: no limit) that its configuration asks for. */
int container_stop_signal(const struct container *c, struct err *e);
int64_t container_stop_timeout_s(const struct container *c);

/*
 * The machine goes down: stop all containers at once, each with its own signal and time, but none
 * longer than SHUTDOWN_STOP_MS. What restart policies want is left for the next boot.
 */
void engine_stop_all(struct engine *en);
int container_kill(struct engine *en, struct container *c, int signal, struct err *e);
int container_pause(struct engine *en, struct container *c, bool on, struct err *e);
int container_rename(struct engine *en, struct container *c, const char *name, struct err *e);
int container_remove(
	struct engine *en, struct container *c, bool force, bool volumes, struct err *e);

/* Bytes that it has written, and with its image's. */
int64_t container_size_rw(struct engine *en, const struct container *c);
int64_t container_size_all(struct engine *en, const struct container *c);

/* What a signal's name or number means; -EINVAL with @e filled. */
int signal_parse(const char *word, struct err *e);

enum wait_for { WAIT_NOT_RUNNING, WAIT_NEXT_EXIT, WAIT_REMOVED };

/* Where a wait starts: taken before anything else can happen. */
unsigned container_wait_begin(struct engine *en, struct container *c);

/* Wait; @give_up is asked about once a second. Returns 0 with the exit code, or -ECANCELED. */
int container_wait(struct engine *en, struct container *c, enum wait_for what, unsigned begun,
	bool (*give_up)(void *arg), void *arg, int *ret_code);

/* The input and output of the run at hand or, if there is none, of the next one; stdio_unref by the
 * caller. NULL: out of memory. */
struct stdio *container_io(struct engine *en, struct container *c);

/* The program's input is at its end. */
void container_close_stdin(struct engine *en, struct container *c, struct stdio *io);

/* init says that a process ended. */
void container_ended(struct engine *en, const struct init_exit *x);

/* Take up the containers that run since before this engine did. */
int container_recover(struct engine *en, struct err *e);

/* A directory or file of the container below the root: "containers/ID/NAME". */
void container_path(const struct engine *en, const struct container *c, const char *name, char *buf,
	size_t size);

/* Whether its output can be read again; whether that is Docker's json-file, which has a LogPath. */
bool container_keeps_log(const struct container *c);
bool container_has_json_file(const struct container *c);

/* A file of its log: 0 is the one that is written to, higher ones are older. Both drivers' records
 * are those of a json-file. */
void container_log_path(const struct engine *en, const struct container *c, unsigned generation,
	char *buf, size_t size);

#endif
