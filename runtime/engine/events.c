#include "runtime/engine/events.h"

#include <stdlib.h>
#include <string.h>

void events_init(struct events *ev)
{
	pthread_condattr_t attr;

	*ev = (struct events){0};
	pthread_mutex_init(&ev->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ev->more, &attr);
	pthread_condattr_destroy(&attr);
}

static char *print(const char *type, const char *action, const char *id, yyjson_mut_val *attributes,
	int64_t now)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *actor = yyjson_mut_obj(doc);
	bool container = strcmp(type, "container") == 0;
	char *text;

	yyjson_mut_doc_set_root(doc, top);
	/* The first three are of API 1.22 and older, and still sent by Docker. */
	if (container) {
		yyjson_mut_obj_add_str(doc, top, "status", action);
		yyjson_mut_obj_add_str(doc, top, "id", id);
		yyjson_mut_val *from = yyjson_mut_obj_get(attributes, "image");

		if (from)
			yyjson_mut_obj_add_val(
				doc, top, "from", yyjson_mut_val_mut_copy(doc, from));
	}
	yyjson_mut_obj_add_str(doc, top, "Type", type);
	yyjson_mut_obj_add_str(doc, top, "Action", action);
	yyjson_mut_obj_add_str(doc, actor, "ID", id);
	yyjson_mut_obj_add_val(doc, actor, "Attributes",
		attributes ? yyjson_mut_val_mut_copy(doc, attributes) : yyjson_mut_obj(doc));
	yyjson_mut_obj_add_val(doc, top, "Actor", actor);
	yyjson_mut_obj_add_str(doc, top, "scope", "local");
	yyjson_mut_obj_add_int(doc, top, "time", now / 1000000000);
	yyjson_mut_obj_add_int(doc, top, "timeNano", now);
	text = yyjson_mut_write(doc, YYJSON_WRITE_NEWLINE_AT_END, NULL);
	yyjson_mut_doc_free(doc);
	return text;
}

void events_tell(struct events *ev, const char *type, const char *action, const char *id,
	yyjson_mut_val *attributes)
{
	struct event *slot;

	pthread_mutex_lock(&ev->lock);
	slot = &ev->ring[ev->n % EVENTS_KEPT];
	free(slot->json);
	/* Under the lock: the order of the times is the order of the events. */
	slot->time_ns = realtime_ns();
	slot->json = print(type, action, id, attributes, slot->time_ns);
	if (slot->json)
		ev->n++;
	pthread_cond_broadcast(&ev->more);
	pthread_mutex_unlock(&ev->lock);
}

char *events_next(struct events *ev, uint64_t *cursor, uint64_t until_ms, int64_t *ret_ns)
{
	char *text = NULL;

	pthread_mutex_lock(&ev->lock);
	while (*cursor >= ev->n) {
		uint64_t now = time_now_ms();
		struct timespec at;
		uint64_t left;

		if (until_ms <= now)
			break;
		left = until_ms - now < 60000 ? until_ms - now : 60000;
		at = time_in_ms(left);
		(void)pthread_cond_timedwait(&ev->more, &ev->lock, &at);
	}
	/* A follower that fell behind misses what was overwritten. */
	if (ev->n > EVENTS_KEPT && *cursor < ev->n - EVENTS_KEPT)
		*cursor = ev->n - EVENTS_KEPT;
	if (*cursor < ev->n) {
		const struct event *e = &ev->ring[(*cursor)++ % EVENTS_KEPT];

		text = strdup(e->json);
		*ret_ns = e->time_ns;
	}
	pthread_mutex_unlock(&ev->lock);
	return text;
}
