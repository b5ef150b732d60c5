#include "runtime/image/imageconfig.h"

#include "runtime/image/limits.h"

#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member) offsetof(struct image_config, member)

static int read_labels(const struct json_at *at, void *out, struct err *e)
{
	struct image_config *c = out;
	yyjson_obj_iter it;
	yyjson_val *key;

	c->labels = arena_calloc(at->ctx->arena, yyjson_obj_size(at->val) + 1, sizeof(*c->labels));
	if (!c->labels)
		return json_err(at, ENOMEM, e, "out of memory");
	yyjson_obj_iter_init(at->val, &it);
	while ((key = yyjson_obj_iter_next(&it))) {
		struct json_at k = {.val = key, .up = at, .key = "(key)", .ctx = at->ctx};
		struct json_at v = {.val = yyjson_obj_iter_get_val(key),
			.up = at,
			.key = yyjson_get_str(key),
			.ctx = at->ctx};
		struct label *l = &c->labels[c->n_labels];
		int r = json_str(&k, &l->key, e);

		if (r == 0)
			r = json_str(&v, &l->value, e);
		if (r < 0)
			return r;
		c->n_labels++;
	}
	return 0;
}

/* {"80/tcp": {}, …}: a set, written as an object. */
static int read_ports(const struct json_at *at, void *out, struct err *e)
{
	struct image_config *c = out;
	struct json_strv *ports = &c->exposed_ports;
	yyjson_obj_iter it;
	yyjson_val *key;

	ports->v = arena_calloc(at->ctx->arena, yyjson_obj_size(at->val) + 1, sizeof(*ports->v));
	if (!ports->v)
		return json_err(at, ENOMEM, e, "out of memory");
	yyjson_obj_iter_init(at->val, &it);
	while ((key = yyjson_obj_iter_next(&it))) {
		struct json_at k = {.val = key, .up = at, .key = "(key)", .ctx = at->ctx};
		int r = json_str(&k, &ports->v[ports->n], e);

		if (r < 0)
			return r;
		ports->n++;
	}
	return 0;
}

static int read_run_config(const struct json_at *at, void *out, struct err *e)
{
	static const struct json_field fields[] = {
		{"User", JSON_STR, NULL, AT(user), 0},
		{"WorkingDir", JSON_STR, NULL, AT(working_dir), 0},
		{"StopSignal", JSON_STR, NULL, AT(stop_signal), 0},
		{"Env", JSON_STRV, NULL, AT(env), 0},
		{"Entrypoint", JSON_STRV, NULL, AT(entrypoint), 0},
		{"Cmd", JSON_STRV, NULL, AT(cmd), 0},
		{"ExposedPorts", JSON_OBJECT, read_ports, 0, 0},
		{"Labels", JSON_OBJECT, read_labels, 0, 0},
	};

	return json_object(at, fields, COUNT(fields), out, e);
}

static int read_diff_id(const struct json_at *at, void *out, struct err *e)
{
	const char *text;
	int r = json_str(at, &text, e);

	if (r < 0)
		return r;
	if (digest_parse(text, out) < 0)
		return json_err(at, EINVAL, e, "\"%.80s\" is no digest that we know", text);
	return 0;
}

static int read_diff_ids(const struct json_at *at, void *out, struct err *e)
{
	struct image_config *c = out;
	void *items;
	int r;

	if (yyjson_arr_size(at->val) > IMAGE_LAYERS_MAX)
		return json_err(at, EFBIG, e, "more than %d of them", IMAGE_LAYERS_MAX);
	r = json_array(at, sizeof(struct digest), read_diff_id, &items, &c->n_diff_ids, e);
	if (r == 0)
		c->diff_ids = items;
	return r;
}

static int read_rootfs(const struct json_at *at, void *out, struct err *e)
{
	static const struct json_field fields[] = {
		{"diff_ids", JSON_ARRAY, read_diff_ids, 0, JSON_REQUIRED},
	};

	return json_object(at, fields, COUNT(fields), out, e);
}

int image_config_read(const struct document *doc, struct image_config *ret, struct err *e)
{
	static const struct json_field fields[] = {
		{"os", JSON_STR, NULL, AT(os), JSON_REQUIRED},
		{"architecture", JSON_STR, NULL, AT(architecture), JSON_REQUIRED},
		{"author", JSON_STR, NULL, AT(author), 0},
		{"created", JSON_STR, NULL, AT(created), 0},
		{"config", JSON_OBJECT, read_run_config, 0, 0},
		{"rootfs", JSON_OBJECT, read_rootfs, 0, JSON_REQUIRED},
	};

	*ret = (struct image_config){0};
	return json_object(&doc->root, fields, COUNT(fields), ret, e);
}
