/* What happened, for `docker events`: the last ones are kept, followers wait for more. */
#ifndef SAMPAN_ENGINE_EVENTS_H
#define SAMPAN_ENGINE_EVENTS_H

#include "lib/base/time.h"
#include "runtime/engine/limits.h"

#include <pthread.h>
#include <stdint.h>
#include <yyjson.h>

struct event {
	int64_t time_ns; /* realtime */
	char *json;	 /* one API EventMessage */
};

struct events {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct event ring[EVENTS_KEPT];
	uint64_t n; /* all that ever were; number i is in ring[i % EVENTS_KEPT] */
};

void events_init(struct events *ev);

/*
 * Tell an event.
 * @attributes: an object of strings, copied; NULL for none
 */
void events_tell(struct events *ev, const char *type, const char *action, const char *id,
	yyjson_mut_val *attributes);

/*
 * The first event with a number of at least *@cursor.
 * @until_ms: CLOCK_BOOTTIME to wait for one, 0 not to wait
 * Returns its text, to be freed, with *@cursor behind it and *@ret_ns its time; NULL when there is
 * none in time.
 */
char *events_next(struct events *ev, uint64_t *cursor, uint64_t until_ms, int64_t *ret_ns);

#endif
