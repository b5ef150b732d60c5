#include "runtime/image/manifest.h"

#include "runtime/image/limits.h"

#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct media_type media_types[] = {
	{"application/vnd.oci.image.index.v1+json", MEDIA_INDEX, PACKING_ANY},
	{"application/vnd.docker.distribution.manifest.list.v2+json", MEDIA_INDEX, PACKING_ANY},
	{"application/vnd.oci.image.manifest.v1+json", MEDIA_MANIFEST, PACKING_ANY},
	{"application/vnd.docker.distribution.manifest.v2+json", MEDIA_MANIFEST, PACKING_ANY},
	{"application/vnd.oci.image.config.v1+json", MEDIA_CONFIG, PACKING_ANY},
	{"application/vnd.docker.container.image.v1+json", MEDIA_CONFIG, PACKING_ANY},
	{"application/vnd.oci.image.layer.v1.tar", MEDIA_LAYER, PACKING_NONE},
	{"application/vnd.oci.image.layer.v1.tar+gzip", MEDIA_LAYER, PACKING_GZIP},
	{"application/vnd.oci.image.layer.v1.tar+zstd", MEDIA_LAYER, PACKING_ZSTD},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar", MEDIA_LAYER, PACKING_NONE},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", MEDIA_LAYER, PACKING_GZIP},
	{"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", MEDIA_LAYER, PACKING_ZSTD},
	{"application/vnd.docker.image.rootfs.diff.tar", MEDIA_LAYER, PACKING_NONE},
	{"application/vnd.docker.image.rootfs.diff.tar.gzip", MEDIA_LAYER, PACKING_GZIP},
	{"application/vnd.docker.image.rootfs.diff.tar.zstd", MEDIA_LAYER, PACKING_ZSTD},
	{"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER, PACKING_GZIP},
};

const struct media_type *media_type_find(const char *name)
{
	for (size_t i = 0; i < COUNT(media_types); i++) {
		if (strcmp(media_types[i].name, name) == 0)
			return &media_types[i];
	}
	return NULL;
}

static int check_media(const struct json_at *at, void *out, struct err *e)
{
	struct descriptor *d = out;

	(void)at;
	(void)e;
	d->media = media_type_find(d->media_name);
	return 0;
}

static int check_digest(const struct json_at *at, void *out, struct err *e)
{
	struct descriptor *d = out;
	int r = digest_parse(d->digest_text, &d->digest);

	if (r == -ENOTSUP)
		return json_err(at, ENOTSUP, e, "unknown algorithm in \"%.80s\"", d->digest_text);
	if (r < 0)
		return json_err(at, EINVAL, e, "\"%.80s\" is no digest", d->digest_text);
	return 0;
}

static int read_platform(const struct json_at *at, void *out, struct err *e)
{
	static const struct json_field fields[] = {
		{"os", JSON_STR, NULL, offsetof(struct descriptor, os), 0},
		{"architecture", JSON_STR, NULL, offsetof(struct descriptor, architecture), 0},
	};

	return json_object(at, fields, COUNT(fields), out, e);
}

static int read_annotations(const struct json_at *at, void *out, struct err *e)
{
	static const struct json_field fields[] = {
		{"org.opencontainers.image.ref.name", JSON_STR, NULL,
			offsetof(struct descriptor, ref_name), 0},
		{"io.containerd.image.name", JSON_STR, NULL, offsetof(struct descriptor, full_name),
			0},
	};

	return json_object(at, fields, COUNT(fields), out, e);
}

static int read_descriptor(const struct json_at *at, void *out, struct err *e)
{
	static const struct json_field fields[] = {
		{"mediaType", JSON_STR, check_media, offsetof(struct descriptor, media_name),
			JSON_REQUIRED},
		{"digest", JSON_STR, check_digest, offsetof(struct descriptor, digest_text),
			JSON_REQUIRED},
		{"size", JSON_OPT_U64, NULL, offsetof(struct descriptor, size), JSON_REQUIRED},
		{"platform", JSON_OBJECT, read_platform, 0, 0},
		{"annotations", JSON_OBJECT, read_annotations, 0, 0},
	};

	return json_object(at, fields, COUNT(fields), out, e);
}

int descriptor_fits(const struct descriptor *d, const struct platform *want)
{
	return (!d->os || strcmp(d->os, want->os) == 0) &&
	       (!d->architecture || strcmp(d->architecture, want->architecture) == 0);
}

int descriptor_named(const struct descriptor *d, const char *ref)
{
	const char *tag = reference_tag(ref);

	if (strcmp(d->digest.text, ref) == 0)
		return 2;
	if (d->full_name && reference_same(d->full_name, ref))
		return 2;
	if (d->ref_name && (strcmp(d->ref_name, ref) == 0 || reference_same(d->ref_name, ref)))
		return 2;
	/* A layout written by umoci or skopeo keeps the tag only. */
	return !d->full_name && d->ref_name && tag && strcmp(d->ref_name, tag) == 0;
}

static int read_manifests(const struct json_at *at, void *out, struct err *e)
{
	struct index *index = out;
	void *items;
	int r;

	if (yyjson_arr_size(at->val) > IMAGE_MANIFESTS_MAX)
		return json_err(at, EFBIG, e, "more than %d of them", IMAGE_MANIFESTS_MAX);
	r = json_array(
		at, sizeof(struct descriptor), read_descriptor, &items, &index->n_manifests, e);
	if (r == 0)
		index->manifests = items;
	return r;
}

int index_read(const struct document *doc, struct index *ret, struct err *e)
{
	static const struct json_field fields[] = {
		{"manifests", JSON_ARRAY, read_manifests, 0, JSON_REQUIRED},
	};

	*ret = (struct index){0};
	return json_object(&doc->root, fields, COUNT(fields), ret, e);
}

static int check_schema(const struct json_at *at, void *out, struct err *e)
{
	(void)out;
	if (yyjson_get_uint(at->val) != 2)
		return json_err(at, ENOTSUP, e, "only 2 is known");
	return 0;
}

static int read_config(const struct json_at *at, void *out, struct err *e)
{
	struct manifest *m = out;
	int r = read_descriptor(at, &m->config, e);

	if (r == 0 && (!m->config.media || m->config.media->kind != MEDIA_CONFIG))
		return json_err(at, ENOTSUP, e, "media type \"%.120s\" is no image config",
			m->config.media_name);
	return r;
}

static int read_layer(const struct json_at *at, void *out, struct err *e)
{
	struct descriptor *d = out;
	int r = read_descriptor(at, d, e);

	if (r == 0 && (!d->media || d->media->kind != MEDIA_LAYER))
		return json_err(
			at, ENOTSUP, e, "unknown layer media type \"%.120s\"", d->media_name);
	return r;
}

static int check_layer_count(const struct json_at *at, struct err *e)
{
	if (yyjson_arr_size(at->val) > IMAGE_LAYERS_MAX)
		return json_err(at, EFBIG, e, "more than %d of them", IMAGE_LAYERS_MAX);
	return 0;
}

static int read_layers(const struct json_at *at, void *out, struct err *e)
{
	struct manifest *m = out;
	void *items;
	int r = check_layer_count(at, e);

	if (r == 0)
		r = json_array(at, sizeof(struct descriptor), read_layer, &items, &m->n_layers, e);
	if (r == 0)
		m->layers = items;
	return r;
}

int manifest_read(const struct document *doc, struct manifest *ret, struct err *e)
{
	static const struct json_field fields[] = {
		{"schemaVersion", JSON_ANY, check_schema, 0, JSON_REQUIRED},
		{"config", JSON_OBJECT, read_config, 0, JSON_REQUIRED},
		{"layers", JSON_ARRAY, read_layers, 0, JSON_REQUIRED},
	};

	*ret = (struct manifest){0};
	return json_object(&doc->root, fields, COUNT(fields), ret, e);
}

static int read_saved_layers(const struct json_at *at, void *out, struct err *e)
{
	struct saved_image *s = out;
	int r = check_layer_count(at, e);

	return r < 0 ? r : json_strv(at, &s->layers, e);
}

static int read_saved_image(const struct json_at *at, void *out, struct err *e)
{
	static const struct json_field fields[] = {
		{"Config", JSON_STR, NULL, offsetof(struct saved_image, config), JSON_REQUIRED},
		{"RepoTags", JSON_STRV, NULL, offsetof(struct saved_image, tags), 0},
		{"Layers", JSON_ARRAY, read_saved_layers, 0, JSON_REQUIRED},
	};

	return json_object(at, fields, COUNT(fields), out, e);
}

int saved_images_read(
	const struct document *doc, struct saved_image **ret, size_t *ret_n, struct err *e)
{
	void *items;
	int r = json_array(&doc->root, sizeof(**ret), read_saved_image, &items, ret_n, e);

	if (r == 0)
		*ret = items;
	return r;
}
