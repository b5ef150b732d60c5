/* Images: list, prune. */
#include "runtime/api/filters.h"
#include "runtime/api/image_view.h"
#include "runtime/api/routes.h"
#include "runtime/api/summaries.h"

#include "runtime/engine/commit.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A filter on images, as far as it needs more than the image at hand. */
struct image_filter {
	struct filters f;
	int64_t since_ns; /* of creation: later than this; INT64_MIN: any */
	int64_t before_ns;
	bool any_dangling; /* no filter of that name */
	bool dangling;
};

struct pattern {
	const struct image_record *r;
};

/* "debian", "debian:12", "deb*": a filter's pattern for references, as path.Match has it. */
static bool reference_fits(void *arg, const char *pattern)
{
	const struct pattern *p = arg;

	for (size_t i = 0; i < p->r->n_names; i++) {
		const char *name = p->r->names[i];
		size_t repository = strcspn(name, "@");
		const char *tag = strrchr(name, ':');
		char bare[REFERENCE_BYTES_MAX];

		if (!image_is_digest_name(name) && tag && !strchr(tag, '/'))
			repository = (size_t)(tag - name);
		(void)snprintf(bare, sizeof(bare), "%.*s", (int)repository, name);
		if (fnmatch(pattern, name, FNM_PATHNAME) == 0 ||
			fnmatch(pattern, bare, FNM_PATHNAME) == 0)
			return true;
	}
	return false;
}

/* Go's truth, as far as Docker's clients write it. */
static int read_dangling(struct image_filter *filter, struct err *e)
{
	static const char *const words[] = {"true", "1", "false", "0"};

	filter->any_dangling = !filters_have(&filter->f, "dangling");
	if (filter->any_dangling)
		return 0;
	for (size_t i = 0; i < 4; i++) {
		if (filters_match(&filter->f, "dangling", words[i])) {
			filter->dangling = i < 2;
			return 0;
		}
	}
	return err_set(e, EINVAL, "invalid filter 'dangling'");
}

/* A point in time: RFC 3339, seconds since 1970, or a duration before now. */
static int64_t parse_until(const char *text)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"ms", 1e6}, {"h", 3600e9}, {"m", 60e9}, {"s", 1e9}};
	double ago = 0;
	char *end;

	if (strchr(text, 'T') || strlen(text) == 10 ? strchr(text, '-') != NULL : false) {
		char whole[64];

		(void)snprintf(whole, sizeof(whole), "%.40s%s", text,
			strchr(text, 'T') ? "" : "T00:00:00Z");
		return image_time_ns(whole);
	}
	while (*text) {
		double value = strtod(text, &end);
		size_t i = 0;

		if (end == text || value < 0 || value > 1e12)
			return 0;
		if (!*end)
			return ago > 0 ? 0 : (int64_t)(value * 1e9);
		while (i < 4 && strncmp(end, units[i].unit, strlen(units[i].unit)) != 0)
			i++;
		if (i == 4)
			return 0;
		ago += value * units[i].ns;
		text = end + strlen(units[i].unit);
	}
	return ago > 0 ? realtime_ns() - (int64_t)ago : 0;
}

struct limits {
	struct call *c;
	struct image_filter *filter;
	int r;
	struct err *e;
};

static bool note_until(void *arg, const char *value)
{
	struct limits *l = arg;
	int64_t at = parse_until(value);

	if (at == 0)
		l->r = err_set(l->e, EINVAL, "invalid filter 'until': \"%.64s\" is no time", value);
	else if (at < l->filter->before_ns)
		l->filter->before_ns = at;
	return l->r < 0;
}

/* When the image @ref was made. */
static int64_t time_of(struct limits *l, const char *ref)
{
	struct image_store *images = &l->c->engine->images;
	struct image_record image;
	char id[IMAGE_ID_BYTES];
	int64_t ns;

	l->r = image_store_find(images, ref, id, l->e);
	if (l->r == 0)
		l->r = image_store_get(images, id, &image, l->e);
	if (l->r < 0)
		return 0;
	ns = image_time_ns(image.config.created);
	image_record_free(&image);
	return ns;
}

static bool note_before(void *arg, const char *value)
{
	struct limits *l = arg;
	int64_t ns = time_of(l, value);

	if (l->r == 0 && ns < l->filter->before_ns)
		l->filter->before_ns = ns;
	return l->r < 0;
}

static bool note_since(void *arg, const char *value)
{
	struct limits *l = arg;
	int64_t ns = time_of(l, value);

	if (l->r == 0 && ns > l->filter->since_ns)
		l->filter->since_ns = ns;
	return l->r < 0;
}

static int read_filter(
	struct image_filter *filter, struct call *c, const char *const *known, struct err *e)
{
	struct limits l = {c, filter, 0, e};
	int r = filters_read(&filter->f, c, known, e);

	if (r < 0)
		return r;
	filter->since_ns = INT64_MIN;
	filter->before_ns = INT64_MAX;
	r = read_dangling(filter, e);
	if (r == 0 && filters_have(&filter->f, "until"))
		(void)filters_any(&filter->f, "until", note_until, &l);
	if (r == 0 && l.r == 0 && filters_have(&filter->f, "before"))
		(void)filters_any(&filter->f, "before", note_before, &l);
	if (r == 0 && l.r == 0 && filters_have(&filter->f, "since"))
		(void)filters_any(&filter->f, "since", note_since, &l);
	r = r < 0 ? r : l.r;
	if (r < 0)
		filters_free(&filter->f);
	return r;
}

static bool has_tag(const struct image_record *r)
{
	for (size_t i = 0; i < r->n_names; i++)
		if (!image_is_digest_name(r->names[i]))
			return true;
	return false;
}

static bool image_fits(const struct image_filter *filter, const struct image_record *image)
{
	yyjson_val *labels = yyjson_obj_get(image_config_of(image), "Labels");
	int64_t created = image_time_ns(image->config.created);
	struct pattern p = {image};
	void *arg = &p;

	return created > filter->since_ns && created < filter->before_ns &&
	       (filter->any_dangling || filter->dangling == !has_tag(image)) &&
	       filters_labels(&filter->f, "label", labels) &&
	       !(filters_have(&filter->f, "label!") &&
		       filters_labels(&filter->f, "label!", labels)) &&
	       filters_any(&filter->f, "reference", reference_fits, arg);
}

static void add_names(
	struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *o, const struct image_record *r)
{
	yyjson_mut_val *digests = image_names(doc, r, true);
	yyjson_mut_val *tags = image_names(doc, r, false);

	/* Of old an image without a name had this one. */
	if (c->minor < 43 && r->n_names == 0) {
		yyjson_mut_arr_add_str(doc, digests, "<none>@<none>");
		yyjson_mut_arr_add_str(doc, tags, "<none>:<none>");
	}
	yyjson_mut_obj_add_val(doc, o, "RepoDigests", digests);
	yyjson_mut_obj_add_val(doc, o, "RepoTags", tags);
}

yyjson_mut_val *image_summary(
	struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *arr, const struct image_record *r)
{
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, arr);
	yyjson_val *labels = yyjson_obj_get(image_config_of(r), "Labels");
	struct err ignored = {0};
	int64_t shared = -1;

	if (query_bool(&c->query, "shared-size", false))
		shared = image_store_shared_size(&c->engine->images, r->id, &ignored);
	yyjson_mut_obj_add_int(
		doc, o, "Containers", c->minor >= 51 ? image_count_users(c, r->id) : -1);
	yyjson_mut_obj_add_int(doc, o, "Created", image_time_ns(r->config.created) / 1000000000);
	yyjson_mut_obj_add_strcpy(doc, o, "Id", r->id);
	yyjson_mut_obj_add_val(
		doc, o, "Labels", labels ? yyjson_val_mut_copy(doc, labels) : yyjson_mut_null(doc));
	yyjson_mut_obj_add_str(doc, o, "ParentId", "");
	add_names(c, doc, o, r);
	yyjson_mut_obj_add_int(doc, o, "SharedSize", shared < 0 ? -1 : shared);
	yyjson_mut_obj_add_int(doc, o, "Size", r->size);
	if (c->minor < 44)
		yyjson_mut_obj_add_int(doc, o, "VirtualSize", r->size);
	return o;
}

/* Call @fn with each image that fits. */
static int each_image(struct call *c, const struct image_filter *filter,
	void (*fn)(struct call *c, const struct image_record *image, void *arg), void *arg,
	struct err *e)
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
			if (image_fits(filter, &image))
				fn(c, &image, arg);
			image_record_free(&image);
		}
		free(ids[i]);
	}
	free(ids);
	return 0;
}

struct listing {
	yyjson_mut_doc *doc;
	yyjson_mut_val *arr;
	int64_t bytes; /* reclaimed */
};

static void list_one(struct call *c, const struct image_record *image, void *arg)
{
	struct listing *l = arg;

	(void)image_summary(c, l->doc, l->arr, image);
}

int api_image_list(struct call *c, struct err *e)
{
	static const char *const known[] = {
		"before", "dangling", "label", "label!", "reference", "since", "until", NULL};
	struct image_filter filter = {0};
	struct listing l = {0};
	int r = read_filter(&filter, c, known, e);

	if (r < 0)
		return r;
	l.doc = yyjson_mut_doc_new(NULL);
	l.arr = yyjson_mut_arr(l.doc);
	yyjson_mut_doc_set_root(l.doc, l.arr);
	r = each_image(c, &filter, list_one, &l, e);
	filters_free(&filter.f);
	if (r < 0) {
		yyjson_mut_doc_free(l.doc);
		return r;
	}
	return call_reply(c, 200, l.doc, e);
}

/* Bytes that go with an image: of the layers that no other has. */
static void prune_one(struct call *c, const struct image_record *image, void *arg)
{
	struct listing *l = arg;
	struct err ignored = {0};
	int64_t shared;

	if (image_count_users(c, image->id) > 0)
		return;
	shared = image_store_shared_size(&c->engine->images, image->id, &ignored);
	if (image_delete(c, image, l->doc, l->arr, &ignored) == 0)
		l->bytes += image->size - (shared < 0 ? 0 : shared);
}

int api_image_prune(struct call *c, struct err *e)
{
	static const char *const known[] = {"dangling", "label", "label!", "until", NULL};
	struct image_filter filter = {0};
	struct listing l = {0};
	yyjson_mut_doc *attributes;
	yyjson_mut_val *top, *told;
	char bytes[24];
	int r = read_filter(&filter, c, known, e);

	if (r < 0)
		return r;
	/* By default those without a name; dangling=false means all that no container is of. */
	filter.any_dangling = !filter.any_dangling && !filter.dangling;
	filter.dangling = true;
	l.doc = yyjson_mut_doc_new(NULL);
	l.arr = yyjson_mut_arr(l.doc);
	r = each_image(c, &filter, prune_one, &l, e);
	filters_free(&filter.f);
	if (r < 0) {
		yyjson_mut_doc_free(l.doc);
		return r;
	}
	attributes = yyjson_mut_doc_new(NULL);
	told = yyjson_mut_obj(attributes);
	(void)snprintf(bytes, sizeof(bytes), "%lld", (long long)l.bytes);
	yyjson_mut_obj_add_str(attributes, told, "reclaimed", bytes);
	events_tell(&c->engine->events, "image", "prune", "", told);
	yyjson_mut_doc_free(attributes);
	top = yyjson_mut_obj(l.doc);
	yyjson_mut_doc_set_root(l.doc, top);
	yyjson_mut_obj_add_val(l.doc, top, "ImagesDeleted",
		yyjson_mut_arr_size(l.arr) ? l.arr : yyjson_mut_null(l.doc));
	yyjson_mut_obj_add_int(l.doc, top, "SpaceReclaimed", l.bytes);
	return call_reply(c, 200, l.doc, e);
}
