/* When probes are run, and what is made of their ends. */
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/util/utf8.h"
#include "runtime/engine/container.h"
#include "runtime/engine/health.h"
#include "runtime/engine/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct task {
	struct engine *en;
	struct container *c;
};

void health_init(struct engine *en)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&en->health_due, &attr);
	pthread_condattr_destroy(&attr);
}

/* With the lock: how long to wait for the next probe. */
static uint64_t interval_ms(const struct container *c)
{
	int64_t up_ms = (realtime_ns() - c->state.started_ns) / 1000000;
	int64_t ms = health_ms(c, "Interval", HEALTH_INTERVAL_MS);

	if (c->health->status == HEALTH_STARTING && up_ms < health_ms(c, "StartPeriod", 0))
		ms = health_ms(c, "StartInterval", HEALTH_START_INTERVAL_MS);
	return (uint64_t)ms;
}

/* 1500 → "1.5s", 90000 → "1m30s": as Go prints durations. */
static void print_ms(int64_t ms, char *buf, size_t size)
{
	int64_t h = ms / 3600000, m = ms / 60000 % 60, rest = ms % 60000;
	char seconds[32];

	if (ms < 1000) {
		(void)snprintf(buf, size, "%lldms", (long long)ms);
		return;
	}
	(void)snprintf(seconds, sizeof(seconds), "%lld.%03lld", (long long)rest / 1000,
		(long long)rest % 1000);
	for (char *end = seconds + strlen(seconds) - 1; *end == '0' || *end == '.'; end--) {
		bool point = *end == '.';

		*end = '\0';
		if (point)
			break;
	}
	if (h)
		(void)snprintf(buf, size, "%lldh%lldm%ss", (long long)h, (long long)m, seconds);
	else if (m)
		(void)snprintf(buf, size, "%lldm%ss", (long long)m, seconds);
	else
		(void)snprintf(buf, size, "%ss", seconds);
}

/* The probe's output as a result shows it. Returns NULL without memory. */
static char *output_text(const struct buf *out, bool cut, bool late, int64_t timeout_ms)
{
	AUTO_BUF struct buf text = {0};
	char *taken;
	int r = buf_add_str(&text, "");

	if (late) {
		char limit[64];

		print_ms(timeout_ms, limit, sizeof(limit));
		r = buf_printf(
			&text, "Health check exceeded timeout (%s)%s", limit, out->len ? ": " : "");
	}
	if (r == 0)
		r = utf8_add(&text, out->v, out->len);
	if (r == 0 && cut)
		r = buf_add_str(&text, "...");
	if (r < 0)
		return NULL;
	taken = text.v;
	text = (struct buf){0};
	return taken;
}

/* With the lock: the probe is over, @output (owned) is what it said. Returns the event, or NULL. */
static const char *finish(struct engine *en, struct container *c, int exit_code, char *output)
{
	struct health *h = c->health;
	struct health_result result = {h->probe_start_ns, realtime_ns(), exit_code, output};
	bool changed = false;

	/* One of an earlier run, or of before it was paused, says nothing now. */
	if (h->on && h->round == h->probe_round && output) {
		changed = health_note(c, &result);
		health_save(en, c);
	} else {
		free(output);
	}
	h->probing = false;
	if (h->on && h->round == h->probe_round)
		h->next_ms = time_now_ms() + interval_ms(c);
	pthread_cond_signal(&en->health_due);
	return changed ? health_status_name(h->status) : NULL;
}

static void tell(struct engine *en, const struct container *c, const char *status)
{
	char action[40];

	if (!status)
		return;
	(void)snprintf(action, sizeof(action), "health_status: %s", status);
	container_tell(en, c, action, NULL);
}

/* Whoever takes the probe deals with its end. */
static bool claim(struct engine *en, struct health *h, const struct exec *x)
{
	bool mine;

	pthread_mutex_lock(&en->lock);
	mine = h && h->probe == x;
	if (mine)
		h->probe = NULL;
	pthread_mutex_unlock(&en->lock);
	return mine;
}

void health_container_removed(struct engine *en, struct container *c)
{
	struct exec *x = NULL;

	pthread_mutex_lock(&en->lock);
	if (c->health) {
		x = c->health->probe;
		c->health->probe = NULL;
	}
	pthread_mutex_unlock(&en->lock);
	if (!x)
		return;
	attach_end(&c->health->output);
	exec_put(x);
}

void health_probe_ended(struct engine *en, struct exec *x)
{
	struct container *c = x->c;
	struct health *h = c->health;
	AUTO_BUF struct buf out = {0};
	const char *status;
	char *text;

	if (!claim(en, h, x))
		return;
	(void)attach_take(&h->output, &out);
	text = output_text(
		&out, h->output.cut, h->late, health_ms(c, "Timeout", HEALTH_TIMEOUT_MS));
	attach_end(&h->output);
	pthread_mutex_lock(&en->lock);
	status = finish(en, c, h->late ? -1 : x->state.exit_code, text);
	pthread_mutex_unlock(&en->lock);
	tell(en, c, status);
	exec_forget(en, x);
	exec_put(x);
}

/* The exec instance of one probe; NULL with @e filled. */
static struct exec *make_probe(struct engine *en, struct container *c, struct err *e)
{
	yyjson_val *config = container_config(c);
	yyjson_val *test = yyjson_obj_get(yyjson_obj_get(config, "Healthcheck"), "Test");
	yyjson_val *shell = yyjson_obj_get(config, "Shell");
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *words = yyjson_mut_arr(doc);
	struct exec *x = NULL;
	yyjson_doc *given;
	yyjson_val *word;
	size_t i, n;

	yyjson_mut_doc_set_root(doc, top);
	if (yyjson_equals_str(yyjson_arr_get(test, 0), "CMD-SHELL")) {
		yyjson_arr_foreach (shell, i, n, word)
			yyjson_mut_arr_append(words, yyjson_val_mut_copy(doc, word));
		if (yyjson_arr_size(shell) == 0) {
			yyjson_mut_arr_add_str(doc, words, "/bin/sh");
			yyjson_mut_arr_add_str(doc, words, "-c");
		}
	}
	yyjson_arr_foreach (test, i, n, word)
		if (i)
			yyjson_mut_arr_append(words, yyjson_val_mut_copy(doc, word));
	yyjson_mut_obj_add_bool(doc, top, "AttachStdout", true);
	yyjson_mut_obj_add_bool(doc, top, "AttachStderr", true);
	yyjson_mut_obj_add_val(doc, top, "Cmd", words);
	given = yyjson_mut_doc_imut_copy(doc, NULL);
	yyjson_mut_doc_free(doc);
	if (!given)
		err_set(e, ENOMEM, "out of memory");
	else if (exec_create(en, c, yyjson_doc_get_root(given), true, &x, e) < 0)
		x = NULL;
	yyjson_doc_free(given);
	return x;
}

/* Run the probe and have its end be heard of. Returns 0 or -errno. */
static int begin(struct engine *en, struct container *c, struct exec *x, struct err *e)
{
	struct health *h = c->health;
	int r = attach_begin(&h->output, x->io, true, true);
	if (r < 0) {
		exec_forget(en, x);
		exec_put(x);
		return err_set(e, -r, "attach: %s", strerror(-r));
	}
	h->output.framed = false;
	h->output.keep = HEALTH_OUTPUT_BYTES;
	/* Before it runs: it may end at once. */
	pthread_mutex_lock(&en->lock);
	h->probe = x;
	h->late_ms = UINT64_MAX;
	pthread_mutex_unlock(&en->lock);
	r = exec_start(en, x, &(const struct exec_start){0}, e);
	if (r < 0 && claim(en, h, x)) {
		attach_end(&h->output);
		exec_forget(en, x);
		exec_put(x);
	}
	if (r < 0)
		return r;
	pthread_mutex_lock(&en->lock);
	/* Its time counts from here: to start it may have taken long. */
	if (h->probe == x)
		h->late_ms = time_now_ms() + (uint64_t)health_ms(c, "Timeout", HEALTH_TIMEOUT_MS);
	if (h->probe == x && (!h->on || h->round != h->probe_round))
		exec_kill(x);
	pthread_cond_signal(&en->health_due);
	pthread_mutex_unlock(&en->lock);
	return 0;
}

static void *run_probe(void *arg)
{
	struct task *t = arg;
	struct err e = {0};
	struct exec *x = make_probe(t->en, t->c, &e);
	int r = -e.code;

	if (x) {
		/* Until it has been started: who removes the container takes the probe's. */
		r = begin(t->en, t->c, exec_ref(x), &e);
		exec_put(x);
	}
	if (!x || r < 0) {
		const char *status;

		pthread_mutex_lock(&t->en->lock);
		status = finish(t->en, t->c, -1, strdup(e.msg));
		pthread_mutex_unlock(&t->en->lock);
		tell(t->en, t->c, status);
	}
	container_put(t->c);
	free(t);
	return NULL;
}

/* With the lock: what is due of @c is done. Returns when something will be. */
static uint64_t look_after(struct engine *en, struct container *c, uint64_t now)
{
	struct health *h = c->health;
	struct task *t;

	if (h->probe && !h->late && now >= h->late_ms) {
		h->late = true;
		exec_kill(h->probe);
	}
	if (h->probing)
		return h->probe && !h->late ? h->late_ms : UINT64_MAX;
	if (!h->on)
		return UINT64_MAX;
	if (now < h->next_ms)
		return h->next_ms;
	t = malloc(sizeof(*t));
	if (t) {
		*t = (struct task){en, c};
		container_ref(c);
		h->probing = true;
		h->late = false;
		h->probe_round = h->round;
		h->probe_start_ns = realtime_ns();
		if (engine_thread(run_probe, t) == 0)
			return UINT64_MAX;
		h->probing = false;
		/* Not the last one: it is on the list. */
		container_put(c);
		free(t);
	}
	log_error("container %.12s: a probe is left out: no memory or no thread", c->id);
	h->next_ms = now + interval_ms(c);
	return h->next_ms;
}

static void *watch(void *arg)
{
	struct engine *en = arg;

	pthread_mutex_lock(&en->lock);
	for (;;) {
		uint64_t now = time_now_ms();
		uint64_t next = UINT64_MAX;
		struct timespec at;

		for (struct container *c = en->containers; c; c = c->next) {
			uint64_t due = c->health ? look_after(en, c, now) : UINT64_MAX;

			next = due < next ? due : next;
		}
		if (next == UINT64_MAX) {
			pthread_cond_wait(&en->health_due, &en->lock);
			continue;
		}
		at = time_in_ms(next > now ? next - now : 0);
		(void)pthread_cond_timedwait(&en->health_due, &en->lock, &at);
	}
	return NULL;
}

/* With the lock. */
static void set_on(struct engine *en, struct container *c, bool on, uint64_t next_ms)
{
	struct health *h = c->health;

	h->on = on;
	h->round += on;
	h->next_ms = next_ms;
	if (h->probe)
		exec_kill(h->probe);
	if (on && !en->health_watched) {
		int r = engine_thread(watch, en);

		en->health_watched = r == 0;
		if (r < 0)
			log_error("no healthchecks: start a thread: %s", strerror(-r));
	}
	pthread_cond_signal(&en->health_due);
}

void health_start(struct engine *en, struct container *c)
{
	if (!health_has_probe(c))
		return;
	pthread_mutex_lock(&en->lock);
	if (!c->health)
		c->health = calloc(1, sizeof(*c->health));
	if (c->health) {
		c->health->status = HEALTH_STARTING;
		c->health->streak = 0;
		health_save(en, c);
		set_on(en, c, true, time_now_ms() + interval_ms(c));
	} else {
		log_error("container %.12s: no healthcheck: out of memory", c->id);
	}
	pthread_mutex_unlock(&en->lock);
}

void health_update(struct engine *en, struct container *c)
{
	struct health *h;

	pthread_mutex_lock(&en->lock);
	h = c->health;
	if (h && c->state.status == CONTAINER_RUNNING && health_has_probe(c) && !h->on) {
		/* Where an engine before this one left off, if there was one. */
		int64_t last = h->n && h->log[h->n - 1].end_ns > c->state.started_ns
				       ? h->log[h->n - 1].end_ns
				       : c->state.started_ns;
		int64_t since = (realtime_ns() - last) / 1000000;
		int64_t wait = (int64_t)interval_ms(c) - since;

		set_on(en, c, true, time_now_ms() + (uint64_t)(wait > 0 ? wait : 0));
	} else if (h && c->state.status != CONTAINER_RUNNING && h->on) {
		set_on(en, c, false, 0);
		/* Docker: for who is not watched any more, whatever was said last. */
		h->status = HEALTH_UNHEALTHY;
		health_save(en, c);
	}
	pthread_mutex_unlock(&en->lock);
}
