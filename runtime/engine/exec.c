/* The exec instances that the engine knows: making, finding and forgetting them. */
#include "runtime/engine/exec.h"

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/sys.h"
#include "lib/base/time.h"
#include "runtime/engine/container.h"
#include "runtime/engine/limits.h"
#include "runtime/engine/spec.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Linux 6.9 */
#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1U << 2)
#endif

struct exec *exec_new(
	struct engine *en, const char *id, struct container *c, yyjson_doc *record, bool probe)
{
	struct exec *x = calloc(1, sizeof(*x));
	bool tty = yyjson_get_bool(yyjson_obj_get(yyjson_doc_get_root(record), "Tty"));

	if (!x)
		return NULL;
	x->io = stdio_new(&en->stdio, tty);
	if (!x->io) {
		free(x);
		return NULL;
	}
	(void)snprintf(x->id, sizeof(x->id), "%s", id);
	/* The client asks for the exit code when the stream ends. */
	x->io->held = true;
	container_ref(c);
	x->c = c;
	x->record = record;
	x->probe = probe;
	x->refs = 1;
	x->pidfd = -1;
	pthread_mutex_init(&x->op, NULL);
	return x;
}

void exec_put(struct exec *x)
{
	if (__atomic_sub_fetch(&x->refs, 1, __ATOMIC_ACQ_REL))
		return;
	stdio_unref(x->io);
	fd_close(&x->pidfd);
	container_put(x->c);
	yyjson_doc_free(x->record);
	pthread_mutex_destroy(&x->op);
	free(x);
}

struct exec *exec_ref(struct exec *x)
{
	__atomic_add_fetch(&x->refs, 1, __ATOMIC_RELAXED);
	return x;
}

void exec_add(struct engine *en, struct exec *x)
{
	pthread_mutex_lock(&en->lock);
	x->next = en->execs;
	en->execs = exec_ref(x);
	pthread_mutex_unlock(&en->lock);
}

int exec_get(struct engine *en, const char *id, struct exec **ret, struct err *e)
{
	struct exec *x;

	pthread_mutex_lock(&en->lock);
	for (x = en->execs; x && strcmp(x->id, id) != 0; x = x->next)
		;
	if (x)
		*ret = exec_ref(x);
	pthread_mutex_unlock(&en->lock);
	return x ? 0 : err_set(e, ENOENT, "No such exec instance: %.100s", id);
}

struct exec_state exec_state(struct engine *en, const struct exec *x)
{
	struct exec_state s;

	pthread_mutex_lock(&en->lock);
	s = x->state;
	pthread_mutex_unlock(&en->lock);
	return s;
}

bool exec_can_go(const struct exec_state *s)
{
	return s->status == EXEC_DONE && time_now_ms() - s->done_ms >= EXEC_KEPT_MS;
}

/*
 * Take the first one off the list that @gone says so of. Returns it with the list's reference, or
 * NULL.
 */
static struct exec *unlink_one(
	struct engine *en, bool (*gone)(const struct exec *x, const void *arg), const void *arg)
{
	struct exec *x = NULL;

	pthread_mutex_lock(&en->lock);
	for (struct exec **at = &en->execs; *at; at = &(*at)->next) {
		if (!gone(*at, arg))
			continue;
		x = *at;
		*at = x->next;
		break;
	}
	pthread_mutex_unlock(&en->lock);
	return x;
}

static void forget_all(
	struct engine *en, bool (*gone)(const struct exec *x, const void *arg), const void *arg)
{
	struct exec *x;

	while ((x = unlink_one(en, gone, arg))) {
		exec_erase(en, x->id);
		/* Whoever is attached would wait for ever. */
		stdio_abandon(x->io);
		exec_put(x);
	}
}

static bool is_it(const struct exec *x, const void *arg)
{
	return x == arg;
}

void exec_forget(struct engine *en, struct exec *x)
{
	forget_all(en, is_it, x);
}

static bool is_of(const struct exec *x, const void *arg)
{
	return x->c == arg;
}

void exec_container_removed(struct engine *en, const struct container *c)
{
	forget_all(en, is_of, c);
}

static bool is_unused_of(const struct exec *x, const void *arg)
{
	return x->c == arg && x->state.status == EXEC_CREATED;
}

/* With engine->lock. */
static bool any_runs(const struct engine *en, const struct container *c)
{
	for (const struct exec *x = en->execs; x; x = x->next)
		if (x->c == c && x->state.status == EXEC_RUNNING)
			return true;
	return false;
}

void exec_container_ended(struct engine *en, struct container *c)
{
	/* They ended before it did, and init has told so: their ends are on the way. */
	struct timespec until = time_in_ms(OUTPUT_LEFT_MS);

	pthread_mutex_lock(&en->lock);
	while (any_runs(en, c) && pthread_cond_timedwait(&c->changed, &en->lock, &until) == 0)
		;
	pthread_mutex_unlock(&en->lock);
	forget_all(en, is_unused_of, c);
}

static bool is_over(const struct exec *x, const void *arg)
{
	(void)arg;
	return x->state.status == EXEC_DONE &&
	       time_now_ms() - x->state.done_ms >= (uint64_t)2 * EXEC_KEPT_MS;
}

/* Room for one more: what has been done for long goes, then what has been for the longest. */
static int make_room(struct engine *en, struct err *e)
{
	const struct exec *oldest = NULL;
	size_t n = 0;

	forget_all(en, is_over, NULL);
	pthread_mutex_lock(&en->lock);
	for (const struct exec *x = en->execs; x; x = x->next, n++)
		if (x->state.status == EXEC_DONE &&
			(!oldest || x->state.done_ms < oldest->state.done_ms))
			oldest = x;
	pthread_mutex_unlock(&en->lock);
	if (n < EXECS_MAX)
		return 0;
	if (!oldest)
		return err_set(e, ENOSPC, "%d exec instances are there, no more fit", EXECS_MAX);
	forget_all(en, is_it, oldest);
	return 0;
}

int exec_check(struct engine *en, const struct container *c, const char *name, struct err *e)
{
	struct container_state s = container_state(en, c);

	if (s.status == CONTAINER_RESTARTING)
		return err_set(e, EBUSY,
			"Container %s is restarting, wait until the container is running", c->id);
	if (!container_runs(&s))
		return err_set(e, EBUSY, "container %s is not running", c->id);
	if (s.status == CONTAINER_PAUSED)
		return err_set(e, EBUSY,
			"Container %s is paused, unpause the container before exec", name);
	return 0;
}

/* What the client left open comes from the container. Returns NULL without memory. */
static yyjson_doc *make_record(const struct container *c, yyjson_val *config)
{
	static const char *const keys[] = {"User", "WorkingDir"};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_val_mut_copy(doc, config);
	yyjson_doc *record = NULL;

	yyjson_mut_doc_set_root(doc, top);
	for (size_t i = 0; top && i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (spec_str(config, keys[i])[0])
			continue;
		yyjson_mut_obj_remove_key(top, keys[i]);
		yyjson_mut_obj_add_strcpy(
			doc, top, keys[i], spec_str(container_config(c), keys[i]));
	}
	if (top)
		record = yyjson_mut_doc_imut_copy(doc, NULL);
	yyjson_mut_doc_free(doc);
	return record;
}

int exec_create(struct engine *en, struct container *c, yyjson_val *config, bool probe,
	struct exec **ret, struct err *e)
{
	char id[CONTAINER_ID_BYTES];
	yyjson_doc *record;
	struct exec *x;
	int r = make_room(en, e);

	if (r < 0)
		return r;
	if (id_make(id) < 0)
		return err_set(e, EIO, "no random numbers");
	record = make_record(c, config);
	x = record ? exec_new(en, id, c, record, probe) : NULL;
	if (!x) {
		yyjson_doc_free(record);
		return err_set(e, ENOMEM, "out of memory");
	}
	r = exec_save(en, x, e);
	if (r < 0) {
		exec_put(x);
		return r;
	}
	exec_add(en, x);
	exec_tell(en, x, "exec_create", NULL);
	*ret = x;
	return 0;
}

void exec_kill(const struct exec *x)
{
	/* It leads a session of its own, and what it left running may hold its output. */
	if (x->pidfd >= 0 &&
		sys_pidfd_send_signal(x->pidfd, SIGKILL, NULL, PIDFD_SIGNAL_PROCESS_GROUP) < 0 &&
		errno == EINVAL)
		(void)sys_pidfd_send_signal(x->pidfd, SIGKILL, NULL, 0);
}

yyjson_mut_val *exec_ids(struct engine *en, const struct container *c, yyjson_mut_doc *doc)
{
	yyjson_mut_val *ids = yyjson_mut_arr(doc);

	pthread_mutex_lock(&en->lock);
	for (const struct exec *x = en->execs; x; x = x->next)
		if (x->c == c && x->state.status != EXEC_DONE)
			yyjson_mut_arr_add_strcpy(doc, ids, x->id);
	pthread_mutex_unlock(&en->lock);
	return yyjson_mut_arr_size(ids) ? ids : yyjson_mut_null(doc);
}

void exec_tell(struct engine *en, const struct exec *x, const char *action, const int *code)
{
	AUTO_BUF struct buf text = {0};
	char number[16];
	const char *const more[] = {
		"execID", x->id, code ? "exitCode" : NULL, code ? number : NULL, NULL};
	yyjson_val *word;
	size_t i, n;
	int r = buf_add_str(&text, action);

	(void)snprintf(number, sizeof(number), "%d", code ? *code : 0);
	if (!code) {
		yyjson_arr_foreach (
			yyjson_obj_get(yyjson_doc_get_root(x->record), "Cmd"), i, n, word)
			if (r == 0)
				r = buf_printf(&text, "%s%s", i ? " " : ": ", yyjson_get_str(word));
	}
	if (r == 0)
		container_tell(en, x->c, text.v, more);
	else
		log_error("exec %.12s: its event is lost: out of memory", x->id);
}
