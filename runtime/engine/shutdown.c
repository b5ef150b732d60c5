/* The machine goes down, and its containers before it. */
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "runtime/engine/container.h"
#include "runtime/engine/limits.h"
#include "runtime/engine/spec.h"

#include <signal.h>
#include <stdlib.h>

int container_stop_signal(const struct container *c, struct err *e)
{
	const char *word = spec_str(container_config(c), "StopSignal");

	return word[0] ? signal_parse(word, e) : SIGTERM;
}

int64_t container_stop_timeout_s(const struct container *c)
{
	yyjson_val *timeout = yyjson_obj_get(container_config(c), "StopTimeout");

	return timeout ? yyjson_get_sint(timeout) : STOP_TIMEOUT_S;
}

static void ask(struct engine *en, struct container *c)
{
	struct container_state s = container_state(en, c);
	struct err e = {0};
	int signal = container_stop_signal(c, &e);

	if (s.status == CONTAINER_PAUSED)
		(void)container_pause(en, c, false, &e);
	if (container_runs(&s))
		(void)container_signal(en, c, signal < 0 ? SIGTERM : signal);
}

/* @begun_ms: when they were asked */
static void await(struct engine *en, struct container *c, uint64_t begun_ms)
{
	int64_t timeout_ms = container_stop_timeout_s(c) * 1000;
	int64_t passed_ms = (int64_t)(time_now_ms() - begun_ms);

	if (timeout_ms < 0 || timeout_ms > SHUTDOWN_STOP_MS)
		timeout_ms = SHUTDOWN_STOP_MS;
	if (container_wait_stopped(en, c, passed_ms < timeout_ms ? timeout_ms - passed_ms : 0))
		return;
	(void)container_signal(en, c, SIGKILL);
	if (!container_wait_stopped(en, c, KILL_WAIT_MS))
		log_error("container %.12s: it does not end", c->id);
}

void engine_stop_all(struct engine *en)
{
	uint64_t begun_ms = time_now_ms();
	struct container **list;

	pthread_mutex_lock(&en->lock);
	en->going_down = true;
	pthread_mutex_unlock(&en->lock);
	list = container_list(en);
	/* Declared ones are init's to stop. */
	for (size_t i = 0; list && list[i]; i++)
		if (!list[i]->declared)
			ask(en, list[i]);
	for (size_t i = 0; list && list[i]; i++) {
		if (!list[i]->declared)
			await(en, list[i], begun_ms);
		container_put(list[i]);
	}
	free(list);
}
