/*
 * `docker save`: images as one tar file that is a docker archive (manifest.json) and an OCI layout
 * (index.json) at the same time, as Docker has written it since version 25: layers not packed,
 * each under its diffID, and once.
 */
#include "runtime/api/image_view.h"
#include "runtime/api/routes.h"

#include "runtime/engine/commit.h"
#include "runtime/image/stream.h"
#include "runtime/image/tarwrite.h"
#include "runtime/store/blobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* images, and names, of one archive */
#define SAVE_IMAGES_MAX 128

#define OCI_MEDIA "application/vnd.oci.image."

struct saved {
	struct image_record image;
	char *config; /* its text */
	struct layer_archive *layers;
	yyjson_mut_val *tags; /* that it was asked for by */
	char *manifest;	      /* OCI manifest */
	struct digest manifest_digest;
};

struct save {
	struct call *c;
	yyjson_mut_doc *doc; /* of the tags and of what is written */
	struct saved images[SAVE_IMAGES_MAX];
	size_t n;
	struct tar_writer tar;
	const char **written; /* diffIDs */
	size_t n_written;
};

static void free_save(struct save *s)
{
	for (size_t i = 0; i < s->n; i++) {
		image_record_free(&s->images[i].image);
		free(s->images[i].config);
		free(s->images[i].layers);
		free(s->images[i].manifest);
	}
	free(s->written);
	yyjson_mut_doc_free(s->doc);
	free(s);
}

static int send_bytes(void *arg, const void *buf, size_t len)
{
	struct save *s = arg;

	return http_stream_write(s->c->conn, buf, len);
}

/* {"mediaType": …, "digest": …, "size": …} */
static yyjson_mut_val *descriptor(
	yyjson_mut_doc *doc, const char *media, const char *digest, uint64_t size)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc);

	yyjson_mut_obj_add_strcpy(doc, o, "mediaType", media);
	yyjson_mut_obj_add_strcpy(doc, o, "digest", digest);
	yyjson_mut_obj_add_uint(doc, o, "size", size);
	return o;
}

static int make_manifest(struct save *s, struct saved *one, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *layers;

	(void)s;
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_int(doc, top, "schemaVersion", 2);
	yyjson_mut_obj_add_str(doc, top, "mediaType", OCI_MEDIA "manifest.v1+json");
	yyjson_mut_obj_add_val(doc, top, "config",
		descriptor(doc, OCI_MEDIA "config.v1+json", one->image.id, strlen(one->config)));
	layers = yyjson_mut_obj_add_arr(doc, top, "layers");
	for (size_t i = 0; i < one->image.n_chains; i++)
		yyjson_mut_arr_append(
			layers, descriptor(doc, OCI_MEDIA "layer.v1.tar",
					one->layers[i].diff_id.text, one->layers[i].plain_size));
	one->manifest = yyjson_mut_write(doc, 0, NULL);
	yyjson_mut_doc_free(doc);
	if (!one->manifest ||
		digest_of(one->manifest, strlen(one->manifest), &one->manifest_digest) < 0)
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

/* Everything that can fail for want of something: before the answer begins. */
static int add_image(struct save *s, const char *id, struct saved **ret, struct err *e)
{
	struct image_store *images = &s->c->engine->images;
	struct saved *one;
	int r;

	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->images[i].image.id, id) == 0) {
			*ret = &s->images[i];
			return 0;
		}
	}
	if (s->n == SAVE_IMAGES_MAX)
		return err_set(e, EINVAL, "names: more than %d images", SAVE_IMAGES_MAX);
	one = &s->images[s->n];
	r = image_store_get(images, id, &one->image, e);
	if (r < 0)
		return r;
	s->n++;
	one->tags = yyjson_mut_arr(s->doc);
	one->layers = calloc(one->image.n_chains + 1, sizeof(*one->layers));
	if (!one->layers)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < one->image.n_chains; i++)
		r = image_store_archive(images, one->image.chains[i], &one->layers[i], e);
	if (r == 0)
		r = image_store_config(images, id, &one->config, e);
	if (r == 0)
		r = make_manifest(s, one, e);
	*ret = one;
	return r;
}

static void add_tag(struct save *s, struct saved *one, const char *name)
{
	yyjson_mut_val *tag;
	size_t i, n;

	yyjson_mut_arr_foreach (one->tags, i, n, tag)
		if (yyjson_mut_equals_str(tag, name))
			return;
	yyjson_mut_arr_add_strcpy(s->doc, one->tags, name);
}

/* A repository's name alone means all that it has. Returns how many that were, or -errno. */
static int add_repository(struct save *s, const char *ref, struct err *e)
{
	const char *slash = strrchr(ref, '/');
	char repository[REFERENCE_BYTES_MAX];
	char **ids = NULL;
	size_t len;
	int found = 0;
	int r;

	if (strchr(slash ? slash : ref, ':') || strchr(ref, '@') ||
		reference_shorten(ref, repository, sizeof(repository)) < 0)
		return 0;
	len = strlen(repository) - strlen("latest"); /* "debian:latest": with the colon */
	r = image_store_list(&s->c->engine->images, &ids, e);
	for (size_t i = 0; r == 0 && ids[i]; i++) {
		struct image_record image;
		struct err ignored = {0};

		if (image_store_get(&s->c->engine->images, ids[i], &image, &ignored) < 0)
			continue;
		for (size_t k = 0; r == 0 && k < image.n_names; k++) {
			struct saved *one;

			if (strncmp(image.names[k], repository, len) != 0 ||
				image_is_digest_name(image.names[k]))
				continue;
			r = add_image(s, image.id, &one, e);
			if (r == 0)
				add_tag(s, one, image.names[k]);
			found++;
		}
		image_record_free(&image);
	}
	for (size_t i = 0; ids && ids[i]; i++)
		free(ids[i]);
	free(ids);
	return r < 0 ? r : found;
}

static int add_name(struct save *s, const char *ref, struct err *e)
{
	char shorter[REFERENCE_BYTES_MAX] = "";
	char id[IMAGE_ID_BYTES];
	struct saved *one;
	int r = add_repository(s, ref, e);

	if (r != 0)
		return r < 0 ? r : 0;
	r = image_store_find(&s->c->engine->images, ref, id, e);
	if (r == 0)
		r = add_image(s, id, &one, e);
	if (r != 0)
		return r;
	(void)reference_shorten(ref, shorter, sizeof(shorter));
	for (size_t i = 0; i < one->image.n_names; i++)
		if (strcmp(one->image.names[i], shorter) == 0 && !image_is_digest_name(shorter))
			add_tag(s, one, shorter);
	return 0;
}

/* The names of the request, in the path or as parameters. */
static int add_asked(struct save *s, struct err *e)
{
	struct call *c = s->c;
	unsigned n = 0;
	int r = 0;

	if (c->params[0])
		return add_name(s, c->params[0], e);
	for (size_t i = 0; r == 0 && i < c->query.n; i++) {
		if (strcmp(c->query.params[i].key, "names") == 0) {
			r = add_name(s, c->query.params[i].value, e);
			n++;
		}
	}
	return r == 0 && n == 0 ? err_set(e, EINVAL, "names: no image was named") : r;
}

static int write_blob(struct save *s, const char *digest, const void *buf, size_t len)
{
	char name[DIGEST_TEXT_BYTES + 8];
	struct digest d;

	if (digest_parse(digest, &d) < 0)
		return -EINVAL;
	digest_blob_path(&d, name, sizeof(name));
	return tar_write_file(&s->tar, name, buf, len, 0);
}

static int write_layer(struct save *s, const struct layer_archive *layer, struct err *e)
{
	char name[DIGEST_TEXT_BYTES + 8];
	const struct tar_entry entry = {
		.name = name, .type = '0', .mode = 0644, .size = layer->plain_size};
	struct stream stream;
	struct blob blob;
	const void *buf;
	ssize_t n = 0;
	int r;

	for (size_t i = 0; i < s->n_written; i++)
		if (strcmp(s->written[i], layer->diff_id.text) == 0)
			return 0;
	s->written[s->n_written++] = layer->diff_id.text;
	r = blob_store_open(&s->c->engine->images, &layer->digest, &blob, e);
	if (r < 0)
		return r;
	digest_blob_path(&layer->diff_id, name, sizeof(name));
	r = stream_open(&stream, &blob, layer->packing, &layer->digest, &layer->diff_id,
		layer->plain_size, e);
	if (r == 0) {
		r = tar_write_entry(&s->tar, &entry);
		while (r == 0 && (n = stream_next(&stream, &buf, e)) > 0)
			r = tar_write_data(&s->tar, buf, (size_t)n);
		stream_close(&stream);
	}
	blob_close(&blob);
	return r < 0 ? r : (int)n;
}

static int write_image(struct save *s, const struct saved *one, struct err *e)
{
	int r = write_blob(s, one->image.id, one->config, strlen(one->config));

	if (r == 0)
		r = write_blob(s, one->manifest_digest.text, one->manifest, strlen(one->manifest));
	for (size_t i = 0; r == 0 && i < one->image.n_chains; i++)
		r = write_layer(s, &one->layers[i], e);
	return r;
}

static int write_json(struct save *s, const char *name, yyjson_mut_val *val)
{
	char *text;
	size_t len = 0;
	int r;

	text = yyjson_mut_val_write(val, 0, &len);
	r = text ? tar_write_file(&s->tar, name, text, len, 0) : -ENOMEM;
	free(text);
	return r;
}

/* The name with its registry, as containerd keys images. */
static void full_name(const char *name, char *buf, size_t size)
{
	const char *slash = strchr(name, '/');
	size_t len = slash ? (size_t)(slash - name) : 0;
	bool has_host = slash && (memchr(name, '.', len) || memchr(name, ':', len) ||
					 (len == 9 && memcmp(name, "localhost", 9) == 0));

	(void)snprintf(
		buf, size, "%s%s%s", has_host ? "" : "docker.io/", slash ? "" : "library/", name);
}

static void add_indexed(
	struct save *s, yyjson_mut_val *manifests, const struct saved *one, const char *tag)
{
	yyjson_mut_val *d = descriptor(s->doc, OCI_MEDIA "manifest.v1+json",
		one->manifest_digest.text, strlen(one->manifest));
	char full[REFERENCE_BYTES_MAX + 32];
	yyjson_mut_val *notes;

	if (tag) {
		notes = yyjson_mut_obj_add_obj(s->doc, d, "annotations");
		full_name(tag, full, sizeof(full));
		yyjson_mut_obj_add_strcpy(s->doc, notes, "io.containerd.image.name", full);
		yyjson_mut_obj_add_strcpy(
			s->doc, notes, "org.opencontainers.image.ref.name", reference_tag(tag));
	}
	yyjson_mut_arr_append(manifests, d);
}

static yyjson_mut_val *make_index(struct save *s)
{
	yyjson_mut_val *top = yyjson_mut_obj(s->doc);
	yyjson_mut_val *manifests;

	yyjson_mut_obj_add_int(s->doc, top, "schemaVersion", 2);
	yyjson_mut_obj_add_str(s->doc, top, "mediaType", OCI_MEDIA "index.v1+json");
	manifests = yyjson_mut_obj_add_arr(s->doc, top, "manifests");
	for (size_t i = 0; i < s->n; i++) {
		yyjson_mut_val *tag;
		size_t k, n;

		if (yyjson_mut_arr_size(s->images[i].tags) == 0)
			add_indexed(s, manifests, &s->images[i], NULL);
		yyjson_mut_arr_foreach (s->images[i].tags, k, n, tag)
			add_indexed(s, manifests, &s->images[i], yyjson_mut_get_str(tag));
	}
	return top;
}

/* manifest.json's entry of an image. */
static yyjson_mut_val *make_entry(struct save *s, const struct saved *one)
{
	yyjson_mut_val *o = yyjson_mut_obj(s->doc);
	yyjson_mut_val *layers, *sources;
	char name[DIGEST_TEXT_BYTES + 8];
	struct digest id = {""};

	(void)digest_parse(one->image.id, &id);
	digest_blob_path(&id, name, sizeof(name));
	yyjson_mut_obj_add_strcpy(s->doc, o, "Config", name);
	yyjson_mut_obj_add_val(s->doc, o, "RepoTags",
		yyjson_mut_arr_size(one->tags) ? yyjson_mut_val_mut_copy(s->doc, one->tags)
					       : yyjson_mut_null(s->doc));
	layers = yyjson_mut_obj_add_arr(s->doc, o, "Layers");
	sources = yyjson_mut_obj_add_obj(s->doc, o, "LayerSources");
	for (size_t i = 0; i < one->image.n_chains; i++) {
		const struct layer_archive *layer = &one->layers[i];

		digest_blob_path(&layer->diff_id, name, sizeof(name));
		yyjson_mut_arr_add_strcpy(s->doc, layers, name);
		yyjson_mut_obj_put(sources, yyjson_mut_strcpy(s->doc, layer->diff_id.text),
			descriptor(s->doc, OCI_MEDIA "layer.v1.tar", layer->diff_id.text,
				layer->plain_size));
	}
	return o;
}

/* What the oldest readers know: repository, tag, topmost layer. */
static yyjson_mut_val *make_repositories(struct save *s)
{
	yyjson_mut_val *top = yyjson_mut_obj(s->doc);

	for (size_t i = 0; i < s->n; i++) {
		const struct saved *one = &s->images[i];
		yyjson_mut_val *tag;
		size_t k, n;

		yyjson_mut_arr_foreach (one->tags, k, n, tag) {
			const char *name = yyjson_mut_get_str(tag);
			const char *colon = strrchr(name, ':');
			yyjson_mut_val *tags =
				yyjson_mut_obj_getn(top, name, (size_t)(colon - name));

			if (!tags) {
				tags = yyjson_mut_obj(s->doc);
				yyjson_mut_obj_add(top,
					yyjson_mut_strncpy(s->doc, name, (size_t)(colon - name)),
					tags);
			}
			if (one->image.n_chains)
				yyjson_mut_obj_add(tags, yyjson_mut_strcpy(s->doc, colon + 1),
					yyjson_mut_strcpy(s->doc,
						digest_hex(&one->layers[one->image.n_chains - 1]
								    .diff_id)));
		}
	}
	return top;
}

static int write_folder(struct save *s, const char *name)
{
	const struct tar_entry entry = {.name = name, .type = '5', .mode = 0755};

	return tar_write_entry(&s->tar, &entry);
}

static int write_archive(struct save *s, struct err *e)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	yyjson_mut_val *entries = yyjson_mut_arr(s->doc);
	size_t layers = 0;
	int r = write_folder(s, "blobs/");

	if (r == 0)
		r = write_folder(s, "blobs/sha256/");
	for (size_t i = 0; i < s->n; i++)
		layers += s->images[i].image.n_chains;
	s->written = calloc(layers + 1, sizeof(*s->written));
	if (!s->written)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < s->n; i++) {
		r = write_image(s, &s->images[i], e);
		yyjson_mut_arr_append(entries, make_entry(s, &s->images[i]));
	}
	if (r == 0)
		r = write_json(s, "index.json", make_index(s));
	if (r == 0)
		r = write_json(s, "manifest.json", entries);
	if (r == 0)
		r = tar_write_file(&s->tar, "oci-layout", layout, sizeof(layout) - 1, 0);
	if (r == 0)
		r = write_json(s, "repositories", make_repositories(s));
	return r < 0 ? r : tar_write_end(&s->tar);
}

int api_image_save(struct call *c, struct err *e)
{
	struct save *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, ENOMEM, "out of memory");
	s->c = c;
	s->doc = yyjson_mut_doc_new(NULL);
	s->tar = (struct tar_writer){.write = send_bytes, .arg = s};
	r = add_asked(s, e);
	if (r == 0)
		r = http_stream_begin(c->conn, 200, "application/x-tar");
	if (c->conn->answer != HTTP_ANSWER_NONE) {
		if (r == 0)
			r = write_archive(s, e);
		/* An answer that breaks off must not look whole. */
		if (r == 0)
			(void)http_stream_end(c->conn);
		else
			c->conn->close = true;
		for (size_t i = 0; r == 0 && i < s->n; i++)
			image_tell(c->engine, "save", s->images[i].image.id, NULL);
		r = 0;
	}
	free_save(s);
	return r;
}
