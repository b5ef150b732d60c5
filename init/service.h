/*
 * Services: each is a state, and what happens to it is an event. The table in service.c says what
 * an event does in a state; docs/init.md draws it.
 */
#ifndef SAMPAN_INIT_SERVICE_H
#define SAMPAN_INIT_SERVICE_H

#include "init/config.h"
#include "init/spawn.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum service_state {
	SVC_DOWN,     /* nobody wants it */
	SVC_WAITING,  /* for what after= names */
	SVC_CREATE,   /* container: sampan-oci create runs */
	SVC_LAUNCH,   /* container: sampan-oci start runs */
	SVC_STARTING, /* runs, not ready yet; a oneshot all of its life */
	SVC_UP,
	SVC_STOPPING, /* was sent its stop signal */
	SVC_DELETE,   /* container: sampan-oci delete runs */
	SVC_BACKOFF,  /* waits to be started again */
	SVC_DONE,     /* ended well and stays so */
	SVC_FAILED,   /* ended badly and stays so */
	SVC_STATES
};

enum service_event {
	SVC_EV_START,	/* somebody wants it up */
	SVC_EV_STOP,	/* somebody wants it down */
	SVC_EV_READY,	/* it says so, or its exec went well */
	SVC_EV_EXIT,	/* its main process ended */
	SVC_EV_STEP,	/* a run of sampan-oci ended */
	SVC_EV_TIMEOUT, /* deadline_ms came */
	SVC_EVENTS
};

/* How a process ended; code is CLD_EXITED and so on, 0 if none has. */
struct service_exit {
	int code;
	int status;
};

struct service {
	struct service_config cfg;
	enum service_state state;
	bool wanted;	/* by the boot or by hand; decides what comes after an end */
	bool again;	/* start again once it is down */
	bool settled;	/* others need not wait for it (any more) */
	bool forked_ok; /* the child became its program */
	pid_t pid;	/* the main process, 0 for none */
	int pidfd;
	pid_t step; /* the run of sampan-oci, 0 for none */
	int step_pidfd;
	int setup;		       /* of the child started last */
	int notify;		       /* reading end, -1 */
	struct service_exit exit;      /* of the main process, in its last run */
	struct service_exit step_exit; /* of the last step */
	uint64_t since_ms;
	uint64_t up_since_ms;
	uint64_t deadline_ms; /* UINT64_MAX: none */
	uint64_t backoff_ms;  /* the last wait */
	uint32_t restarts;
	char what[INIT_TEXT_BYTES];
};

/* Read all service files and say what is wrong with them; nothing starts yet. */
void service_load_all(void);

/* Start what is to run from the boot on. */
void service_start_all(void);

unsigned service_count(void);
struct service *service_at(unsigned index);
/* Returns NULL if there is none of this name. */
struct service *service_find(const char *name);
unsigned service_index(const struct service *svc);

void service_event(struct service *svc, enum service_event event);

/* By hand: forgets earlier failures. */
void service_start(struct service *svc);
void service_stop(struct service *svc);
void service_restart(struct service *svc);

const char *service_state_name(enum service_state state);

/* Does it run, or is it about to without anybody's doing? */
bool service_is_active(const struct service *svc);

/* A child ended. Returns whether it belonged to a service. */
bool service_reap(pid_t pid, int code, int status);

/* Say "init: ready" or what is missing, once and whenever it changes. */
void service_report(void);

uint64_t service_deadline(void);
void service_tick(uint64_t now_ms);

/* For container.c and runs.c. */
void service_enter(struct service *svc, enum service_state state, uint64_t timeout_ms);
int service_spawn_step(struct service *svc, const struct spawn *how);
/* What `sampan status` shows beside the state. */
void service_say(struct service *svc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, of how a process ended; @who is put before it: "sampan-oci create ". */
void service_say_exit(struct service *svc, const char *who, struct service_exit how);

#endif
