/* Volumes: list, create, inspect, remove, prune. */
#include "runtime/api/filters.h"
#include "runtime/api/routes.h"
#include "runtime/api/shape.h"
#include "runtime/api/volumes.h"

#include "runtime/engine/engine.h"
#include "runtime/engine/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

yyjson_mut_val *volume_shown(
	struct engine *en, yyjson_mut_doc *doc, const struct volume *v, bool usage)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	char path[4096];
	char at[40];

	time_print(volume_created_ns(v) / 1000000000 * 1000000000, at, sizeof(at));
	volume_path(en, v->name, path, sizeof(path));
	yyjson_mut_obj_add_strcpy(doc, o, "CreatedAt", at);
	yyjson_mut_obj_add_str(doc, o, "Driver", "local");
	yyjson_mut_obj_add_val(doc, o, "Labels", yyjson_val_mut_copy(doc, volume_labels(v)));
	yyjson_mut_obj_add_strcpy(doc, o, "Mountpoint", path);
	yyjson_mut_obj_add_strcpy(doc, o, "Name", v->name);
	yyjson_mut_obj_add_val(doc, o, "Options", yyjson_val_mut_copy(doc, volume_options(v)));
	yyjson_mut_obj_add_str(doc, o, "Scope", "local");
	if (usage) {
		yyjson_mut_val *data = yyjson_mut_obj_add_obj(doc, o, "UsageData");

		yyjson_mut_obj_add_int(doc, data, "RefCount", volume_users(en, v->name));
		yyjson_mut_obj_add_int(doc, data, "Size", volume_size(en, v->name));
	}
	return o;
}

int volumes_each(struct engine *en,
	void (*fn)(void *arg, struct engine *en, const struct volume *v), void *arg, struct err *e)
{
	char **names;
	int r = volume_store_list(&en->volumes.store, NULL, &names, e);

	if (r < 0)
		return r;
	for (size_t i = 0; names[i]; i++) {
		struct err ignored = {0};
		struct volume v;

		/* One that was removed meanwhile is none. */
		if (volume_store_get(&en->volumes.store, names[i], &v, &ignored) == 0) {
			fn(arg, en, &v);
			volume_free(&v);
		}
		free(names[i]);
	}
	free(names);
	return 0;
}

static bool name_has(void *arg, const char *value)
{
	const struct volume *v = arg;

	return filter_part(v->name, value);
}

struct listing {
	const struct filters *f;
	yyjson_mut_doc *doc;
	yyjson_mut_val *out;
	bool only_used; /* by containers, or only those that are not */
	bool by_use;
};

static void list_one(void *arg, struct engine *en, const struct volume *v)
{
	const struct listing *l = arg;
	struct volume subject = *v;

	if (filters_match(l->f, "driver", "local") &&
		filters_any(l->f, "name", name_has, &subject) &&
		filters_labels(l->f, "label", volume_labels(v)) &&
		(!l->by_use || (volume_users(en, v->name) > 0) == l->only_used))
		yyjson_mut_arr_append(l->out, volume_shown(en, l->doc, v, false));
}

int api_volume_list(struct call *c, struct err *e)
{
	static const char *const known[] = {"dangling", "driver", "label", "name", NULL};
	struct listing l = {0};
	struct filters f;
	bool dangling = false;
	yyjson_mut_val *top;
	int r = filters_read(&f, c, known, e);

	if (r < 0)
		return r;
	r = filters_bool(&f, "dangling", &dangling, e);
	if (r == 0) {
		l = (struct listing){.f = &f,
			.doc = yyjson_mut_doc_new(NULL),
			.by_use = filters_have(&f, "dangling"),
			.only_used = !dangling};
		top = yyjson_mut_obj(l.doc);
		yyjson_mut_doc_set_root(l.doc, top);
		l.out = yyjson_mut_obj_add_arr(l.doc, top, "Volumes");
		yyjson_mut_obj_add_null(l.doc, top, "Warnings");
		r = volumes_each(c->engine, list_one, &l, e);
	}
	filters_free(&f);
	if (r < 0) {
		yyjson_mut_doc_free(l.doc);
		return r;
	}
	return call_reply(c, 200, l.doc, e);
}

static int reply_volume(struct call *c, int status, const struct volume *v, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

	yyjson_mut_doc_set_root(doc, volume_shown(c->engine, doc, v, false));
	return call_reply(c, status, doc, e);
}

int api_volume_create(struct call *c, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_doc *body = NULL;
	yyjson_doc *whole = NULL;
	struct volume v = {0};
	yyjson_mut_val *shaped;
	int r = call_read_json(c, true, &body, e);

	shaped = r == 0 ? shape_apply(doc, yyjson_doc_get_root(body), &shape_volume, "", e) : NULL;
	if (r == 0 && !shaped)
		r = -e->code;
	if (r == 0) {
		struct volume_request req = {0};
		yyjson_val *top;

		yyjson_mut_doc_set_root(doc, shaped);
		whole = yyjson_mut_doc_imut_copy(doc, NULL);
		top = yyjson_doc_get_root(whole);
		req.name = spec_str(top, "Name");
		req.driver = spec_str(top, "Driver");
		req.labels = yyjson_obj_get(top, "Labels");
		req.options = yyjson_obj_get(top, "DriverOpts");
		r = volume_make(c->engine, &req, &v, e);
	}
	if (r == 0)
		r = reply_volume(c, 201, &v, e);
	volume_free(&v);
	yyjson_doc_free(whole);
	yyjson_doc_free(body);
	yyjson_mut_doc_free(doc);
	return r;
}

int api_volume_inspect(struct call *c, struct err *e)
{
	struct volume v;
	int r = volume_store_get(&c->engine->volumes.store, c->params[0], &v, e);

	if (r == 0)
		r = reply_volume(c, 200, &v, e);
	volume_free(&v);
	return r;
}

int api_volume_remove(struct call *c, struct err *e)
{
	bool force = query_bool(&c->query, "force", false);
	int r = volume_remove(c->engine, c->params[0], e);

	if (r < 0 && !(r == -ENOENT && force))
		return r;
	return call_reply_empty(c, 204);
}

int api_volume_update(struct call *c, struct err *e)
{
	(void)c;
	return err_set(e, ECONNREFUSED,
		"This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm "
		"join\" to connect this node to swarm and try again.");
}

struct pruning {
	const struct filters *f;
	yyjson_mut_doc *doc;
	yyjson_mut_val *gone; /* NULL until one is */
	bool all;
	int64_t bytes;
};

static void prune_one(void *arg, struct engine *en, const struct volume *v)
{
	struct pruning *p = arg;
	yyjson_val *labels = volume_labels(v);
	struct err ignored = {0};
	int64_t size;

	/* What something else is mounted on is not local in truth: Docker leaves it alone. */
	if (yyjson_obj_size(volume_options(v)) > 0 ||
		(!p->all && !yyjson_obj_get(labels, VOLUME_ANONYMOUS_LABEL)) ||
		!filters_labels(p->f, "label", labels) ||
		(filters_have(p->f, "label!") && filters_labels(p->f, "label!", labels)))
		return;
	size = volume_users(en, v->name) ? -1 : volume_size(en, v->name);
	if (size < 0 || volume_remove(en, v->name, &ignored) < 0)
		return;
	if (!p->gone)
		p->gone = yyjson_mut_arr(p->doc);
	yyjson_mut_arr_add_strcpy(p->doc, p->gone, v->name);
	p->bytes += size;
}

int api_volume_prune(struct call *c, struct err *e)
{
	static const char *const known[] = {"label", "label!", "all", NULL};
	struct pruning p = {.all = c->minor < 42};
	char bytes[32];
	const char *const more[] = {"reclaimed", bytes, NULL};
	yyjson_mut_val *top;
	struct filters f;
	int r = filters_read(&f, c, known, e);

	if (r < 0)
		return r;
	p.f = &f;
	p.doc = yyjson_mut_doc_new(NULL);
	r = filters_bool(&f, "all", &p.all, e);
	if (r == 0)
		r = volumes_each(c->engine, prune_one, &p, e);
	filters_free(&f);
	if (r < 0) {
		yyjson_mut_doc_free(p.doc);
		return r;
	}
	(void)snprintf(bytes, sizeof(bytes), "%lld", (long long)p.bytes);
	volume_tell(c->engine, "", "prune", more);
	top = yyjson_mut_obj(p.doc);
	yyjson_mut_doc_set_root(p.doc, top);
	yyjson_mut_obj_add_val(
		p.doc, top, "VolumesDeleted", p.gone ? p.gone : yyjson_mut_null(p.doc));
	yyjson_mut_obj_add_int(p.doc, top, "SpaceReclaimed", p.bytes);
	return call_reply(c, 200, p.doc, e);
}
