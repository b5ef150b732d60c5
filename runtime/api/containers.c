/* Containers as the API shows them: create, list, inspect, prune. */
#include "runtime/api/filters.h"
#include "runtime/api/mounts.h"
#include "runtime/api/networks.h"
#include "runtime/api/routes.h"
#include "runtime/api/shape.h"
#include "runtime/api/summaries.h"

#include "lib/util/duration.h"
#include "runtime/engine/health.h"
#include "runtime/engine/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_time(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, int64_t ns)
{
	char text[40] = "0001-01-01T00:00:00Z";

	if (ns)
		time_print(ns, text, sizeof(text));
	yyjson_mut_obj_add_strcpy(doc, o, key, text);
}

/* The whole objects out of a request's body. */
static int read_create(
	yyjson_val *body, yyjson_mut_doc *doc, yyjson_mut_val *ret[static 3], struct err *e)
{
	ret[0] = shape_apply(doc, body, &shape_config, "", e);
	ret[1] = ret[0] ? shape_apply(doc, yyjson_obj_get(body, "HostConfig"), &shape_host_config,
				  "HostConfig", e)
			: NULL;
	ret[2] = ret[1] ? shape_apply(doc, yyjson_obj_get(body, "NetworkingConfig"),
				  &shape_networking_config, "NetworkingConfig", e)
			: NULL;
	return ret[2] ? 0 : e->code ? -e->code : -ENOMEM;
}

int api_container_create(struct call *c, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top, *parts[3] = {NULL};
	yyjson_doc *body = NULL;
	yyjson_doc *whole = NULL;
	yyjson_mut_doc *answer = yyjson_mut_doc_new(NULL);
	const struct warnings said = {answer, yyjson_mut_arr(answer)};
	struct container *made = NULL;
	int r = call_read_json(c, false, &body, e);

	if (r == 0)
		r = read_create(yyjson_doc_get_root(body), doc, parts, e);
	/* Of API 1.44. */
	if (r == 0 && c->minor < 44)
		yyjson_mut_obj_remove_key(
			yyjson_mut_obj_get(parts[0], "Healthcheck"), "StartInterval");
	if (r == 0) {
		yyjson_val *root;

		top = yyjson_mut_arr(doc);
		for (int i = 0; i < 3; i++)
			yyjson_mut_arr_append(top, parts[i]);
		yyjson_mut_doc_set_root(doc, top);
		whole = yyjson_mut_doc_imut_copy(doc, NULL);
		root = yyjson_doc_get_root(whole);
		r = container_create(c->engine, query_str(&c->query, "name"),
			yyjson_arr_get(root, 0), yyjson_arr_get(root, 1), yyjson_arr_get(root, 2),
			&said, &made, e);
	}
	yyjson_doc_free(whole);
	yyjson_doc_free(body);
	yyjson_mut_doc_free(doc);
	if (r < 0) {
		yyjson_mut_doc_free(answer);
		return r;
	}
	top = yyjson_mut_obj(answer);
	yyjson_mut_doc_set_root(answer, top);
	yyjson_mut_obj_add_strcpy(answer, top, "Id", made->id);
	yyjson_mut_obj_add_val(answer, top, "Warnings", said.list);
	container_put(made);
	return call_reply(c, 201, answer, e);
}

static void status_text(const struct container_state *s, const char *health, char *buf, size_t size)
{
	int64_t now = realtime_ns();
	char since[64];

	duration_in_words((now - (container_runs(s) ? s->started_ns : s->finished_ns)) / 1000000000,
		since, sizeof(since));
	if (s->status == CONTAINER_CREATED)
		(void)snprintf(buf, size, "Created");
	else if (s->status == CONTAINER_PAUSED)
		(void)snprintf(buf, size, "Up %s (Paused)", since);
	else if (s->status == CONTAINER_RUNNING && strcmp(health, "none") == 0)
		(void)snprintf(buf, size, "Up %s", since);
	else if (s->status == CONTAINER_RUNNING)
		(void)snprintf(buf, size, "Up %s (%s%s)", since,
			strcmp(health, "starting") == 0 ? "health: " : "", health);
	else if (s->status == CONTAINER_RESTARTING)
		(void)snprintf(buf, size, "Restarting (%d) %s ago", s->exit_code, since);
	else if (s->status == CONTAINER_REMOVING)
		(void)snprintf(buf, size, "Removal In Progress");
	else if (s->status == CONTAINER_DEAD)
		(void)snprintf(buf, size, "Dead");
	else
		(void)snprintf(buf, size, "Exited (%d) %s ago", s->exit_code, since);
}

static yyjson_val *record_field(const struct container *c, const char *key)
{
	return yyjson_obj_get(yyjson_doc_get_root(c->record), key);
}

static void add_command(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct container *c)
{
	AUTO_BUF struct buf line = {0};
	yyjson_val *item;
	size_t i, n;

	(void)buf_add_str(&line, spec_str(yyjson_doc_get_root(c->record), "Path"));
	yyjson_arr_foreach (record_field(c, "Args"), i, n, item) {
		const char *word = yyjson_get_str(item);
		const char *quote = strchr(word, ' ') ? "'" : "";

		(void)buf_printf(&line, " %s%s%s", quote, word, quote);
	}
	yyjson_mut_obj_add_strcpy(doc, o, "Command", line.v ? line.v : "");
}

yyjson_mut_val *container_summary(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *arr,
	const struct container *one, const struct container_state *s, bool size)
{
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, arr);
	yyjson_mut_val *names = yyjson_mut_arr(doc);
	yyjson_mut_val *host = yyjson_mut_obj(doc);
	char text[300];

	(void)snprintf(text, sizeof(text), "/%s", one->name);
	yyjson_mut_arr_add_strcpy(doc, names, text);
	yyjson_mut_obj_add_strcpy(doc, o, "Id", one->id);
	yyjson_mut_obj_add_val(doc, o, "Names", names);
	yyjson_mut_obj_add_strcpy(doc, o, "Image", spec_str(container_config(one), "Image"));
	yyjson_mut_obj_add_strcpy(doc, o, "ImageID", container_image(one));
	add_command(doc, o, one);
	yyjson_mut_obj_add_int(doc, o, "Created", container_created_ns(one) / 1000000000);
	yyjson_mut_obj_add_val(doc, o, "Ports", yyjson_mut_arr(doc));
	if (size) {
		yyjson_mut_obj_add_int(doc, o, "SizeRw", container_size_rw(c->engine, one));
		yyjson_mut_obj_add_int(doc, o, "SizeRootFs", container_size_all(c->engine, one));
	}
	yyjson_mut_obj_add_val(doc, o, "Labels",
		yyjson_val_mut_copy(doc, yyjson_obj_get(container_config(one), "Labels")));
	yyjson_mut_obj_add_str(doc, o, "State", container_status_name(s->status));
	status_text(s, health_name(c->engine, one), text, sizeof(text));
	yyjson_mut_obj_add_strcpy(doc, o, "Status", text);
	yyjson_mut_obj_add_strcpy(
		doc, host, "NetworkMode", spec_str(container_host_config(one), "NetworkMode"));
	yyjson_mut_obj_add_val(doc, o, "HostConfig", host);
	yyjson_mut_obj_add_val(doc, o, "NetworkSettings", network_summary(c->engine, doc, one, s));
	yyjson_mut_obj_add_val(doc, o, "Mounts", mounts_shown(doc, one));
	return o;
}

struct subject {
	const struct container *c;
	const struct container_state *s;
	struct engine *en;
};

static bool id_begins(void *arg, const char *value)
{
	const struct subject *sub = arg;

	return strncmp(sub->c->id, value, strlen(value)) == 0;
}

/* With or without the slash. */
static bool name_has(void *arg, const char *value)
{
	const struct subject *sub = arg;
	char slashed[300];

	(void)snprintf(slashed, sizeof(slashed), "/%s", sub->c->name);
	return filter_part(sub->c->name, value) || filter_part(slashed, value);
}

static bool code_is(void *arg, const char *value)
{
	const struct subject *sub = arg;

	return !container_runs(sub->s) && atoi(value) == sub->s->exit_code;
}

static bool from_image(void *arg, const char *value)
{
	const struct subject *sub = arg;
	struct err ignored = {0};
	char id[IMAGE_ID_BYTES];

	return reference_same(spec_str(container_config(sub->c), "Image"), value) ||
	       (image_store_find(&sub->en->images, value, id, &ignored) == 0 &&
		       strcmp(id, container_image(sub->c)) == 0);
}

static bool has_mount(void *arg, const char *value)
{
	const struct subject *sub = arg;

	return mounts_have(sub->c, value);
}

static bool listed(const struct filters *f, struct subject *sub, bool all)
{
	const char *mode = spec_str(container_host_config(sub->c), "NetworkMode");

	if (!all && !filters_have(f, "status") && !filters_have(f, "exited") &&
		!container_runs(sub->s) && sub->s->status != CONTAINER_RESTARTING)
		return false;
	return filters_match(f, "status", container_status_name(sub->s->status)) &&
	       filters_any(f, "id", id_begins, sub) && filters_any(f, "name", name_has, sub) &&
	       filters_any(f, "exited", code_is, sub) &&
	       filters_match(f, "health", health_name(sub->en, sub->c)) &&
	       filters_any(f, "ancestor", from_image, sub) &&
	       filters_any(f, "volume", has_mount, sub) && filters_match(f, "network", mode) &&
	       filters_labels(f, "label", yyjson_obj_get(container_config(sub->c), "Labels"));
}

static bool is_no_health(void *arg, const char *value)
{
	static const char *const words[] = {"none", "starting", "healthy", "unhealthy"};
	const char **ret = arg;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], value) == 0)
			return false;
	*ret = value;
	return true;
}

int api_container_list(struct call *c, struct err *e)
{
	static const char *const known[] = {"id", "name", "label", "status", "exited", "ancestor",
		"network", "health", "volume", NULL};
	bool all = query_bool(&c->query, "all", false);
	const char *wrong = NULL;
	bool size = query_bool(&c->query, "size", false);
	struct container **list;
	yyjson_mut_doc *doc;
	yyjson_mut_val *arr;
	struct filters f;
	int64_t limit = 0;
	int r = query_i64(&c->query, "limit", &limit, e);

	if (r == 0)
		r = filters_read(&f, c, known, e);
	if (r < 0)
		return r;
	if (filters_any(&f, "health", is_no_health, &wrong) && wrong) {
		r = err_set(e, EINVAL, "Unrecognised filter value for health: %.64s", wrong);
		filters_free(&f);
		return r;
	}
	list = container_list(c->engine);
	doc = yyjson_mut_doc_new(NULL);
	arr = yyjson_mut_arr(doc);
	yyjson_mut_doc_set_root(doc, arr);
	for (size_t i = 0; list && list[i]; i++) {
		struct container_state s = container_state(c->engine, list[i]);
		struct subject sub = {list[i], &s, c->engine};

		/* A limit asks for the last ones made, running or not. */
		if (listed(&f, &sub, all || limit > 0) &&
			(limit <= 0 || yyjson_mut_arr_size(arr) < (size_t)limit))
			(void)container_summary(c, doc, arr, list[i], &s, size);
		container_put(list[i]);
	}
	free(list);
	filters_free(&f);
	return call_reply(c, 200, doc, e);
}

static yyjson_mut_val *make_state(
	yyjson_mut_doc *doc, const struct container_state *s, yyjson_mut_val *health)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc);

	yyjson_mut_obj_add_str(doc, o, "Status", container_status_name(s->status));
	yyjson_mut_obj_add_bool(doc, o, "Running", container_runs(s));
	yyjson_mut_obj_add_bool(doc, o, "Paused", s->status == CONTAINER_PAUSED);
	yyjson_mut_obj_add_bool(doc, o, "Restarting", s->status == CONTAINER_RESTARTING);
	yyjson_mut_obj_add_bool(doc, o, "OOMKilled", s->oom_killed);
	yyjson_mut_obj_add_bool(doc, o, "Dead", s->status == CONTAINER_DEAD);
	yyjson_mut_obj_add_int(doc, o, "Pid", container_runs(s) ? s->pid : 0);
	yyjson_mut_obj_add_int(doc, o, "ExitCode", container_runs(s) ? 0 : s->exit_code);
	yyjson_mut_obj_add_strcpy(doc, o, "Error", s->error);
	add_time(doc, o, "StartedAt", s->started_ns);
	add_time(doc, o, "FinishedAt", s->finished_ns);
	if (health)
		yyjson_mut_obj_add_val(doc, o, "Health", health);
	return o;
}

static void add_path(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key,
	const struct container *one, const char *name)
{
	char path[4096];

	container_path(c->engine, one, name, path, sizeof(path));
	yyjson_mut_obj_add_strcpy(doc, o, key, path);
}

int api_container_inspect(struct call *c, struct err *e)
{
	struct container *one;
	struct container_state s;
	yyjson_mut_doc *doc;
	yyjson_mut_val *top, *driver;
	char text[300];
	char path[4096];
	int r = container_get_any(c->engine, c->params[0], &one, e);

	if (r < 0)
		return r;
	s = container_state(c->engine, one);
	doc = yyjson_mut_doc_new(NULL);
	top = yyjson_mut_obj(doc);
	driver = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_strcpy(doc, top, "Id", one->id);
	add_time(doc, top, "Created", container_created_ns(one));
	yyjson_mut_obj_add_val(
		doc, top, "Path", yyjson_val_mut_copy(doc, record_field(one, "Path")));
	yyjson_mut_obj_add_val(
		doc, top, "Args", yyjson_val_mut_copy(doc, record_field(one, "Args")));
	yyjson_mut_obj_add_val(
		doc, top, "State", make_state(doc, &s, health_json(c->engine, one, doc)));
	yyjson_mut_obj_add_strcpy(doc, top, "Image", container_image(one));
	add_path(c, doc, top, "ResolvConfPath", one, "resolv.conf");
	add_path(c, doc, top, "HostnamePath", one, "hostname");
	add_path(c, doc, top, "HostsPath", one, "hosts");
	path[0] = '\0';
	if (container_has_json_file(one))
		container_log_path(c->engine, one, 0, path, sizeof(path));
	yyjson_mut_obj_add_strcpy(doc, top, "LogPath", path);
	(void)snprintf(text, sizeof(text), "/%s", one->name);
	yyjson_mut_obj_add_strcpy(doc, top, "Name", text);
	yyjson_mut_obj_add_int(doc, top, "RestartCount", s.restarts);
	yyjson_mut_obj_add_str(doc, top, "Driver", "overlay2");
	yyjson_mut_obj_add_str(doc, top, "Platform", "linux");
	yyjson_mut_obj_add_str(doc, top, "MountLabel", "");
	yyjson_mut_obj_add_str(doc, top, "ProcessLabel", "");
	yyjson_mut_obj_add_str(doc, top, "AppArmorProfile", "");
	yyjson_mut_obj_add_val(doc, top, "ExecIDs", exec_ids(c->engine, one, doc));
	yyjson_mut_obj_add_val(
		doc, top, "HostConfig", yyjson_val_mut_copy(doc, container_host_config(one)));
	yyjson_mut_obj_add_str(doc, driver, "Name", "overlay2");
	yyjson_mut_obj_add_null(doc, driver, "Data");
	yyjson_mut_obj_add_val(doc, top, "GraphDriver", driver);
	if (query_bool(&c->query, "size", false)) {
		yyjson_mut_obj_add_int(doc, top, "SizeRw", container_size_rw(c->engine, one));
		yyjson_mut_obj_add_int(doc, top, "SizeRootFs", container_size_all(c->engine, one));
	}
	yyjson_mut_obj_add_val(doc, top, "Mounts", mounts_shown(doc, one));
	yyjson_mut_obj_add_val(doc, top, "Config", yyjson_val_mut_copy(doc, container_config(one)));
	yyjson_mut_obj_add_val(
		doc, top, "NetworkSettings", network_settings(c->engine, doc, one, &s));
	container_put(one);
	return call_reply(c, 200, doc, e);
}

int api_container_prune(struct call *c, struct err *e)
{
	static const char *const known[] = {"label", "label!", NULL};
	struct container **list;
	yyjson_mut_doc *doc;
	yyjson_mut_val *top, *gone;
	struct filters f;
	int64_t bytes = 0;
	int r = filters_read(&f, c, known, e);

	if (r < 0)
		return r;
	list = container_list(c->engine);
	doc = yyjson_mut_doc_new(NULL);
	top = yyjson_mut_obj(doc);
	gone = yyjson_mut_arr(doc);
	yyjson_mut_doc_set_root(doc, top);
	for (size_t i = 0; list && list[i]; i++) {
		struct container_state s = container_state(c->engine, list[i]);
		yyjson_val *labels = yyjson_obj_get(container_config(list[i]), "Labels");
		struct err ignored = {0};
		int64_t size;

		if (!container_runs(&s) && s.status != CONTAINER_RESTARTING &&
			filters_labels(&f, "label", labels) &&
			!(filters_have(&f, "label!") && filters_labels(&f, "label!", labels))) {
			size = container_size_rw(c->engine, list[i]);
			if (container_remove(c->engine, list[i], false, false, &ignored) == 0) {
				yyjson_mut_arr_add_strcpy(doc, gone, list[i]->id);
				bytes += size;
			}
		}
		container_put(list[i]);
	}
	free(list);
	filters_free(&f);
	yyjson_mut_obj_add_val(doc, top, "ContainersDeleted", gone);
	yyjson_mut_obj_add_int(doc, top, "SpaceReclaimed", bytes);
	return call_reply(c, 200, doc, e);
}
