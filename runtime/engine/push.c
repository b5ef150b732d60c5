/* An image to a registry: its layers' blobs, its config, its manifest. */
#include "lib/base/fd.h"
#include "runtime/engine/pull.h"
#include "runtime/store/blobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct push {
	struct engine *en;
	const struct reference *ref;
	const struct progress *progress;
	atomic_bool cancel;
	struct registry registry;
	struct transfer transfer;
	struct image_record image;
	char *config; /* text, as its digest has it */
	struct layer_archive *archives;
	struct buf manifest;
	char media_type[256];
};

/* A blob being sent. */
struct sending {
	struct push *push;
	struct blob blob;
	const char *text; /* or a text */
	char id[13];
	uint64_t size;
	uint64_t at;
	uint64_t told;
};

static int rewind_blob(void *arg)
{
	struct sending *s = arg;

	s->at = s->told = 0;
	return 0;
}

static ssize_t read_blob(void *arg, void *buf, size_t size)
{
	struct sending *s = arg;
	const struct progress *pr = s->push->progress;
	ssize_t n;

	if (size > s->size - s->at)
		size = (size_t)(s->size - s->at);
	if (s->text) {
		memcpy(buf, s->text + s->at, size);
		n = (ssize_t)size;
	} else {
		n = pread(s->blob.fd, buf, size, (off_t)(s->blob.offset + s->at));
		n = n < 0 ? -errno : n == 0 && size ? -EIO : n;
	}
	if (n < 0)
		return n;
	s->at += (uint64_t)n;
	if (pr->gone(pr->arg))
		atomic_store(&s->push->cancel, true);
	if (s->id[0] && (s->at - s->told >= (512u << 10) || s->at == s->size)) {
		s->told = s->at;
		pr->update(pr->arg, s->id, "Pushing", s->at, s->size);
	}
	return n;
}

static int send_blob(struct push *p, struct sending *s, const struct digest *digest, struct err *e)
{
	const struct registry_source source = {rewind_blob, read_blob, s, s->size};

	return registry_put_blob(&p->registry, &p->transfer, digest, &source, e);
}

struct lookup {
	const char *domain;
	const char *path;
	char found[256];
};

static int take_repository(void *arg, const struct db_row *row)
{
	struct lookup *l = arg;
	struct reference ref;

	if (reference_parse(db_text(row, 0), &ref, NULL) < 0 ||
		strcmp(ref.domain, l->domain) != 0 || strcmp(ref.path, l->path) == 0)
		return 0;
	(void)snprintf(l->found, sizeof(l->found), "%s", ref.path);
	return 1;
}

/* Another repository of the registry that an image with this blob came from or went to. */
static int find_mount(
	struct push *p, const struct digest *digest, char found[static 256], struct err *e)
{
	struct lookup l = {.domain = p->ref->domain, .path = p->ref->path};
	int r = db_each(p->en->images.db, e, take_repository, &l,
		"SELECT DISTINCT n.name FROM names n JOIN image_layers i ON i.image = n.image "
		"JOIN layers l ON l.chain = i.chain WHERE l.blob = ? AND n.name LIKE '%@%'",
		"s", digest->text);

	memcpy(found, l.found, sizeof(l.found));
	return r < 0 ? r : found[0] != '\0';
}

/* Have the registry take the blob from a repository that it knows it from. 1, 0 or -errno. */
static int try_mount(struct push *p, const struct digest *digest, const char *id, struct err *e)
{
	const struct progress *pr = p->progress;
	struct err ignored = {0};
	char from[256];
	char words[300];
	int r = find_mount(p, digest, from, e);

	if (r <= 0)
		return r;
	/* One that is not allowed to is no failure: then the blob is sent. */
	r = registry_mount_blob(&p->registry, &p->transfer, digest, from, &ignored);
	if (r <= 0)
		return r == -ECANCELED ? err_set(e, ECANCELED, "context canceled") : 0;
	(void)snprintf(words, sizeof(words), "Mounted from %s", from);
	pr->update(pr->arg, id, words, 0, 0);
	return 1;
}

static int push_layer(struct push *p, const struct layer_archive *a, struct err *e)
{
	const struct progress *pr = p->progress;
	struct sending s = {.push = p, .size = a->size};
	int r = registry_has_blob(&p->registry, &p->transfer, &a->digest, e);

	(void)snprintf(s.id, sizeof(s.id), "%.12s", digest_hex(&a->diff_id));
	if (r < 0)
		return r;
	if (r > 0) {
		pr->update(pr->arg, s.id, "Layer already exists", 0, 0);
		return 0;
	}
	r = try_mount(p, &a->digest, s.id, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = blob_store_open(&p->en->images, &a->digest, &s.blob, e);
	if (r < 0)
		return r;
	pr->update(pr->arg, s.id, "Pushing", 0, s.size);
	r = send_blob(p, &s, &a->digest, e);
	blob_close(&s.blob);
	if (r == 0)
		pr->update(pr->arg, s.id, "Pushed", 0, 0);
	return r;
}

static int push_config(struct push *p, struct err *e)
{
	struct sending s = {.push = p, .text = p->config};
	struct digest digest;
	int r;

	if (!s.text || digest_parse(p->image.id, &digest) < 0)
		return err_set(e, EBADMSG, "image %.72s: no digest", p->image.id);
	s.size = strlen(s.text);
	r = registry_has_blob(&p->registry, &p->transfer, &digest, e);
	return r != 0 ? (r < 0 ? r : 0) : send_blob(p, &s, &digest, e);
}

static int push_all(struct push *p, struct err *e)
{
	const struct progress *pr = p->progress;
	const char *tag = p->ref->tag[0] ? p->ref->tag : "latest";
	struct digest digest;
	char line[400];
	int r = 0;

	/* The topmost is told of first. */
	for (size_t i = p->image.n_chains; i-- > 0;) {
		char id[13];

		(void)snprintf(id, sizeof(id), "%.12s", digest_hex(&p->archives[i].diff_id));
		pr->update(pr->arg, id, "Preparing", 0, 0);
	}
	for (size_t i = p->image.n_chains; r == 0 && i-- > 0;)
		r = push_layer(p, &p->archives[i], e);
	if (r == 0)
		r = push_config(p, e);
	if (r == 0)
		r = registry_put_manifest(&p->registry, &p->transfer, tag, p->media_type,
			p->manifest.v, p->manifest.len, e);
	if (r == 0)
		r = digest_of(p->manifest.v, p->manifest.len, &digest);
	if (r < 0)
		return r;
	(void)snprintf(
		line, sizeof(line), "%s: digest: %s size: %zu", tag, digest.text, p->manifest.len);
	pr->message(pr->arg, NULL, line);
	if (pr->pushed)
		pr->pushed(pr->arg, tag, digest.text, p->manifest.len);
	reference_familiar(p->ref, line, sizeof(line));
	(void)snprintf(line + strlen(line), sizeof(line) - strlen(line), "@%s", digest.text);
	return image_store_name(&p->en->images, p->image.id, line, e);
}

/* Media types by packing: Docker's own, which every client knows, but for zstd. */
static const struct {
	const char *manifest, *config, *layers[PACKING_ZSTD + 1];
} formats[] = {
	{"application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.container.image.v1+json",
		{[PACKING_NONE] = "application/vnd.docker.image.rootfs.diff.tar",
			[PACKING_GZIP] = "application/vnd.docker.image.rootfs.diff.tar.gzip"}},
	{"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json",
		{[PACKING_NONE] = "application/vnd.oci.image.layer.v1.tar",
			[PACKING_GZIP] = "application/vnd.oci.image.layer.v1.tar+gzip",
			[PACKING_ZSTD] = "application/vnd.oci.image.layer.v1.tar+zstd"}},
};

static yyjson_mut_val *descriptor(
	yyjson_mut_doc *doc, const char *media_type, uint64_t size, const char *digest)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc);

	yyjson_mut_obj_add_str(doc, o, "mediaType", media_type);
	yyjson_mut_obj_add_uint(doc, o, "size", size);
	yyjson_mut_obj_add_str(doc, o, "digest", digest);
	return o;
}

/* A manifest for an image that no registry had a name for yet. */
static int make_manifest(struct push *p, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *layers = yyjson_mut_arr(doc);
	int format = 0;
	char *text;

	for (size_t i = 0; i < p->image.n_chains; i++)
		format |= p->archives[i].packing == PACKING_ZSTD;
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_int(doc, top, "schemaVersion", 2);
	yyjson_mut_obj_add_str(doc, top, "mediaType", formats[format].manifest);
	yyjson_mut_obj_add_val(doc, top, "config",
		descriptor(doc, formats[format].config, strlen(p->config), p->image.id));
	for (size_t i = 0; i < p->image.n_chains; i++)
		(void)yyjson_mut_arr_append(
			layers, descriptor(doc, formats[format].layers[p->archives[i].packing],
					p->archives[i].size, p->archives[i].digest.text));
	yyjson_mut_obj_add_val(doc, top, "layers", layers);
	(void)snprintf(p->media_type, sizeof(p->media_type), "%s", formats[format].manifest);
	text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY, NULL);
	yyjson_mut_doc_free(doc);
	if (!text || buf_add_str(&p->manifest, text) < 0) {
		free(text);
		return err_set(e, ENOMEM, "out of memory");
	}
	free(text);
	return 0;
}

/* What is to be sent, out of the store. */
static int gather(struct push *p, struct err *e)
{
	char name[REFERENCE_BYTES_MAX];
	char id[IMAGE_ID_BYTES];
	int r;

	reference_print(p->ref, name, sizeof(name));
	r = image_store_find(&p->en->images, name, id, e);
	if (r == -ENOENT)
		return err_set(e, ENOENT, "An image does not exist locally with the tag: %s", name);
	if (r == 0)
		r = image_store_get(&p->en->images, id, &p->image, e);
	if (r < 0)
		return r;
	p->archives = calloc(p->image.n_chains + 1, sizeof(*p->archives));
	if (!p->archives)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < p->image.n_chains; i++)
		r = image_store_archive(&p->en->images, p->image.chains[i], &p->archives[i], e);
	if (r == 0)
		r = image_store_texts(&p->en->images, id, &p->config, &p->manifest, p->media_type,
			sizeof(p->media_type), e);
	return r == 0 && !p->manifest.len ? make_manifest(p, e) : r;
}

static int open_registry(struct push *p, const struct credentials *creds, struct err *e)
{
	int r = err_set(e, EIO, "no endpoint for %s", p->ref->domain);

	for (unsigned i = 0;; i++) {
		struct endpoint ep;
		struct err last = {0};
		int got = endpoint_get(&p->en->registries, p->ref->domain, false, i, &ep, &last);

		if (got <= 0) {
			if (got < 0)
				*e = last;
			return got < 0 ? got : r;
		}
		r = registry_open(
			&p->registry, &ep, p->ref->path, "pull,push", creds, &p->cancel, &last);
		if (r == 0)
			return 0;
		*e = last;
	}
}

static int push(struct push *p, const struct credentials *creds, struct err *e)
{
	int r = open_registry(p, creds, e);

	if (r < 0)
		return r;
	r = transfer_open(&p->transfer, &p->registry.ep.host, e);
	if (r == 0)
		r = push_all(p, e);
	transfer_close(&p->transfer);
	registry_close(&p->registry);
	return r;
}

int image_push(struct engine *en, const struct reference *ref, const struct credentials *creds,
	const struct progress *progress, struct err *e)
{
	struct push *p = calloc(1, sizeof(*p));
	char line[REFERENCE_BYTES_MAX + 64];
	char name[REFERENCE_BYTES_MAX];
	int r;

	if (!p)
		return err_set(e, ENOMEM, "out of memory");
	p->en = en;
	p->ref = ref;
	p->progress = progress;
	r = gather(p, e);
	if (r == 0) {
		/* In full, as Docker says it. */
		(void)snprintf(name, sizeof(name), "%s/%s", ref->domain, ref->path);
		(void)snprintf(line, sizeof(line), "The push refers to repository [%s]", name);
		progress->message(progress->arg, NULL, line);
		r = push(p, creds, e);
	}
	if (r == 0)
		pull_tell(en, ref, "push");
	image_record_free(&p->image);
	free(p->archives);
	free(p->config);
	buf_free(&p->manifest);
	free(p);
	return r;
}
