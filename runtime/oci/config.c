#include "runtime/oci/config.h"

#include "runtime/oci/limits.h"
#include "runtime/oci/names.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct config, member)

static int hook_check_timeout(const struct json_at *at, void *out, struct err *e)
{
	const struct config_hook *h = out;

	if (h->timeout_s.v < 1 || h->timeout_s.v > INT32_MAX)
		return json_err(at, ERANGE, e, "expected a number of seconds above 0");
	return 0;
}

static const struct json_field hook_fields[] = {
	{"path", JSON_STR, NULL, offsetof(struct config_hook, path), JSON_REQUIRED},
	{"args", JSON_STRV, NULL, offsetof(struct config_hook, args), 0},
	{"env", JSON_STRV, NULL, offsetof(struct config_hook, env), 0},
	{"timeout", JSON_OPT_I64, hook_check_timeout, offsetof(struct config_hook, timeout_s), 0},
};

static int read_hook(const struct json_at *at, void *out, struct err *e)
{
	const struct config_hook *h = out;
	int r = json_object(at, FIELDS(hook_fields), out, e);

	if (r == 0 && h->path[0] != '/')
		return json_err(at, EINVAL, e, "path \"%s\": expected an absolute path", h->path);
	return r;
}

/* The key of the array says which of the six it is. */
static int read_hook_list(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;
	void *items;
	size_t n;
	int r = json_array(at, sizeof(struct config_hook), read_hook, &items, &n, e);

	for (int k = 0; r == 0 && k < HOOK_N; k++) {
		if (strcmp(at->key, name_of_hook(k)) == 0)
			c->hooks[k] = (struct config_hooks){.v = items, .n = n};
	}
	return r;
}

static const struct json_field hooks_fields[] = {
	{"prestart", JSON_ARRAY, read_hook_list, 0, 0},
	{"createRuntime", JSON_ARRAY, read_hook_list, 0, 0},
	{"createContainer", JSON_ARRAY, read_hook_list, 0, 0},
	{"startContainer", JSON_ARRAY, read_hook_list, 0, 0},
	{"poststart", JSON_ARRAY, read_hook_list, 0, 0},
	{"poststop", JSON_ARRAY, read_hook_list, 0, 0},
};

static int read_hooks(const struct json_at *at, void *out, struct err *e)
{
	return json_object(at, FIELDS(hooks_fields), out, e);
}

static const struct json_field id_map_fields[] = {
	{"containerID", JSON_U32, NULL, offsetof(struct config_id_map, container), JSON_REQUIRED},
	{"hostID", JSON_U32, NULL, offsetof(struct config_id_map, host), JSON_REQUIRED},
	{"size", JSON_U32, NULL, offsetof(struct config_id_map, size), JSON_REQUIRED},
};

static int read_id_map(const struct json_at *at, void *map, struct err *e)
{
	return json_object(at, FIELDS(id_map_fields), map, e);
}

int config_read_id_maps(const struct json_at *at, struct config_id_maps *maps, struct err *e)
{
	void *items;
	int r = json_array(at, sizeof(struct config_id_map), read_id_map, &items, &maps->n, e);

	if (r < 0)
		return r;
	maps->v = items;
	return maps->n <= OCI_ID_MAPS_MAX
		       ? 0
		       : json_err(at, E2BIG, e, "more than %d mappings", OCI_ID_MAPS_MAX);
}

static int read_mount_uid_maps(const struct json_at *at, void *out, struct err *e)
{
	struct config_mount *m = out;

	return config_read_id_maps(at, &m->uid_maps, e);
}

static int read_mount_gid_maps(const struct json_at *at, void *out, struct err *e)
{
	struct config_mount *m = out;

	return config_read_id_maps(at, &m->gid_maps, e);
}

static int read_mount_options(const struct json_at *at, void *out, struct err *e)
{
	struct config_mount *m = out;
	int r = json_strv(at, &m->option_words, e);

	if (r < 0)
		return r;
	r = mount_options_parse(at->ctx->arena, &m->option_words, &m->options);
	return r < 0 ? json_err(at, -r, e, "out of memory") : 0;
}

#define MOUNT_AT(member) offsetof(struct config_mount, member)

static const struct json_field mount_fields[] = {
	{"destination", JSON_STR, NULL, MOUNT_AT(destination), JSON_REQUIRED},
	{"source", JSON_STR, NULL, MOUNT_AT(source), 0},
	{"type", JSON_STR, NULL, MOUNT_AT(type), 0},
	{"options", JSON_ARRAY, read_mount_options, 0, 0},
	{"uidMappings", JSON_ARRAY, read_mount_uid_maps, 0, 0},
	{"gidMappings", JSON_ARRAY, read_mount_gid_maps, 0, 0},
};

static int read_mount(const struct json_at *at, void *out, struct err *e)
{
	struct config_mount *m = out;
	int r = json_object(at, FIELDS(mount_fields), out, e);

	if (r < 0)
		return r;
	if (m->destination[0] == '\0')
		return json_err(at, EINVAL, e, "destination: expected a path, got \"\"");
	/* The spec lets a bind mount carry any type; "bind" alone is one too. */
	if (m->type && strcmp(m->type, "bind") == 0)
		m->options.bind = true;
	return 0;
}

static int read_mounts(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;
	void *items;
	int r = json_array(at, sizeof(struct config_mount), read_mount, &items, &c->n_mounts, e);

	c->mounts = r == 0 ? items : NULL;
	return r;
}

static const struct json_field root_fields[] = {
	{"path", JSON_STR, NULL, AT(root_path), JSON_REQUIRED},
	{"readonly", JSON_BOOL, NULL, AT(root_readonly), 0},
};

static int read_root(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;

	c->root_given = true;
	return json_object(at, FIELDS(root_fields), out, e);
}

static int read_process(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;

	return config_read_process(at, &c->process, e);
}

static int read_annotations(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;
	struct config_pairs pairs;

	int r = config_read_pairs(at, &pairs, e);

	c->annotations = at->val;
	for (size_t i = 0; r == 0 && i < pairs.n; i++) {
		if (pairs.v[i].key[0] == '\0')
			return json_err(at, EINVAL, e, "a key must not be empty");
	}
	return r;
}

int config_read_pairs(const struct json_at *at, struct config_pairs *ret, struct err *e)
{
	yyjson_obj_iter it;
	yyjson_val *key;
	int r = json_want(at, yyjson_is_obj(at->val), "an object", e);

	if (r < 0)
		return r;
	ret->n = 0;
	ret->v = arena_calloc(at->ctx->arena, yyjson_obj_size(at->val) + 1, sizeof(*ret->v));
	if (!ret->v)
		return json_err(at, ENOMEM, e, "out of memory");
	yyjson_obj_iter_init(at->val, &it);
	while ((key = yyjson_obj_iter_next(&it))) {
		struct config_pair *p = &ret->v[ret->n++];
		struct json_at name = {.val = key, .up = at, .key = "(key)", .ctx = at->ctx};
		struct json_at value = {.val = yyjson_obj_iter_get_val(key),
			.up = at,
			.key = yyjson_get_str(key),
			.ctx = at->ctx};

		r = json_str(&name, &p->key, e);
		if (r == 0)
			r = json_str(&value, &p->value, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static const struct json_field config_fields[] = {
	{"ociVersion", JSON_STR, NULL, AT(oci_version), JSON_REQUIRED},
	{"root", JSON_OBJECT, read_root, 0, 0},
	{"hostname", JSON_STR, NULL, AT(hostname), 0},
	{"domainname", JSON_STR, NULL, AT(domainname), 0},
	{"process", JSON_OBJECT, read_process, 0, 0},
	{"mounts", JSON_ARRAY, read_mounts, 0, 0},
	{"hooks", JSON_OBJECT, read_hooks, 0, 0},
	{"annotations", JSON_OBJECT, read_annotations, 0, 0},
	{"linux", JSON_OBJECT, config_read_linux, 0, 0},
	/* Sections for other platforms: the spec has them ignored here. */
	{"solaris", JSON_IGNORE, NULL, 0, 0},
	{"windows", JSON_IGNORE, NULL, 0, 0},
	{"vm", JSON_IGNORE, NULL, 0, 0},
	{"zos", JSON_IGNORE, NULL, 0, 0},
	{"freebsd", JSON_IGNORE, NULL, 0, 0},
};

static void drop_warning(void *arg, const char *path)
{
	(void)arg;
	(void)path;
}

static int config_walk(struct config *c, bool process_only, void (*warn)(void *, const char *),
	void *arg, struct err *e)
{
	const struct json_ctx ctx = {
		.arena = &c->arena, .unknown = warn ? warn : drop_warning, .arg = arg};
	const struct json_at top = {.val = yyjson_doc_get_root(c->doc), .ctx = &ctx};

	if (process_only)
		return config_read_process(&top, &c->process, e);
	return json_object(&top, FIELDS(config_fields), c, e);
}

static int config_open(struct config *c, int dirfd, const char *name, struct err *e)
{
	*c = (struct config){0};
	c->doc = json_load_at(
		dirfd, name, OCI_CONFIG_BYTES_MAX, &c->arena, &c->file, &c->file_len, e);
	return c->doc ? 0 : -e->code;
}

int config_load(struct config *c, int dirfd, const char *name, void (*warn)(void *, const char *),
	void *arg, struct err *e)
{
	int r = config_open(c, dirfd, name, e);

	return r < 0 ? r : config_walk(c, false, warn, arg, e);
}

int config_load_process(struct config *c, int dirfd, const char *name,
	void (*warn)(void *, const char *), void *arg, struct err *e)
{
	int r = config_open(c, dirfd, name, e);

	return r < 0 ? r : config_walk(c, true, warn, arg, e);
}

int config_parse(struct config *c, char *text, size_t len, void (*warn)(void *, const char *),
	void *arg, struct err *e)
{
	*c = (struct config){.text = text};
	c->doc = json_parse(text, len, "config.json", e);
	return c->doc ? config_walk(c, false, warn, arg, e) : -e->code;
}

void config_free(struct config *c)
{
	yyjson_doc_free(c->doc);
	free(c->text);
	arena_free(&c->arena);
	*c = (struct config){0};
}
