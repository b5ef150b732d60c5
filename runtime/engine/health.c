/* What probes say: results, the status that follows from them, and where both are kept. */
#include "runtime/engine/health.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "runtime/engine/container.h"
#include "runtime/engine/spec.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const status_names[HEALTH_STATUSES] = {
	[HEALTH_STARTING] = "starting",
	[HEALTH_HEALTHY] = "healthy",
	[HEALTH_UNHEALTHY] = "unhealthy",
};

const char *health_status_name(enum health_status s)
{
	return status_names[s];
}

const char *health_name(struct engine *en, const struct container *c)
{
	const char *name;

	pthread_mutex_lock(&en->lock);
	name = c->health ? status_names[c->health->status] : "none";
	pthread_mutex_unlock(&en->lock);
	return name;
}

int health_check(yyjson_mut_val *config, struct err *e)
{
	static const char *const times[] = {"Interval", "Timeout", "StartPeriod", "StartInterval"};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		int64_t ns = yyjson_mut_get_sint(yyjson_mut_obj_get(config, times[i]));

		if (ns != 0 && ns < 1000000)
			return err_set(
				e, EINVAL, "%s in Healthcheck cannot be less than 1ms", times[i]);
	}
	if (yyjson_mut_get_sint(yyjson_mut_obj_get(config, "Retries")) < 0)
		return err_set(e, EINVAL, "Retries in Healthcheck cannot be negative");
	return 0;
}

static yyjson_val *config_of(const struct container *c)
{
	return yyjson_obj_get(container_config(c), "Healthcheck");
}

int64_t health_ms(const struct container *c, const char *key, int64_t absent)
{
	int64_t ns = spec_int(config_of(c), key);

	return ns ? ns / 1000000 : absent;
}

bool health_has_probe(const struct container *c)
{
	yyjson_val *test = yyjson_obj_get(config_of(c), "Test");
	yyjson_val *first = yyjson_arr_get(test, 0);

	return yyjson_arr_size(test) > 1 &&
	       (yyjson_equals_str(first, "CMD") || yyjson_equals_str(first, "CMD-SHELL"));
}

void health_free(struct health *h)
{
	for (size_t i = 0; h && i < h->n; i++)
		free(h->log[i].output);
	free(h);
}

bool health_note(const struct container *c, struct health_result *result)
{
	struct health *h = c->health;
	enum health_status before = h->status;
	int64_t retries = spec_int(config_of(c), "Retries");
	int64_t up_ms = (result->start_ns - c->state.started_ns) / 1000000;

	if (h->n == HEALTH_LOG) {
		free(h->log[0].output);
		memmove(h->log, h->log + 1, sizeof(h->log) - sizeof(h->log[0]));
		h->n--;
	}
	h->log[h->n++] = *result;
	if (result->exit_code == 0) {
		h->streak = 0;
		h->status = HEALTH_HEALTHY;
	} else if (h->status != HEALTH_STARTING || up_ms >= health_ms(c, "StartPeriod", 0)) {
		h->streak++;
		if (h->streak >= (retries > 0 ? retries : HEALTH_RETRIES))
			h->status = HEALTH_UNHEALTHY;
	}
	return h->status != before;
}

static void add_time(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, int64_t ns)
{
	char text[40];

	time_print(ns, text, sizeof(text));
	yyjson_mut_obj_add_strcpy(doc, o, key, text);
}

yyjson_mut_val *health_json(struct engine *en, const struct container *c, yyjson_mut_doc *doc)
{
	yyjson_mut_val *o = NULL;

	pthread_mutex_lock(&en->lock);
	if (c->health) {
		const struct health *h = c->health;
		yyjson_mut_val *list = yyjson_mut_arr(doc);

		o = yyjson_mut_obj(doc);
		yyjson_mut_obj_add_str(doc, o, "Status", status_names[h->status]);
		yyjson_mut_obj_add_uint(doc, o, "FailingStreak", h->streak);
		for (size_t i = 0; i < h->n; i++) {
			yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, list);

			add_time(doc, one, "Start", h->log[i].start_ns);
			add_time(doc, one, "End", h->log[i].end_ns);
			yyjson_mut_obj_add_int(doc, one, "ExitCode", h->log[i].exit_code);
			yyjson_mut_obj_add_strcpy(doc, one, "Output", h->log[i].output);
		}
		yyjson_mut_obj_add_val(doc, o, "Log", list);
	}
	pthread_mutex_unlock(&en->lock);
	return o;
}

static char *print(const struct health *h, size_t *ret_len)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *list = yyjson_mut_arr(doc);
	char *text;

	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, "status", status_names[h->status]);
	yyjson_mut_obj_add_uint(doc, top, "streak", h->streak);
	for (size_t i = 0; i < h->n; i++) {
		yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, list);

		yyjson_mut_obj_add_int(doc, one, "start_ns", h->log[i].start_ns);
		yyjson_mut_obj_add_int(doc, one, "end_ns", h->log[i].end_ns);
		yyjson_mut_obj_add_int(doc, one, "exit_code", h->log[i].exit_code);
		yyjson_mut_obj_add_str(doc, one, "output", h->log[i].output);
	}
	yyjson_mut_obj_add_val(doc, top, "log", list);
	text = yyjson_mut_write(doc, 0, ret_len);
	yyjson_mut_doc_free(doc);
	return text;
}

void health_save(struct engine *en, const struct container *c)
{
	AUTO_CLOSE int fd = -1;
	char path[4096];
	char half[4096];
	size_t len = 0;
	char *text = print(c->health, &len);
	int r = text ? 0 : -ENOMEM;

	container_path(en, c, "health.json", path, sizeof(path));
	container_path(en, c, "health.json.new", half, sizeof(half));
	if (r == 0) {
		fd = open(half, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		r = fd < 0 ? -errno : io_write_all(fd, text, len);
	}
	free(text);
	if (r == 0 && rename(half, path) < 0)
		r = -errno;
	/* A container that is being removed has no place for it any more. */
	if (r < 0 && r != -ENOENT)
		log_error("container %.12s: write its health: %s", c->id, strerror(-r));
}

static struct health *parse(const char *text, size_t len)
{
	yyjson_doc *doc = yyjson_read(text, len, 0);
	yyjson_val *top = yyjson_doc_get_root(doc);
	struct health *h = top ? calloc(1, sizeof(*h)) : NULL;
	yyjson_val *one;
	size_t i, n;

	for (int s = 0; h && s < HEALTH_STATUSES; s++)
		if (strcmp(spec_str(top, "status"), status_names[s]) == 0)
			h->status = (enum health_status)s;
	if (h)
		h->streak = (unsigned)spec_int(top, "streak");
	yyjson_arr_foreach (yyjson_obj_get(top, "log"), i, n, one) {
		char *output = h && h->n < HEALTH_LOG ? strdup(spec_str(one, "output")) : NULL;

		if (output)
			h->log[h->n++] = (struct health_result){spec_int(one, "start_ns"),
				spec_int(one, "end_ns"), (int)spec_int(one, "exit_code"), output};
	}
	yyjson_doc_free(doc);
	return h;
}

void health_load(struct engine *en, struct container *c)
{
	AUTO_BUF struct buf text = {0};
	char *room = buf_reserve(&text, HEALTH_RECORD_BYTES_MAX);
	char path[4096];
	ssize_t len;

	container_path(en, c, "health.json", path, sizeof(path));
	len = room ? io_read_file_at(AT_FDCWD, path, room, HEALTH_RECORD_BYTES_MAX) : -1;
	if (len > 0)
		c->health = parse(room, (size_t)len);
	if (!c->health && container_runs(&c->state) && health_has_probe(c))
		c->health = calloc(1, sizeof(*c->health));
}
