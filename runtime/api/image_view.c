/* Images as the API shows them: inspect, history. */
#include "runtime/api/image_view.h"

#include "runtime/api/routes.h"
#include "runtime/engine/logfile.h"
#include "runtime/engine/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool image_is_digest_name(const char *name)
{
	return strchr(name, '@') != NULL;
}

yyjson_mut_val *image_names(yyjson_mut_doc *doc, const struct image_record *r, bool digests)
{
	yyjson_mut_val *arr = yyjson_mut_arr(doc);

	for (size_t i = 0; i < r->n_names; i++)
		if (image_is_digest_name(r->names[i]) == digests)
			yyjson_mut_arr_add_strcpy(doc, arr, r->names[i]);
	return arr;
}

int64_t image_time_ns(const char *text)
{
	struct tm tm = {0};
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int64_t ns = 0;
	int64_t secs;
	long hours, minutes;

	if (!rest)
		return 0;
	if (*rest == '.') {
		int64_t unit = 100000000;

		for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
			ns += (*rest - '0') * unit;
	}
	secs = timegm(&tm);
	if ((*rest == '+' || *rest == '-') && sscanf(rest + 1, "%2ld:%2ld", &hours, &minutes) == 2)
		secs -= (*rest == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
	return secs * 1000000000 + ns;
}

yyjson_val *image_field(const struct image_record *r, const char *key)
{
	return yyjson_obj_get(yyjson_doc_get_root(r->config_doc.doc), key);
}

yyjson_val *image_config_of(const struct image_record *r)
{
	return image_field(r, "config");
}

int64_t image_count_users(struct call *c, const char *image)
{
	struct container **list = container_list(c->engine);
	int64_t n = 0;

	for (size_t i = 0; list && list[i]; i++) {
		n += strcmp(container_image(list[i]), image) == 0;
		container_put(list[i]);
	}
	free(list);
	return n;
}

/* What the image says of itself or, if that is nothing, its last history entry. */
static const char *comment_of(const struct image_record *r)
{
	const char *own = yyjson_get_str(image_field(r, "comment"));
	yyjson_val *last = yyjson_arr_get_last(image_field(r, "history"));

	return own && own[0] ? own : spec_str(last, "comment");
}

static void add_rootfs(yyjson_mut_doc *doc, yyjson_mut_val *top, const struct image_record *r)
{
	yyjson_mut_val *rootfs = yyjson_mut_obj_add_obj(doc, top, "RootFS");
	yyjson_mut_val *layers;

	yyjson_mut_obj_add_str(doc, rootfs, "Type", "layers");
	layers = yyjson_mut_obj_add_arr(doc, rootfs, "Layers");
	for (size_t i = 0; i < r->config.n_diff_ids; i++)
		yyjson_mut_arr_add_strcpy(doc, layers, r->config.diff_ids[i].text);
}

/* A text of the config's; Docker leaves some out where they are empty. */
static void add_text(yyjson_mut_doc *doc, yyjson_mut_val *top, const struct image_record *r,
	const char *shown, const char *key, bool always)
{
	const char *value = yyjson_get_str(image_field(r, key));

	if (always || (value && value[0]))
		yyjson_mut_obj_add_strcpy(doc, top, shown, value ? value : "");
}

static yyjson_mut_doc *make_inspect(const struct call *c, const struct image_record *r)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_val *config = image_config_of(r);
	yyjson_mut_val *sub;
	char tagged[40];

	time_print(r->tagged_ns, tagged, sizeof(tagged));
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_strcpy(doc, top, "Id", r->id);
	yyjson_mut_obj_add_val(doc, top, "RepoTags", image_names(doc, r, false));
	yyjson_mut_obj_add_val(doc, top, "RepoDigests", image_names(doc, r, true));
	yyjson_mut_obj_add_str(doc, top, "Parent", "");
	yyjson_mut_obj_add_strcpy(doc, top, "Comment", comment_of(r));
	add_text(doc, top, r, "Created", "created", c->minor < 44);
	/* Gone from the API with 1.45. */
	if (c->minor < 45)
		add_text(doc, top, r, "Container", "container", true);
	add_text(doc, top, r, "DockerVersion", "docker_version", true);
	add_text(doc, top, r, "Author", "author", true);
	yyjson_mut_obj_add_val(doc, top, "Config",
		config ? yyjson_val_mut_copy(doc, config) : yyjson_mut_obj(doc));
	add_text(doc, top, r, "Architecture", "architecture", true);
	add_text(doc, top, r, "Variant", "variant", false);
	add_text(doc, top, r, "Os", "os", true);
	add_text(doc, top, r, "OsVersion", "os.version", false);
	yyjson_mut_obj_add_int(doc, top, "Size", r->size);
	if (c->minor < 44)
		yyjson_mut_obj_add_int(doc, top, "VirtualSize", r->size);
	sub = yyjson_mut_obj_add_obj(doc, top, "GraphDriver");
	yyjson_mut_obj_add_null(doc, sub, "Data");
	yyjson_mut_obj_add_str(doc, sub, "Name", "overlay2");
	add_rootfs(doc, top, r);
	sub = yyjson_mut_obj_add_obj(doc, top, "Metadata");
	yyjson_mut_obj_add_strcpy(doc, sub, "LastTagTime", tagged);
	return doc;
}

/* The image that the route names; image_record_free. */
static int find_image(struct call *c, struct image_record *ret, struct err *e)
{
	char id[IMAGE_ID_BYTES];
	int r = image_store_find(&c->engine->images, c->params[0], id, e);

	return r < 0 ? r : image_store_get(&c->engine->images, id, ret, e);
}

int api_image_inspect(struct call *c, struct err *e)
{
	struct image_record image;
	int r = find_image(c, &image, e);

	if (r < 0)
		return r;
	r = call_reply(c, 200, make_inspect(c, &image), e);
	image_record_free(&image);
	return r;
}

/* One step of an image's making. @id: NULL: Docker's "<missing>" */
static yyjson_mut_val *make_step(yyjson_mut_doc *doc, yyjson_val *entry, int64_t size,
	const struct image_record *image, bool top)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	yyjson_mut_val *tags = top ? image_names(doc, image, false) : NULL;

	yyjson_mut_obj_add_strcpy(doc, o, "Id", top ? image->id : "<missing>");
	yyjson_mut_obj_add_int(
		doc, o, "Created", image_time_ns(spec_str(entry, "created")) / 1000000000);
	yyjson_mut_obj_add_strcpy(doc, o, "CreatedBy", spec_str(entry, "created_by"));
	yyjson_mut_obj_add_val(
		doc, o, "Tags", yyjson_mut_arr_size(tags) ? tags : yyjson_mut_null(doc));
	yyjson_mut_obj_add_int(doc, o, "Size", size);
	yyjson_mut_obj_add_strcpy(doc, o, "Comment", spec_str(entry, "comment"));
	return o;
}

static yyjson_mut_doc *make_history(
	const struct image_record *image, const int64_t *sizes, size_t n)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *arr = yyjson_mut_arr(doc);
	yyjson_val *history = image_field(image, "history");
	size_t last = yyjson_arr_size(history);
	size_t full = 0;
	size_t layer;
	yyjson_val *entry;
	size_t i, count;

	yyjson_mut_doc_set_root(doc, arr);
	yyjson_arr_foreach (history, i, count, entry)
		full += !yyjson_get_bool(yyjson_obj_get(entry, "empty_layer"));
	/* A history that knows of the upper layers only. */
	layer = n > full ? n - full : 0;
	yyjson_arr_foreach (history, i, count, entry) {
		bool empty = yyjson_get_bool(yyjson_obj_get(entry, "empty_layer"));
		int64_t size = !empty && layer < n ? sizes[layer++] : 0;

		yyjson_mut_arr_prepend(arr, make_step(doc, entry, size, image, i + 1 == last));
	}
	return doc;
}

int api_image_history(struct call *c, struct err *e)
{
	struct image_record image;
	int64_t *sizes = NULL;
	size_t n = 0;
	int r = find_image(c, &image, e);

	if (r < 0)
		return r;
	r = image_store_layer_sizes(&c->engine->images, image.id, &sizes, &n, e);
	if (r == 0)
		r = call_reply(c, 200, make_history(&image, sizes, n), e);
	free(sizes);
	image_record_free(&image);
	return r;
}
