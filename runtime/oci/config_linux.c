#include "runtime/oci/config.h"
#include "runtime/oci/limits.h"
#include "runtime/oci/names.h"

#include <string.h>

#define AT(member) offsetof(struct config, member)

struct ns_entry {
	const char *type;
	const char *path;
};

static const struct json_field ns_fields[] = {
	{"type", JSON_STR, NULL, offsetof(struct ns_entry, type), JSON_REQUIRED},
	{"path", JSON_STR, NULL, offsetof(struct ns_entry, path), 0},
};

static int read_ns(const struct json_at *at, void *out, struct err *e)
{
	return json_object(at, FIELDS(ns_fields), out, e);
}

static int read_namespaces(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;
	struct ns_entry *entry;
	void *items;
	size_t n;
	int r = json_array(at, sizeof(struct ns_entry), read_ns, &items, &n, e);

	if (r < 0)
		return r;
	entry = items;
	for (size_t i = 0; i < n; i++) {
		struct json_at item = {.up = at, .index = i, .ctx = at->ctx};
		int type = name_ns(entry[i].type);
		const char *path = entry[i].path;

		if (type < 0)
			return json_err(
				&item, EINVAL, e, "unknown namespace \"%s\"", entry[i].type);
		if (c->ns[type].given)
			return json_err(&item, EINVAL, e, "\"%s\" stands twice", entry[i].type);
		c->ns[type].given = true;
		/* Engines write "" for a new one. */
		c->ns[type].path = path && path[0] ? path : NULL;
	}
	return 0;
}

static int read_uid_maps(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;

	return config_read_id_maps(at, &c->uid_maps, e);
}

static int read_gid_maps(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;

	return config_read_id_maps(at, &c->gid_maps, e);
}

#define DEVICE_AT(member) offsetof(struct config_device, member)

static int check_device_type(const struct json_at *at, void *out, struct err *e)
{
	const struct config_device *d = out;

	if (strlen(d->type) != 1 || !strchr("cubp", d->type[0]))
		return json_err(at, EINVAL, e, "expected c, u, b or p, got \"%s\"", d->type);
	return 0;
}

static const struct json_field device_fields[] = {
	{"path", JSON_STR, NULL, DEVICE_AT(path), JSON_REQUIRED},
	{"type", JSON_STR, check_device_type, DEVICE_AT(type), JSON_REQUIRED},
	{"major", JSON_OPT_I64, NULL, DEVICE_AT(major), 0},
	{"minor", JSON_OPT_I64, NULL, DEVICE_AT(minor), 0},
	{"fileMode", JSON_OPT_U64, NULL, DEVICE_AT(mode), 0},
	{"uid", JSON_U32, NULL, DEVICE_AT(uid), 0},
	{"gid", JSON_U32, NULL, DEVICE_AT(gid), 0},
};

static int read_device(const struct json_at *at, void *out, struct err *e)
{
	const struct config_device *d = out;
	int r = json_object(at, FIELDS(device_fields), out, e);

	if (r < 0)
		return r;
	if (d->path[0] != '/')
		return json_err(at, EINVAL, e, "path: expected an absolute path");
	if (d->type[0] != 'p' && (!d->major.set || !d->minor.set))
		return json_err(at, EINVAL, e, "major and minor are required for type %s", d->type);
	if (d->major.v < 0 || d->major.v > 0xfff || d->minor.v < 0 || d->minor.v > 0xfffff)
		return json_err(at, ERANGE, e, "a device number of Linux is 12 and 20 bits");
	/* The spec says 0777, engines send the file type's bits along. */
	if (d->mode.set && d->mode.v > 0177777)
		return json_err(at, ERANGE, e, "fileMode: expected at most 0777");
	return 0;
}

static int read_devices(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;
	void *items;
	int r = json_array(at, sizeof(struct config_device), read_device, &items, &c->n_devices, e);

	c->devices = r == 0 ? items : NULL;
	return r;
}

static int check_propagation(const struct json_at *at, void *out, struct err *e)
{
	const struct config *c = out;
	uint64_t flag;
	bool recursive;

	if (c->rootfs_propagation[0] == '\0' ||
		mount_propagation(c->rootfs_propagation, &flag, &recursive) == 0)
		return 0;
	return json_err(at, EINVAL, e, "unknown propagation \"%s\"", c->rootfs_propagation);
}

static int read_sysctl(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;

	return config_read_pairs(at, &c->sysctl, e);
}

static const struct json_field offset_fields[] = {
	{"secs", JSON_ANY, NULL, 0, 0},
	{"nanosecs", JSON_U32, NULL, offsetof(struct config_time_offset, nanosecs), 0},
};

static int read_offset(const struct json_at *at, struct config_time_offset *o, struct err *e)
{
	yyjson_val *secs;
	int r = json_object(at, FIELDS(offset_fields), o, e);

	if (r < 0)
		return r;
	if (o->nanosecs >= 1000000000)
		return json_err(at, ERANGE, e, "nanosecs: expected less than 1000000000");
	o->given = true;
	secs = yyjson_obj_get(at->val, "secs");
	if (secs && !yyjson_is_null(secs)) {
		struct json_at v = {.val = secs, .up = at, .key = "secs", .ctx = at->ctx};

		return json_i64(&v, INT64_MIN, INT64_MAX, &o->secs, e);
	}
	return 0;
}

static int read_boottime(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;

	return read_offset(at, &c->boottime, e);
}

static int read_monotonic(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;

	return read_offset(at, &c->monotonic, e);
}

static const struct json_field time_fields[] = {
	{"boottime", JSON_OBJECT, read_boottime, 0, 0},
	{"monotonic", JSON_OBJECT, read_monotonic, 0, 0},
};

static int read_time_offsets(const struct json_at *at, void *out, struct err *e)
{
	return json_object(at, FIELDS(time_fields), out, e);
}

static const struct json_field personality_fields[] = {
	{"domain", JSON_STR, NULL, AT(personality_domain), JSON_REQUIRED},
	{"flags", JSON_ARRAY, NULL, 0, 0},
};

static int read_personality(const struct json_at *at, void *out, struct err *e)
{
	const struct config *c = out;
	int r = json_object(at, FIELDS(personality_fields), out, e);

	if (r < 0)
		return r;
	if (strcmp(c->personality_domain, "LINUX") != 0 &&
		strcmp(c->personality_domain, "LINUX32") != 0)
		return json_err(at, EINVAL, e, "domain: expected LINUX or LINUX32, got \"%s\"",
			c->personality_domain);
	if (yyjson_arr_size(yyjson_obj_get(at->val, "flags")) > 0)
		return json_err(at, EINVAL, e, "flags: the spec defines none");
	return 0;
}

static const struct json_field net_device_fields[] = {
	{"name", JSON_STR, NULL, offsetof(struct config_net_device, new_name), 0},
};

static int read_net_devices(const struct json_at *at, void *out, struct err *e)
{
	const size_t n = yyjson_obj_size(at->val);
	struct config *c = out;
	yyjson_obj_iter it;
	yyjson_val *key;
	int r = 0;

	if (n > OCI_NETDEVS_MAX)
		return json_err(at, E2BIG, e, "more than %d devices", OCI_NETDEVS_MAX);
	c->net_devices = arena_calloc(at->ctx->arena, n + 1, sizeof(*c->net_devices));
	if (!c->net_devices)
		return json_err(at, ENOMEM, e, "out of memory");
	yyjson_obj_iter_init(at->val, &it);
	while (r == 0 && (key = yyjson_obj_iter_next(&it))) {
		struct config_net_device *d = &c->net_devices[c->n_net_devices++];
		struct json_at item = {.val = yyjson_obj_iter_get_val(key),
			.up = at,
			.key = yyjson_get_str(key),
			.ctx = at->ctx};

		d->name = item.key;
		r = json_object(&item, FIELDS(net_device_fields), d, e);
		/* The spec's default; engines write "" for it. */
		if (!d->new_name || !d->new_name[0])
			d->new_name = d->name;
	}
	return r;
}

static int note_rdt(const struct json_at *at, void *out, struct err *e)
{
	struct config *c = out;

	(void)e;
	c->intel_rdt = yyjson_obj_size(at->val) > 0;
	return 0;
}

static const struct json_field linux_fields[] = {
	{"namespaces", JSON_ARRAY, read_namespaces, 0, 0},
	{"uidMappings", JSON_ARRAY, read_uid_maps, 0, 0},
	{"gidMappings", JSON_ARRAY, read_gid_maps, 0, 0},
	{"timeOffsets", JSON_OBJECT, read_time_offsets, 0, 0},
	{"devices", JSON_ARRAY, read_devices, 0, 0},
	{"netDevices", JSON_OBJECT, read_net_devices, 0, 0},
	{"cgroupsPath", JSON_STR, NULL, AT(cgroups_path), 0},
	{"resources", JSON_OBJECT, config_read_resources, 0, 0},
	{"rootfsPropagation", JSON_STR, check_propagation, AT(rootfs_propagation), 0},
	{"seccomp", JSON_OBJECT, config_read_seccomp, 0, 0},
	{"sysctl", JSON_OBJECT, read_sysctl, 0, 0},
	{"maskedPaths", JSON_STRV, NULL, AT(masked_paths), 0},
	{"readonlyPaths", JSON_STRV, NULL, AT(readonly_paths), 0},
	{"mountLabel", JSON_STR, NULL, AT(mount_label), 0},
	{"personality", JSON_OBJECT, read_personality, 0, 0},
	{"intelRdt", JSON_OBJECT, note_rdt, 0, 0},
	{"memoryPolicy", JSON_OBJECT, config_read_memory_policy, 0, 0},
};

int config_read_linux(const struct json_at *at, void *config, struct err *e)
{
	struct config *c = config;

	c->linux_given = true;
	return json_object(at, FIELDS(linux_fields), c, e);
}
