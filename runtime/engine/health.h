/*
 * Healthchecks: probes that are run in a container again and again, and what they say of it. One
 * thread knows when the next one is due; none waits for a probe.
 * Source: Docker Engine API v1.51, HealthConfig, Health, HealthcheckResult; dockerd's rules for
 * start period, retries and what a monitor's end makes of the status.
 */
#ifndef SAMPAN_ENGINE_HEALTH_H
#define SAMPAN_ENGINE_HEALTH_H

#include "runtime/engine/exec.h"
#include "runtime/engine/limits.h"

enum health_status { HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY, HEALTH_STATUSES };

struct health_result {
	int64_t start_ns, end_ns; /* realtime */
	int exit_code;		  /* -1: it did not get to one */
	char *output;		  /* UTF-8, owned */
};

/* All with engine->lock. */
struct health {
	enum health_status status;
	unsigned streak; /* failures in a row */
	struct health_result log[HEALTH_LOG];
	size_t n;

	bool on;	  /* probes are run */
	unsigned round;	  /* counts how often they were begun */
	uint64_t next_ms; /* CLOCK_BOOTTIME */

	/* the probe at hand */
	bool probing;
	bool late; /* it was killed for it */
	unsigned probe_round;
	int64_t probe_start_ns;
	uint64_t late_ms;   /* CLOCK_BOOTTIME, when it will be */
	struct exec *probe; /* a reference; NULL while it is made */
	struct attach output;
};

/* The part of the engine's own. */
void health_init(struct engine *en);

/* Docker's rules for a Healthcheck object; NULL is none. Returns 0 or -EINVAL. */
int health_check(yyjson_mut_val *config, struct err *e);

/* The container was started: it is neither healthy nor not. */
void health_start(struct engine *en, struct container *c);

/* It was paused, went on, or has ended: begin or end to probe. */
void health_update(struct engine *en, struct container *c);

/* A probe has ended. With its op. */
void health_probe_ended(struct engine *en, struct exec *x);

/* Let go of the probe at hand. */
void health_container_removed(struct engine *en, struct container *c);

/* The results from before this engine; containers/ID/health.json. */
void health_load(struct engine *en, struct container *c);

void health_free(struct health *h);

/* State.Health, or NULL when it has none. */
yyjson_mut_val *health_json(struct engine *en, const struct container *c, yyjson_mut_doc *doc);

/* "starting", "healthy", "unhealthy", or "none". */
const char *health_name(struct engine *en, const struct container *c);

/* Within the health_*.c files, with engine->lock. */
const char *health_status_name(enum health_status s);
int64_t health_ms(const struct container *c, const char *key, int64_t absent);
bool health_has_probe(const struct container *c);
void health_save(struct engine *en, const struct container *c);

/* Add the result of a probe, which is taken over. Returns whether the status has changed. */
bool health_note(const struct container *c, struct health_result *result);

#endif
