/* What takes room on the disk: GET /system/df. */
#include "runtime/api/image_view.h"
#include "runtime/api/routes.h"
#include "runtime/api/summaries.h"
#include "runtime/api/volumes.h"

#include "runtime/engine/engine.h"

#include <stdlib.h>
#include <string.h>

static int add_images(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *out, struct err *e)
{
	char **ids;
	int r = image_store_list(&c->engine->images, &ids, e);

	if (r < 0)
		return r;
	for (size_t i = 0; ids[i]; i++) {
		struct image_record image;
		struct err ignored = {0};

		/* One that was removed meanwhile is none. */
		if (image_store_get(&c->engine->images, ids[i], &image, &ignored) == 0) {
			yyjson_mut_val *o = image_summary(c, doc, out, &image);
			int64_t shared =
				image_store_shared_size(&c->engine->images, ids[i], &ignored);

			yyjson_mut_set_sint(
				yyjson_mut_obj_get(o, "SharedSize"), shared < 0 ? -1 : shared);
			yyjson_mut_set_sint(
				yyjson_mut_obj_get(o, "Containers"), image_count_users(c, ids[i]));
			image_record_free(&image);
		}
		free(ids[i]);
	}
	free(ids);
	return 0;
}

static int add_containers(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *out, struct err *e)
{
	struct container **list = container_list(c->engine);

	if (!list)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; list[i]; i++) {
		struct container_state s = container_state(c->engine, list[i]);

		(void)container_summary(c, doc, out, list[i], &s, true);
		container_put(list[i]);
	}
	free(list);
	return 0;
}

struct volume_list {
	yyjson_mut_doc *doc;
	yyjson_mut_val *out;
};

static void add_volume(void *arg, struct engine *en, const struct volume *v)
{
	const struct volume_list *l = arg;

	/* What lies behind options is elsewhere: Docker does not count it. */
	if (yyjson_obj_size(volume_options(v)) == 0)
		yyjson_mut_arr_append(l->out, volume_shown(en, l->doc, v, true));
}

static int add_volumes(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *out, struct err *e)
{
	struct volume_list l = {doc, out};

	return volumes_each(c->engine, add_volume, &l, e);
}

/* Nothing is built here. */
static int add_builds(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *out, struct err *e)
{
	(void)c;
	(void)doc;
	(void)out;
	(void)e;
	return 0;
}

static const struct part {
	const char *type, *member;
	int (*add)(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *out, struct err *e);
} parts[] = {
	{"image", "Images", add_images},
	{"container", "Containers", add_containers},
	{"volume", "Volumes", add_volumes},
	{"build-cache", "BuildCache", add_builds},
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

/* Which parts are asked for: "type" may stand several times; without any, all are. */
static int read_types(const struct call *c, bool ret[static PARTS], struct err *e)
{
	bool any = false;

	for (size_t k = 0; c->minor >= 42 && k < c->query.n; k++) {
		size_t i = 0;

		if (strcmp(c->query.params[k].key, "type") != 0)
			continue;
		while (i < PARTS && strcmp(parts[i].type, c->query.params[k].value) != 0)
			i++;
		if (i == PARTS)
			return err_set(
				e, EINVAL, "unknown object type: %.64s", c->query.params[k].value);
		ret[i] = true;
		any = true;
	}
	for (size_t i = 0; !any && i < PARTS; i++)
		ret[i] = true;
	return 0;
}

int api_system_df(struct call *c, struct err *e)
{
	bool wanted[PARTS] = {false};
	yyjson_mut_doc *doc;
	yyjson_mut_val *top;
	int64_t layers = 0;
	int r = read_types(c, wanted, e);

	if (r == 0 && wanted[0])
		r = image_store_layers_size(&c->engine->images, &layers, e);
	if (r < 0)
		return r;
	doc = yyjson_mut_doc_new(NULL);
	top = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_int(doc, top, "LayersSize", layers);
	for (size_t i = 0; r == 0 && i < PARTS; i++) {
		yyjson_mut_val *list = wanted[i] ? yyjson_mut_arr(doc) : yyjson_mut_null(doc);

		yyjson_mut_obj_add_val(doc, top, parts[i].member, list);
		if (wanted[i])
			r = parts[i].add(c, doc, list, e);
	}
	if (c->minor < 42)
		yyjson_mut_obj_add_int(doc, top, "BuilderSize", 0);
	if (r < 0) {
		yyjson_mut_doc_free(doc);
		return r;
	}
	return call_reply(c, 200, doc, e);
}
