#include "runtime/engine/mountpoints.h"

#include "runtime/engine/mount_parse.h"
#include "runtime/engine/spec.h"

#include <stdio.h>
#include <string.h>

/* A list while it is made. */
struct making {
	struct engine *en;
	const char *id; /* of the container */
	yyjson_val *config;
	yyjson_val *host;
	struct arena arena;
	yyjson_mut_doc *doc;
	yyjson_mut_val *list;
	struct {
		struct mount_wish wish;
		bool explicit;	       /* of Binds or Mounts: nothing else may want its place */
		yyjson_mut_val *other; /* taken over from another container */
	} entries[MOUNTPOINTS_MAX];
	size_t n;
};

yyjson_val *mountpoints_of(const struct container *c)
{
	return yyjson_obj_get(yyjson_doc_get_root(c->record), MOUNTPOINTS);
}

static const char *destination_of(const struct making *m, size_t i)
{
	return m->entries[i].other
		       ? yyjson_mut_get_str(yyjson_mut_obj_get(m->entries[i].other, "Destination"))
		       : m->entries[i].wish.destination;
}

/* Where the entry with that destination stands, or m->n. */
static size_t find(const struct making *m, const char *destination)
{
	size_t i = 0;

	while (i < m->n && strcmp(destination_of(m, i), destination) != 0)
		i++;
	return i;
}

static int add(struct making *m, const struct mount_wish *w, bool explicit, yyjson_mut_val *other,
	struct err *e)
{
	const char *destination =
		other ? yyjson_mut_get_str(yyjson_mut_obj_get(other, "Destination"))
		      : w->destination;
	size_t i = find(m, destination);

	if (i == MOUNTPOINTS_MAX)
		return err_set(e, EINVAL, "more than %d mount points", MOUNTPOINTS_MAX);
	if (explicit && ((i < m->n && m->entries[i].explicit) ||
				yyjson_obj_get(yyjson_obj_get(m->host, "Tmpfs"), destination)))
		return err_set(e, EINVAL, "Duplicate mount point: %.300s", destination);
	m->entries[i].explicit = explicit;
	m->entries[i].other = other;
	if (w)
		m->entries[i].wish = *w;
	m->n += i == m->n;
	return 0;
}

/* All of another container's. */
static int add_from(struct making *m, const char *text, struct err *e)
{
	struct container *other;
	const char *ref;
	bool writable;
	yyjson_val *item;
	size_t i, n;
	int r = mount_parse_from(&m->arena, text, &ref, &writable, e);

	if (r == 0)
		r = container_get(m->en, ref, &other, e);
	if (r < 0)
		return r;
	yyjson_arr_foreach (mountpoints_of(other), i, n, item) {
		yyjson_mut_val *copy = yyjson_val_mut_copy(m->doc, item);

		if (strcmp(spec_str(item, "Type"), "volume") == 0)
			r = volume_hold(m->en, spec_str(item, "Name"), m->id, e);
		if (r < 0)
			break;
		if (!writable)
			yyjson_mut_set_bool(yyjson_mut_obj_get(copy, "RW"), false);
		yyjson_mut_set_str(yyjson_mut_obj_get(copy, "Mode"), "");
		yyjson_mut_set_bool(yyjson_mut_obj_get(copy, MOUNTPOINT_COPY), false);
		r = add(m, NULL, false, copy, e);
		if (r < 0)
			break;
	}
	container_put(other);
	return r;
}

static int add_binds(struct making *m, struct err *e)
{
	const char *driver = spec_str(m->host, "VolumeDriver");
	struct mount_wish w;
	yyjson_val *item;
	size_t i, n;
	int r = 0;

	yyjson_arr_foreach (yyjson_obj_get(m->host, "Binds"), i, n, item) {
		r = mount_parse_bind(&m->arena, yyjson_get_str(item), driver, &w, e);
		if (r == 0)
			r = add(m, &w, true, NULL, e);
		if (r < 0)
			return r;
	}
	yyjson_arr_foreach (yyjson_obj_get(m->host, "Mounts"), i, n, item) {
		r = mount_parse_spec(&m->arena, item, &w, e);
		if (r == 0)
			r = add(m, &w, true, NULL, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Config.Volumes, of the client's or the image's: an anonymous volume where nothing else is. */
static int add_config(struct making *m, struct err *e)
{
	yyjson_val *volumes = yyjson_obj_get(m->config, "Volumes");
	yyjson_val *key, *val;
	size_t i, n;

	if (!yyjson_is_obj(volumes))
		return 0;
	yyjson_obj_foreach (volumes, i, n, key, val) {
		struct mount_wish w = {.kind = MOUNT_KIND_VOLUME,
			.source = "",
			.mode = "",
			.propagation = "",
			.driver = spec_str(m->host, "VolumeDriver"),
			.writable = true,
			.copy = true,
			.destination = mount_clean_path(&m->arena, yyjson_get_str(key))};
		int r;

		if (!w.destination)
			return err_set(e, ENOMEM, "out of memory");
		if (strcmp(w.destination, "/") == 0)
			return err_set(e, EINVAL,
				"invalid volume specification: '/': destination can't be '/'");
		if (find(m, w.destination) < m->n ||
			yyjson_obj_get(yyjson_obj_get(m->host, "Tmpfs"), w.destination))
			continue;
		r = add(m, &w, false, NULL, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_tmpfs(yyjson_val *host, struct err *e)
{
	yyjson_val *tmpfs = yyjson_obj_get(host, "Tmpfs");
	yyjson_val *key, *val;
	size_t i, n;

	if (!yyjson_is_obj(tmpfs))
		return 0;
	yyjson_obj_foreach (tmpfs, i, n, key, val) {
		int r = mount_check_tmpfs(yyjson_get_str(key), e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The volume of a wish: Name, Source and Driver of @o. */
static int make_volume(struct making *m, const struct mount_wish *w, bool with_mode,
	yyjson_mut_val *o, struct err *e)
{
	yyjson_val *options = yyjson_obj_get(w->spec, "VolumeOptions");
	const struct volume_request req = {.name = w->source,
		.driver = w->driver,
		.labels = yyjson_obj_get(options, "Labels"),
		.options = yyjson_obj_get(yyjson_obj_get(options, "DriverConfig"), "Options"),
		.maker = m->id};
	struct volume v = {0};
	char path[4096];
	int r = volume_make(m->en, &req, &v, e);

	if (r < 0)
		return r;
	volume_path(m->en, v.name, path, sizeof(path));
	yyjson_mut_obj_add_strcpy(m->doc, o, "Name", v.name);
	yyjson_mut_obj_add_strcpy(m->doc, o, "Source", path);
	yyjson_mut_obj_add_str(m->doc, o, "Driver", "local");
	/* What Docker shows for a label that nobody set. */
	yyjson_mut_obj_add_strcpy(m->doc, o, "Mode", !w->mode[0] && with_mode ? "z" : w->mode);
	yyjson_mut_obj_add_bool(m->doc, o, MOUNTPOINT_ANONYMOUS, !w->source[0]);
	volume_free(&v);
	return 0;
}

static int find_image(
	struct making *m, const struct mount_wish *w, yyjson_mut_val *o, struct err *e)
{
	char id[IMAGE_ID_BYTES];
	int r = image_store_find(&m->en->images, w->source, id, e);

	if (r < 0)
		return r;
	yyjson_mut_obj_add_strcpy(m->doc, o, "Source", w->source);
	yyjson_mut_obj_add_str(m->doc, o, "Mode", "");
	yyjson_mut_obj_add_strcpy(m->doc, o, MOUNTPOINT_IMAGE, id);
	return 0;
}

/* One entry as it stands on the record. */
static int print(struct making *m, size_t i, struct err *e)
{
	const struct mount_wish *w = &m->entries[i].wish;
	yyjson_mut_val *o = m->entries[i].other;
	int r = 0;

	if (o) {
		yyjson_mut_arr_append(m->list, o);
		return 0;
	}
	o = yyjson_mut_arr_add_obj(m->doc, m->list);
	yyjson_mut_obj_add_str(m->doc, o, "Type", mount_kind_name(w->kind));
	if (w->kind == MOUNT_KIND_VOLUME) {
		r = make_volume(m, w, m->entries[i].explicit, o, e);
	} else if (w->kind == MOUNT_KIND_IMAGE) {
		r = find_image(m, w, o, e);
	} else {
		yyjson_mut_obj_add_strcpy(m->doc, o, "Source", w->source);
		yyjson_mut_obj_add_strcpy(m->doc, o, "Mode", w->mode);
	}
	yyjson_mut_obj_add_strcpy(m->doc, o, "Destination", w->destination);
	yyjson_mut_obj_add_bool(m->doc, o, "RW", w->writable);
	yyjson_mut_obj_add_strcpy(m->doc, o, "Propagation", w->propagation);
	yyjson_mut_obj_add_bool(m->doc, o, MOUNTPOINT_COPY, w->copy);
	yyjson_mut_obj_add_bool(m->doc, o, MOUNTPOINT_MAKE, w->make_source);
	if (w->spec)
		yyjson_mut_obj_add_val(
			m->doc, o, MOUNTPOINT_SPEC, yyjson_val_mut_copy(m->doc, w->spec));
	return r;
}

static int make_list(struct making *m, struct err *e)
{
	yyjson_val *item;
	size_t i, n;
	int r = check_tmpfs(m->host, e);

	yyjson_arr_foreach (yyjson_obj_get(m->host, "VolumesFrom"), i, n, item)
		if (r == 0)
			r = add_from(m, yyjson_get_str(item), e);
	if (r == 0)
		r = add_binds(m, e);
	if (r == 0)
		r = add_config(m, e);
	for (size_t k = 0; r == 0 && k < m->n; k++)
		r = print(m, k, e);
	return r;
}

yyjson_doc *mountpoints_add(struct engine *en, const char *id, yyjson_doc *record, struct err *e)
{
	struct making *m = calloc(1, sizeof(*m));
	yyjson_doc *whole = NULL;
	int r;

	if (!m) {
		yyjson_doc_free(record);
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	m->en = en;
	m->id = id;
	m->config = yyjson_obj_get(yyjson_doc_get_root(record), "Config");
	m->host = yyjson_obj_get(yyjson_doc_get_root(record), "HostConfig");
	m->doc = yyjson_doc_mut_copy(record, NULL);
	m->list = yyjson_mut_arr(m->doc);
	r = m->list ? make_list(m, e) : err_set(e, ENOMEM, "out of memory");
	if (r == 0) {
		yyjson_mut_obj_add_val(
			m->doc, yyjson_mut_doc_get_root(m->doc), MOUNTPOINTS, m->list);
		whole = yyjson_mut_doc_imut_copy(m->doc, NULL);
		if (!whole)
			err_set(e, ENOMEM, "out of memory");
	}
	yyjson_mut_doc_free(m->doc);
	arena_free(&m->arena);
	free(m);
	yyjson_doc_free(record);
	return whole;
}
