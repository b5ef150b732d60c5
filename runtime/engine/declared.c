/* Containers that the machine's image declares: init starts and watches them, the engine shows
 * them. */
#include "runtime/engine/container.h"
#include "runtime/image/digest.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* What init calls its states (init/service.c), and what Docker would. */
static const struct {
	const char *init;
	enum container_status status;
} states[] = {
	{"up", CONTAINER_RUNNING},
	{"stopping", CONTAINER_RUNNING},
	{"starting", CONTAINER_CREATED},
	{"creating", CONTAINER_CREATED},
	{"waiting", CONTAINER_CREATED},
	{"restarting", CONTAINER_RESTARTING},
};

int64_t declared_realtime_ns(uint64_t boot_ms)
{
	struct timespec boot;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	return realtime_ns() - ((int64_t)boot.tv_sec * 1000000000 + boot.tv_nsec) +
	       (int64_t)boot_ms * 1000000;
}

struct container_state declared_state(struct engine *en, const struct container *c)
{
	struct container_state s = {.status = CONTAINER_EXITED};
	struct init_service_info info;
	struct err e = {0};

	if (initlink_service(&en->init, c->name, 0, &info, &e) < 0) {
		s.status = CONTAINER_DEAD;
		(void)snprintf(s.error, sizeof(s.error), "%.250s", e.msg);
		return s;
	}
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(info.state, states[i].init) == 0)
			s.status = states[i].status;
	s.pid = info.pid;
	s.restarts = (int)info.restarts;
	s.exit_code = info.exit_code;
	if (container_runs(&s))
		s.started_ns = declared_realtime_ns(info.since_ms);
	else
		s.finished_ns = declared_realtime_ns(info.since_ms);
	return s;
}

int declared_command(
	struct engine *en, const struct container *c, enum init_msg_type type, struct err *e)
{
	struct container_state s = declared_state(en, c);

	if (type == INIT_START ? container_runs(&s) : s.status == CONTAINER_EXITED)
		return err_set(e, EALREADY, "container %s is %s already", c->name,
			type == INIT_START ? "started" : "stopped");
	return initlink_command(&en->init, type, c->name, e);
}

int container_declare(struct engine *en, const char *name, yyjson_doc *record, struct err *e)
{
	struct digest digest;
	struct container *c = NULL;
	char text[INIT_ID_BYTES + 16];

	/* the same id at every boot */
	(void)snprintf(text, sizeof(text), "declared %s", name);
	if (digest_of(text, strlen(text), &digest) == 0)
		c = container_new(digest_hex(&digest), name, record);
	if (!c) {
		yyjson_doc_free(record);
		return err_set(e, ENOMEM, "out of memory");
	}
	c->declared = true;
	pthread_mutex_lock(&en->lock);
	c->next = en->containers;
	en->containers = c;
	pthread_mutex_unlock(&en->lock);
	return 0;
}
