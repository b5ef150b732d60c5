/* How containers end: the end itself, who waits for it, and what the restart policy makes of it. */
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "runtime/engine/container.h"
#include "runtime/engine/exec.h"
#include "runtime/engine/health.h"
#include "runtime/engine/limits.h"
#include "runtime/engine/mountpoints.h"
#include "runtime/engine/spec.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ending {
	struct engine *en;
	struct init_exit x;
};

/* Whether the kernel killed any of its processes for want of memory. Source: cgroup-v2.rst. */
static bool was_oom_killed(const struct container *c)
{
	char path[CONTAINER_ID_BYTES + 64];
	char text[512];
	const char *line;

	(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/containers/%s/memory.events", c->id);
	if (io_read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return false;
	line = strstr(text, "oom_kill ");
	return line && atoi(line + strlen("oom_kill ")) > 0;
}

int init_exit_code(const struct init_exit *x)
{
	if (x->code == INIT_EXIT_LOST)
		return 255;
	return x->code == CLD_EXITED ? x->status : 128 + x->status;
}

int restart_policy_check(const char *name, int64_t max_retries, struct err *e)
{
	static const char *const policies[] = {"no", "always", "unless-stopped", "on-failure"};
	bool known = false;

	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		known |= strcmp(name, policies[i]) == 0;
	if (!known)
		return err_set(e, EINVAL,
			"invalid restart policy: unknown policy '%.64s'; use one of 'no', "
			"'always', 'on-failure', or 'unless-stopped'",
			name);
	if (max_retries < 0)
		return err_set(e, EINVAL,
			"invalid restart policy: maximum retry count cannot be negative");
	if (max_retries > 0 && strcmp(name, "on-failure") != 0)
		return err_set(e, EINVAL,
			"invalid restart policy: maximum retry count can only be used with "
			"'on-failure'");
	return 0;
}

static bool wants_restart(const struct container *c, const struct container_state *s)
{
	yyjson_val *policy = yyjson_obj_get(container_host_config(c), "RestartPolicy");
	const char *name = spec_str(policy, "Name");
	int64_t max = spec_int(policy, "MaximumRetryCount");

	if (s->stopped_by_hand)
		return false;
	if (strcmp(name, "on-failure") == 0)
		return s->exit_code != 0 && (max == 0 || s->restarts < max);
	return strcmp(name, "always") == 0 || strcmp(name, "unless-stopped") == 0;
}

/* With c->op: the run is over. */
static void note_end(struct engine *en, struct container *c, const struct init_exit *x)
{
	struct container_state s = container_state(en, c);
	struct stdio *io = container_io(en, c);
	struct err e = {0};
	char code[16];
	const char *const more[] = {"exitCode", code, NULL};

	s.oom_killed = was_oom_killed(c);
	/* Its last words first: who waits for the end may read the log at once. */
	if (io) {
		stdio_wait_end(io, OUTPUT_LEFT_MS);
		stdio_abandon(io);
		stdio_unref(io);
	}
	container_oci_delete(en, c);
	exec_container_ended(en, c);
	(void)initlink_drop_fds(&en->init, c->id, NULL, &e);
	mountpoints_give_back(en, c);
	s.pid = 0;
	s.exit_code = init_exit_code(x);
	s.finished_ns = realtime_ns();
	(void)snprintf(code, sizeof(code), "%d", s.exit_code);
	pthread_mutex_lock(&en->lock);
	s.stopped_by_hand = c->state.stopped_by_hand;
	/* In one step: who waits for the end of it must not take the pause for that. */
	s.status =
		!en->going_down && wants_restart(c, &s) ? CONTAINER_RESTARTING : CONTAINER_EXITED;
	c->state = s;
	if (container_save_state(en, c, &e) < 0)
		log_error("container %.12s: %s", c->id, e.msg);
	pthread_mutex_unlock(&en->lock);
	/* On record: init need not tell it again. */
	if (initlink_ack(&en->init, c->id, &e) < 0)
		log_error("container %.12s: %s", c->id, e.msg);
	health_update(en, c);
	if (s.oom_killed)
		container_tell(en, c, "oom", NULL);
	container_tell(en, c, "die", more);
	/* After its event: `stop` tells its own when it sees the end. */
	pthread_mutex_lock(&en->lock);
	c->ends++;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&en->lock);
}

/* Wait for its turn and start it again, unless somebody says otherwise meanwhile. */
static void restart(struct engine *en, struct container *c, uint64_t wait_ms)
{
	struct timespec until = time_in_ms(wait_ms);
	struct err e = {0};
	bool still;

	pthread_mutex_lock(&en->lock);
	while (c->state.status == CONTAINER_RESTARTING && !c->removed &&
		pthread_cond_timedwait(&c->changed, &en->lock, &until) != ETIMEDOUT)
		;
	still = c->state.status == CONTAINER_RESTARTING && !c->removed;
	if (still)
		c->state.restarts++;
	pthread_mutex_unlock(&en->lock);
	if (still && container_start(en, c, &e) < 0)
		log_error("container %.12s: restart: %s", c->id, e.msg);
}

static uint64_t next_wait(struct container *c, const struct container_state *s)
{
	int64_t ran_ms = (s->finished_ns - s->started_ns) / 1000000;

	if (ran_ms > RESTART_HEALTHY_MS || c->restart_wait_ms == 0)
		c->restart_wait_ms = RESTART_FIRST_MS;
	else if (c->restart_wait_ms < RESTART_LONGEST_MS)
		c->restart_wait_ms *= 2;
	return c->restart_wait_ms;
}

static void after_end(struct engine *en, struct container *c)
{
	struct container_state s = container_state(en, c);
	struct err e = {0};

	if (yyjson_get_bool(yyjson_obj_get(container_host_config(c), "AutoRemove"))) {
		if (container_remove(en, c, false, true, &e) < 0 && e.code != ENOENT)
			log_error("container %.12s: %s", c->id, e.msg);
		return;
	}
	if (s.status == CONTAINER_RESTARTING)
		restart(en, c, next_wait(c, &s));
}

static void *run_ending(void *arg)
{
	struct ending *end = arg;
	struct engine *en = end->en;
	struct err e = {0};
	struct container_state s;
	struct container *c;

	if (exec_ended(en, &end->x)) {
		free(end);
		return NULL;
	}
	if (container_get(en, end->x.h.id, &c, &e) < 0) {
		(void)initlink_drop_fds(&en->init, end->x.h.id, NULL, &e);
		(void)initlink_ack(&en->init, end->x.h.id, &e);
		free(end);
		return NULL;
	}
	pthread_mutex_lock(&c->op);
	s = container_state(en, c);
	if (container_runs(&s) && s.pid == end->x.pid) {
		note_end(en, c, &end->x);
		pthread_mutex_unlock(&c->op);
		after_end(en, c);
	} else {
		/* It ended before it was said to run: whoever started it knows. */
		pthread_mutex_unlock(&c->op);
		(void)initlink_ack(&en->init, c->id, &e);
	}
	container_put(c);
	free(end);
	return NULL;
}

int engine_thread(void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, ENDING_STACK_BYTES);
	r = pthread_create(&thread, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return -r;
}

void container_ended(struct engine *en, const struct init_exit *x)
{
	struct ending *end = malloc(sizeof(*end));
	int r = -ENOMEM;

	if (end) {
		*end = (struct ending){en, *x};
		r = engine_thread(run_ending, end);
	}
	if (r < 0) {
		/* init tells it again to the next engine. */
		log_error("the end of %.12s: %s", x->h.id, strerror(-r));
		free(end);
	}
}

unsigned container_wait_begin(struct engine *en, struct container *c)
{
	unsigned begun;

	pthread_mutex_lock(&en->lock);
	begun = c->ends;
	pthread_mutex_unlock(&en->lock);
	return begun;
}

static bool wait_over(const struct container *c, enum wait_for what, unsigned begun)
{
	if (c->removed)
		return true;
	if (what == WAIT_REMOVED)
		return false;
	if (what == WAIT_NOT_RUNNING)
		return !container_runs(&c->state) && c->state.status != CONTAINER_RESTARTING;
	return c->ends != begun;
}

int container_wait(struct engine *en, struct container *c, enum wait_for what, unsigned begun,
	bool (*give_up)(void *arg), void *arg, int *ret_code)
{
	int r = 0;

	pthread_mutex_lock(&en->lock);
	while (!wait_over(c, what, begun)) {
		struct timespec until = time_in_ms(1000);

		if (pthread_cond_timedwait(&c->changed, &en->lock, &until) == ETIMEDOUT &&
			give_up(arg)) {
			r = -ECANCELED;
			break;
		}
	}
	*ret_code = c->state.exit_code;
	pthread_mutex_unlock(&en->lock);
	return r;
}
