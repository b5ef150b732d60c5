#include "runtime/image/image.h"

#include "runtime/image/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What there is to choose from, for the error when the choice fails. */
struct names {
	char text[256];
};

static void names_add(struct names *names, const char *name)
{
	size_t used = strlen(names->text);

	snprintf(names->text + used, sizeof(names->text) - used, "%s%s", used ? ", " : "", name);
}

/* The best manifest found so far. */
struct choice {
	const char *ref;
	const struct platform *platform;
	struct digest digest;
	uint64_t size;
	int score;   /* of the name; 0 while none was found */
	int several; /* others are as good */
	struct names names;
	struct names platforms;
	unsigned seen;
};

/* Read a JSON blob and compare it with its descriptor. */
static int read_verified(const struct image_source *source, const struct digest *digest,
	uint64_t size, char **ret_text, size_t *ret_len, struct err *e)
{
	char name[DIGEST_TEXT_BYTES + 8];
	char *text;
	size_t len;
	int r;

	digest_blob_path(digest, name, sizeof(name));
	r = image_source_read(source, name, &text, &len, e);
	if (r < 0)
		return r;
	if (len != size)
		r = err_set(e, EBADMSG, "%s: has %zu bytes, its descriptor says %llu", name, len,
			(unsigned long long)size);
	else if (digest_matches(digest, text, len) != 1)
		r = err_set(e, EBADMSG, "%s: content does not match its digest", name);
	if (r < 0) {
		free(text);
		return r;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static void consider(struct choice *c, const struct descriptor *d, int score)
{
	char platform[64];

	snprintf(platform, sizeof(platform), "%s/%s", d->os ? d->os : "?",
		d->architecture ? d->architecture : "?");
	if (!descriptor_fits(d, c->platform)) {
		names_add(&c->platforms, platform);
		return;
	}
	if (score < c->score)
		return;
	if (score == c->score) {
		c->several |= strcmp(d->digest.text, c->digest.text) != 0;
		return;
	}
	c->digest = d->digest;
	c->size = d->size.v;
	c->score = score;
	c->several = 0;
}

static int choose(struct choice *c, const struct image_source *source, const struct document *doc,
	unsigned depth, int parent_score, struct err *e)
{
	struct index index;
	int r = index_read(doc, &index, e);

	for (size_t i = 0; r == 0 && i < index.n_manifests; i++) {
		const struct descriptor *d = &index.manifests[i];
		struct document nested;
		int score = parent_score;
		char *text;
		size_t len;

		if (++c->seen > IMAGE_MANIFESTS_MAX)
			return err_set(e, EFBIG, "more than %d manifests", IMAGE_MANIFESTS_MAX);
		if (d->ref_name || d->full_name)
			names_add(&c->names, d->full_name ? d->full_name : d->ref_name);
		if (c->ref && descriptor_named(d, c->ref) > score)
			score = descriptor_named(d, c->ref);
		if (!c->ref)
			score = 1;
		if (d->media && d->media->kind == MEDIA_MANIFEST && score > 0)
			consider(c, d, score);
		if (!d->media || d->media->kind != MEDIA_INDEX || !descriptor_fits(d, c->platform))
			continue;
		if (depth == IMAGE_INDEX_DEPTH_MAX)
			return err_set(
				e, ELOOP, "indexes nested deeper than %d", IMAGE_INDEX_DEPTH_MAX);
		r = read_verified(source, &d->digest, d->size.v, &text, &len, e);
		if (r == 0)
			r = document_parse(&nested, text, len, "index", e);
		if (r < 0)
			return r;
		r = choose(c, source, &nested, depth + 1, score, e);
		document_free(&nested);
	}
	return r;
}

static int check_choice(const struct choice *c, struct err *e)
{
	if (c->several)
		return err_set(e, EINVAL, "holds several images, name one: %s", c->names.text);
	if (c->score > 0)
		return 0;
	if (c->platforms.text[0])
		return err_set(e, ENOENT, "has no image for %s/%s, only for %s", c->platform->os,
			c->platform->architecture, c->platforms.text);
	if (c->ref)
		return err_set(e, ENOENT, "has no image named %s; it holds: %s", c->ref,
			c->names.text[0] ? c->names.text : "none with a name");
	return err_set(e, ENOENT, "has no image manifest");
}

static int check_layout(const struct image_source *source, struct err *e)
{
	static const struct json_field fields[] = {
		{"imageLayoutVersion", JSON_STR, NULL, 0, JSON_REQUIRED},
	};
	const char *version = NULL;
	struct document doc;
	char *text;
	size_t len;
	int r = image_source_read(source, "oci-layout", &text, &len, e);

	if (r < 0)
		return r;
	r = document_parse(&doc, text, len, "oci-layout", e);
	if (r < 0)
		return r;
	r = json_object(&doc.root, fields, 1, &version, e);
	if (r == 0 && strncmp(version, "1.", 2) != 0)
		r = err_set(e, ENOTSUP, "oci-layout: imageLayoutVersion: \"%.40s\" is not 1.x",
			version);
	document_free(&doc);
	return r;
}

/* as many layers as the config says */
#define LAYERS_AS_CONFIG SIZE_MAX

/* Take over the text of the config, and make room for the layers. */
static int take_config(struct image *image, char *text, size_t len, size_t n_layers, struct err *e)
{
	int r = digest_of(text, len, &image->id);

	/* Parsing changes the text. */
	image->config_text = strndup(text, len);
	if (r < 0 || !image->config_text) {
		free(text);
		return err_set(e, ENOMEM, "no memory for the image config");
	}
	r = document_parse(&image->config_doc, text, len, "image config", e);
	if (r < 0)
		return r;
	r = image_config_read(&image->config_doc, &image->config, e);
	if (r < 0)
		return err_wrap(e, "image config");
	if (n_layers == LAYERS_AS_CONFIG)
		n_layers = image->config.n_diff_ids;
	if (image->config.n_diff_ids != n_layers)
		return err_set(e, EINVAL,
			"image config: rootfs.diff_ids: %zu of them for %zu layers",
			image->config.n_diff_ids, n_layers);
	image->layers = calloc(n_layers + 1, sizeof(*image->layers));
	if (!image->layers)
		return err_set(e, ENOMEM, "no memory for %zu layers", n_layers);
	image->n_layers = n_layers;
	for (size_t i = 0; i < n_layers; i++)
		image->layers[i].diff_id = image->config.diff_ids[i];
	return 0;
}

int image_from_config(
	struct image *image, const char *text, size_t len, const char *layer, struct err *e)
{
	char *copy = malloc(len + YYJSON_PADDING_SIZE);
	int r;

	*image = (struct image){0};
	if (!copy)
		return err_set(e, ENOMEM, "no memory for the image config");
	memcpy(copy, text, len);
	r = take_config(image, copy, len, LAYERS_AS_CONFIG, e);
	for (size_t i = 0; r == 0 && i < image->n_layers; i++) {
		image->layers[i].packing = PACKING_ANY;
		image->layers[i].name = strdup(layer);
		if (!image->layers[i].name)
			r = err_set(e, ENOMEM, "no memory for layers");
	}
	if (r < 0)
		image_free(image);
	return r;
}

/* The image may be freed whatever this returns. */
static int fill_from_manifest(
	struct image *image, const struct manifest *m, char *text, size_t len, struct err *e)
{
	char name[DIGEST_TEXT_BYTES + 8];
	int r = take_config(image, text, len, m->n_layers, e);

	for (size_t i = 0; r == 0 && i < m->n_layers; i++) {
		struct image_layer *layer = &image->layers[i];

		layer->has_digest = 1;
		layer->digest = m->layers[i].digest;
		layer->size = m->layers[i].size.v;
		layer->packing = m->layers[i].media->packing;
		digest_blob_path(&layer->digest, name, sizeof(name));
		layer->name = strdup(name);
		if (!layer->name)
			r = err_set(e, ENOMEM, "no memory for layers");
	}
	return r;
}

int image_from_manifest(
	struct image *image, const struct manifest *m, char *text, size_t len, struct err *e)
{
	int r;

	*image = (struct image){0};
	r = fill_from_manifest(image, m, text, len, e);
	if (r < 0)
		image_free(image);
	return r;
}

static int load_manifest(struct image *image, const struct image_source *source,
	const struct document *doc, struct err *e)
{
	struct manifest m;
	char *text;
	size_t len;
	int r = manifest_read(doc, &m, e);

	if (r < 0)
		return err_wrap(e, "manifest");
	r = read_verified(source, &m.config.digest, m.config.size.v, &text, &len, e);
	return r < 0 ? r : fill_from_manifest(image, &m, text, len, e);
}

static int load_layout(struct image *image, const struct image_source *source, const char *ref,
	const struct platform *platform, struct err *e)
{
	struct choice c = {.ref = ref, .platform = platform};
	struct document doc;
	char *text;
	size_t len;
	int r = check_layout(source, e);

	if (r == 0)
		r = image_source_read(source, "index.json", &text, &len, e);
	if (r == 0)
		r = document_parse(&doc, text, len, "index.json", e);
	if (r < 0)
		return r;
	r = choose(&c, source, &doc, 0, 0, e);
	document_free(&doc);
	if (r < 0)
		return err_wrap(e, "index");
	r = check_choice(&c, e);
	if (r == 0)
		r = read_verified(source, &c.digest, c.size, &text, &len, e);
	if (r == 0)
		r = document_parse(&doc, text, len, "manifest", e);
	if (r < 0)
		return r;
	r = load_manifest(image, source, &doc, e);
	document_free(&doc);
	return r;
}

/* Returns the image that is meant, or NULL with @e filled. */
static const struct saved_image *choose_saved(
	const struct saved_image *images, size_t n, const char *ref, struct err *e)
{
	const struct saved_image *found = NULL;
	struct names names = {""};
	unsigned matches = 0;

	for (size_t i = 0; i < n; i++) {
		int named = !ref;

		for (size_t t = 0; t < images[i].tags.n; t++) {
			names_add(&names, images[i].tags.v[t]);
			named |= ref && reference_same(images[i].tags.v[t], ref);
		}
		if (named) {
			found = &images[i];
			matches++;
		}
	}
	if (matches == 1)
		return found;
	if (matches > 1)
		err_set(e, EINVAL, "holds several images, name one: %s", names.text);
	else if (ref)
		err_set(e, ENOENT, "has no image named %s; it holds: %s", ref,
			names.text[0] ? names.text : "none with a name");
	else
		err_set(e, ENOENT, "manifest.json lists no image");
	return NULL;
}

/* What docker and its kin write names the config by its digest, "HEX.json" or "blobs/sha256/HEX";
 * a name that is no digest claims nothing. */
static int check_config_name(const char *name, const char *text, size_t len, struct err *e)
{
	const char *slash = strrchr(name, '/');
	char wanted[DIGEST_TEXT_BYTES];
	struct digest digest;

	snprintf(wanted, sizeof(wanted), "sha256:%.64s", slash ? slash + 1 : name);
	if (digest_parse(wanted, &digest) == 0 && digest_matches(&digest, text, len) != 1)
		return err_set(e, EBADMSG, "%.100s: content does not match its digest", name);
	return 0;
}

/* Read manifest.json; after 0 the caller owes document_free, and the images belong to @doc. */
static int read_saved(const struct image_source *source, struct document *doc,
	struct saved_image **ret_images, size_t *ret_n, struct err *e)
{
	char *text;
	size_t len;
	int r = image_source_read(source, "manifest.json", &text, &len, e);

	if (r == 0)
		r = document_parse(doc, text, len, "manifest.json", e);
	if (r < 0)
		return r;
	r = saved_images_read(doc, ret_images, ret_n, e);
	if (r < 0) {
		document_free(doc);
		return err_wrap(e, "manifest.json");
	}
	return 0;
}

static int load_saved_image(struct image *image, const struct image_source *source,
	const struct saved_image *saved, struct err *e)
{
	char *text;
	size_t len;
	int r = image_source_read(source, saved->config, &text, &len, e);

	if (r == 0) {
		r = check_config_name(saved->config, text, len, e);
		if (r < 0)
			free(text);
	}
	if (r == 0)
		r = take_config(image, text, len, saved->layers.n, e);
	for (size_t i = 0; r == 0 && i < image->n_layers; i++) {
		image->layers[i].packing = PACKING_ANY;
		image->layers[i].name = strdup(saved->layers.v[i]);
		if (!image->layers[i].name)
			r = err_set(e, ENOMEM, "no memory for layers");
	}
	return r;
}

static int load_saved(
	struct image *image, const struct image_source *source, const char *ref, struct err *e)
{
	const struct saved_image *saved;
	struct saved_image *images;
	struct document doc;
	size_t n;
	int r = read_saved(source, &doc, &images, &n, e);

	if (r < 0)
		return r;
	saved = choose_saved(images, n, ref, e);
	r = saved ? load_saved_image(image, source, saved, e) : e ? -e->code : -EINVAL;
	document_free(&doc);
	return r;
}

int image_load(struct image *image, const struct image_source *source, const char *ref,
	const struct platform *platform, struct err *e)
{
	int r;

	*image = (struct image){0};
	/* `docker save` of today writes both; the index says more. */
	if (image_source_has(source, "index.json"))
		r = load_layout(image, source, ref, platform, e);
	else if (image_source_has(source, "manifest.json"))
		r = load_saved(image, source, ref, e);
	else
		r = err_set(e, EINVAL, "is no image: has neither index.json nor manifest.json");
	if (r == 0 && (strcmp(image->config.os, platform->os) != 0 ||
			      strcmp(image->config.architecture, platform->architecture) != 0))
		r = err_set(e, ENOENT, "is an image for %.20s/%.20s, not for %s/%s",
			image->config.os, image->config.architecture, platform->os,
			platform->architecture);
	if (r < 0)
		image_free(image);
	return r;
}

static int each_saved(
	const struct image_source *source, image_visitor visit, void *arg, struct err *e)
{
	struct saved_image *images;
	struct document doc;
	size_t n;
	int r = read_saved(source, &doc, &images, &n, e);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct image image = {0};

		r = load_saved_image(&image, source, &images[i], e);
		if (r == 0)
			r = visit(arg, &image, images[i].tags.v, images[i].tags.n, e);
		image_free(&image);
	}
	document_free(&doc);
	return r;
}

/* One entry of a layout's index: an image, or the index of one. */
static int visit_entry(const struct image_source *source, const struct descriptor *d,
	const struct platform *platform, image_visitor visit, void *arg, struct err *e)
{
	const char *name = d->full_name ? d->full_name : d->ref_name;
	struct image image = {0};
	int r = load_layout(&image, source, d->digest.text, platform, e);

	if (r == 0)
		r = visit(arg, &image, &name, name ? 1 : 0, e);
	image_free(&image);
	return r;
}

static int each_in_layout(const struct image_source *source, const struct platform *platform,
	image_visitor visit, void *arg, struct err *e)
{
	struct document doc;
	struct index index;
	char *text;
	size_t len;
	int r = image_source_read(source, "index.json", &text, &len, e);

	if (r == 0)
		r = document_parse(&doc, text, len, "index.json", e);
	if (r < 0)
		return r;
	r = index_read(&doc, &index, e);
	for (size_t i = 0; r == 0 && i < index.n_manifests; i++) {
		if (index.manifests[i].media && descriptor_fits(&index.manifests[i], platform))
			r = visit_entry(source, &index.manifests[i], platform, visit, arg, e);
	}
	document_free(&doc);
	return r;
}

int image_each(const struct image_source *source, const struct platform *platform,
	image_visitor visit, void *arg, struct err *e)
{
	if (image_source_has(source, "manifest.json"))
		return each_saved(source, visit, arg, e);
	if (image_source_has(source, "index.json"))
		return each_in_layout(source, platform, visit, arg, e);
	return err_set(e, EINVAL, "is no image: has neither index.json nor manifest.json");
}

void image_free(struct image *image)
{
	for (size_t i = 0; i < image->n_layers; i++)
		free(image->layers[i].name);
	free(image->layers);
	free(image->config_text);
	document_free(&image->config_doc);
	*image = (struct image){0};
}
