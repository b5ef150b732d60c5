#include "runtime/engine/pull.h"

#include "runtime/engine/pull_layers.h"
#include "runtime/image/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kind that a manifest says it is, or that its answer's Content-Type does. */
static const struct media_type *media_of(
	const struct registry_manifest *m, const struct document *doc)
{
	const char *own =
		yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc->doc), "mediaType"));
	const struct media_type *media = media_type_find(own ? own : m->media_type);

	return media ? media : media_type_find(m->media_type);
}

/* The index's manifest for @platform. */
static int choose(const struct document *doc, const struct platform *platform,
	struct descriptor *ret, struct err *e)
{
	struct index index;
	int r = index_read(doc, &index, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < index.n_manifests; i++) {
		const struct descriptor *d = &index.manifests[i];

		if (d->media &&
			(d->media->kind == MEDIA_MANIFEST || d->media->kind == MEDIA_INDEX) &&
			descriptor_fits(d, platform)) {
			*ret = *d;
			return 0;
		}
	}
	return err_set(e, ENOENT, "no matching manifest for %s/%s in the manifest list entries",
		platform->os, platform->architecture);
}

/* Go from an index to the manifest, while @m is one. */
static int descend(struct pull *p, struct registry_manifest *m, struct err *e)
{
	for (unsigned depth = 0;; depth++) {
		enum registry_code ignored;
		const struct media_type *media;
		struct descriptor d;
		char digest[DIGEST_TEXT_BYTES];
		uint64_t size;
		int r = document_parse_copy(
			&p->doc, m->text.v ? m->text.v : "", m->text.len, "manifest", e);

		if (r < 0)
			return r;
		media = media_of(m, &p->doc);
		if (media && media->kind == MEDIA_MANIFEST)
			return 0;
		if (!media || media->kind != MEDIA_INDEX)
			return err_set(e, ENOTSUP, "unsupported manifest media type \"%.120s\"",
				m->media_type);
		if (depth == IMAGE_INDEX_DEPTH_MAX)
			return err_set(
				e, ELOOP, "indexes nested deeper than %d", IMAGE_INDEX_DEPTH_MAX);
		r = choose(&p->doc, &p->platform, &d, e);
		if (r < 0)
			return r;
		size = d.size.v;
		(void)snprintf(digest, sizeof(digest), "%s", d.digest.text);
		document_free(&p->doc);
		p->doc = (struct document){0};
		buf_free(&m->text);
		r = registry_get_manifest(&p->registry, &p->transfer, digest, m, &ignored, e);
		if (r < 0)
			return r;
		if (m->text.len != size)
			return err_set(e, EBADMSG,
				"manifest %.19s has %zu bytes, its descriptor says %llu", digest,
				m->text.len, (unsigned long long)size);
	}
}

/* Layers whose content is elsewhere, by law or by size, are not in the registry. */
static int check_layers(const struct manifest *m, struct err *e)
{
	for (size_t i = 0; i < m->n_layers; i++) {
		const char *name = m->layers[i].media_name;

		if (strstr(name, "foreign") || strstr(name, "nondistributable"))
			return err_set(e, ENOTSUP,
				"layer %zu of %zu: foreign layers are not supported: %.120s", i + 1,
				m->n_layers, name);
	}
	return 0;
}

/* The image's config, and with it what its layers are. */
static int read_config(struct pull *p, struct err *e)
{
	struct buf text = {0};
	int r = manifest_read(&p->doc, &p->manifest, e);

	if (r < 0)
		return err_wrap(e, "manifest");
	r = check_layers(&p->manifest, e);
	if (r == 0)
		r = registry_read_blob(&p->registry, &p->transfer, &p->manifest.config.digest,
			p->manifest.config.size.v, &text, e);
	if (r == 0 && !buf_reserve(&text, YYJSON_PADDING_SIZE))
		r = err_set(e, ENOMEM, "out of memory");
	if (r < 0) {
		buf_free(&text);
		return err_wrap(e, "image config");
	}
	return image_from_manifest(&p->image, &p->manifest, text.v, text.len, e);
}

/*
 * Whether the blobs that the store has of the layers are the manifest's. A layer that was there may
 * have come with another packing, and then this manifest could not be pushed.
 * Returns 1, 0 or -errno.
 */
static int has_blobs(struct pull *p, struct err *e)
{
	for (size_t i = 0; i < p->image.n_layers; i++) {
		struct layer_archive kept;
		int r = image_store_archive(&p->en->images, p->chains[i].text, &kept, e);

		if (r == -ENODATA)
			return 0;
		if (r < 0)
			return r;
		if (strcmp(kept.digest.text, p->image.layers[i].digest.text) != 0)
			return 0;
	}
	return 1;
}

/* Put it on record under its names. *@ret_new: the name did not mean it before. */
static int record(struct pull *p, const struct registry_manifest *m, const struct digest *top,
	bool *ret_new, struct err *e)
{
	struct image_manifest kept = {p->manifest_type, m->text.v};
	struct err ignored = {0};
	char name[REFERENCE_BYTES_MAX];
	char by_digest[2 * REFERENCE_BYTES_MAX];
	char by_tag[REFERENCE_BYTES_MAX];
	const char *names[2] = {by_digest, by_tag};
	char old[IMAGE_ID_BYTES] = "";
	int pushable = has_blobs(p, e);

	if (pushable < 0)
		return pushable;
	reference_familiar(p->ref, name, sizeof(name));
	(void)snprintf(by_digest, sizeof(by_digest), "%s@%s", name, top->text);
	reference_print(p->ref, by_tag, sizeof(by_tag));
	(void)image_store_find(&p->en->images, by_tag, old, &ignored);
	*ret_new = strcmp(old, p->image.id.text) != 0;
	return image_store_record(&p->en->images, &p->image, p->chains, pushable ? &kept : NULL,
		names, p->ref->digest[0] ? 1 : 2, e);
}

static void say_end(const struct pull *p, const struct digest *top, bool is_new)
{
	char name[REFERENCE_BYTES_MAX];
	char line[REFERENCE_BYTES_MAX + 64];

	reference_print(p->ref, name, sizeof(name));
	(void)snprintf(line, sizeof(line), "Digest: %s", top->text);
	p->progress->message(p->progress->arg, NULL, line);
	(void)snprintf(line, sizeof(line), "Status: %s for %s",
		is_new ? "Downloaded newer image" : "Image is up to date", name);
	p->progress->message(p->progress->arg, NULL, line);
}

static int pull(struct pull *p, struct registry_manifest *m, struct err *e)
{
	const struct digest top = m->digest;
	char line[300];
	bool is_new = false;
	int r;

	(void)snprintf(line, sizeof(line), "Pulling from %s", p->ref->path);
	p->progress->message(p->progress->arg,
		p->ref->digest[0] ? p->ref->digest
		: p->ref->tag[0]  ? p->ref->tag
				  : "latest",
		line);
	r = descend(p, m, e);
	if (r == 0) {
		(void)snprintf(p->manifest_type, sizeof(p->manifest_type), "%s",
			media_of(m, &p->doc)->name);
		r = read_config(p, e);
	}
	if (r == 0)
		r = pull_layers(p, e);
	if (r == 0)
		r = record(p, m, &top, &is_new, e);
	pull_layers_release(p);
	if (r == 0)
		say_end(p, &top, is_new);
	image_free(&p->image);
	document_free(&p->doc);
	return r;
}

int image_pull(struct engine *en, const struct reference *ref, const struct platform *platform,
	const struct credentials *creds, const struct progress *progress, struct err *e)
{
	struct pull *p = calloc(1, sizeof(*p));
	struct registry_manifest m = {0};
	int r;

	if (!p)
		return err_set(e, ENOMEM, "out of memory");
	p->en = en;
	p->ref = ref;
	p->platform = *platform;
	p->progress = progress;
	r = pull_resolve(en, ref, creds, &p->cancel, &p->registry, &p->transfer, &m, e);
	if (r == 0) {
		r = pull(p, &m, e);
		buf_free(&m.text);
		transfer_close(&p->transfer);
		registry_close(&p->registry);
	}
	if (r == 0)
		pull_tell(en, ref, "pull");
	free(p);
	return r;
}
