#include "runtime/store/layers.h"

#include "lib/base/fd.h"
#include "lib/util/rmtree.h"
#include "runtime/image/layer.h"
#include "runtime/store/blobs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* bytes that one image may unpack to */
#define STORE_IMAGE_BYTES_MAX (32ULL << 30)

/* what a layer's directory is called until it is complete */
#define PART_PREFIX ".part-"

static int found(void *arg, const struct db_row *row)
{
	(void)row;
	*(int *)arg = 1;
	return 1;
}

static int layer_known(struct image_store *s, const char *chain, struct err *e)
{
	int known = 0;
	int r = db_each(
		s->db, e, found, &known, "SELECT 1 FROM layers WHERE chain = ?", "s", chain);

	return r < 0 ? r : known;
}

struct sweep {
	struct image_store *s;
	struct err *e;
};

static int is_known(void *arg, const char *name)
{
	const struct sweep *sw = arg;
	char chain[IMAGE_ID_BYTES + 256];

	(void)snprintf(chain, sizeof(chain), "sha256:%s", name);
	return layer_known(sw->s, chain, sw->e);
}

int layers_sweep(struct image_store *s, struct err *e)
{
	struct sweep sw = {s, e};
	int r = rmtree_contents_but(s->layers, is_known, &sw);

	return r < 0 && !e->code ? err_set(e, -r, "sweep layers: %s", strerror(-r)) : r;
}

int image_store_open_layer(const struct image_store *s, const char *chain)
{
	const char *hex = strchr(chain, ':');
	int fd = openat(
		s->layers, hex ? hex + 1 : chain, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A layer on its way into the store. */
struct incoming {
	struct image_store *s;
	const struct image_source *source;
	const struct image_layer *layer;
	struct blob_writer writer;
	struct layer_archive archive;
	int64_t size; /* bytes, unpacked */
};

static int keep_bytes(void *arg, const void *buf, size_t len)
{
	struct incoming *in = arg;

	return blob_writer_add(&in->writer, buf, len);
}

/* Unpack the layer into the open directory @fd, while @tee, if any, is told its blob's bytes. */
static int unpack_into(int fd, struct incoming *in, const struct blob *blob,
	const struct stream_tee *tee, struct err *e)
{
	struct layer_policy policy = {
		.bytes_left = STORE_IMAGE_BYTES_MAX, .entries_left = IMAGE_ENTRIES_MAX};
	const struct image_layer *layer = in->layer;
	struct stream stream;
	struct tree tree;
	int r;

	tree_init(&tree, fd);
	tree.overlay = 1;
	r = stream_open_tee(&stream, blob, layer->packing,
		layer->has_digest ? &layer->digest : NULL, &layer->diff_id, UINT64_MAX, tee, e);
	if (r == 0) {
		r = layer_unpack(&tree, &stream, &policy, e);
		in->archive.plain_size = stream.plain_bytes;
		stream_close(&stream);
	}
	if (r == 0) {
		r = tree_finish(&tree);
		if (r < 0)
			err_set(e, -r, "set the times of directories: %s", strerror(-r));
	}
	tree_free(&tree);
	in->size = (int64_t)(STORE_IMAGE_BYTES_MAX - policy.bytes_left);
	return r;
}

/* Unpack the layer, and keep its blob in the same pass, unless the store has it already. */
static int unpack_and_keep(int fd, struct incoming *in, const struct blob *blob, struct err *e)
{
	const struct image_layer *layer = in->layer;
	const struct stream_tee tee = {keep_bytes, in};
	int packing = stream_detect(blob);
	int r;

	if (packing < 0)
		return err_set(e, -packing, "read: %s", strerror(-packing));
	in->archive.diff_id = layer->diff_id;
	if (layer->has_digest && blob_store_has(in->s, &layer->digest)) {
		in->archive.digest = layer->digest;
		in->archive.packing = (enum packing)packing;
		in->archive.size = blob->size;
		return unpack_into(fd, in, blob, NULL, e);
	}
	r = blob_writer_open(&in->writer, in->s, layer->has_digest ? &layer->digest : NULL,
		packing == PACKING_NONE, e);
	if (r < 0)
		return r;
	r = unpack_into(fd, in, blob, &tee, e);
	if (r == 0)
		r = blob_writer_keep(&in->writer, in->s, e);
	in->archive.digest = in->writer.digest;
	in->archive.packing = packing == PACKING_NONE ? PACKING_GZIP : (enum packing)packing;
	in->archive.size = in->writer.size;
	blob_writer_close(&in->writer);
	return r;
}

/* Make layers/HEX. Returns 0 or -errno; then there is no such directory. */
static int make_layer(struct incoming *in, const char *chain, struct err *e)
{
	const char *name = chain + strlen("sha256:");
	const int layers = in->s->layers;
	char part[IMAGE_ID_BYTES + 16];
	AUTO_CLOSE int fd = -1;
	struct blob blob;
	int r = image_source_blob(in->source, in->layer->name, &blob, e);

	if (r < 0)
		return r;
	(void)snprintf(part, sizeof(part), PART_PREFIX "%s", name);
	(void)rmtree_at(layers, part);
	(void)rmtree_at(layers, name);
	if (mkdirat(layers, part, 0755) < 0 ||
		(fd = openat(layers, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		r = err_set(e, errno, "make layers/%s: %s", part, strerror(errno));
	if (r == 0)
		r = unpack_and_keep(fd, in, &blob, e);
	blob_close(&blob);
	/* The names only after the content: power may go at any moment. */
	if (r == 0 &&
		(syncfs(fd) < 0 || renameat(layers, part, layers, name) < 0 || fsync(layers) < 0))
		r = err_set(e, errno, "keep layers/%s: %s", name, strerror(errno));
	if (r < 0)
		(void)rmtree_at(layers, part);
	return r;
}

/* The chainID of a layer on top of @parent ("" for the lowest). Source: image-spec config.md. */
static int chain_id(const char *parent, const struct digest *diff, struct digest *ret)
{
	char both[2 * DIGEST_TEXT_BYTES];
	int n;

	if (!parent[0]) {
		*ret = *diff;
		return 0;
	}
	n = snprintf(both, sizeof(both), "%s %s", parent, diff->text);
	return digest_of(both, (size_t)n, ret);
}

int layers_add(struct image_store *s, const struct image_source *source, const struct image *image,
	struct digest *chains, struct err *e)
{
	for (size_t i = 0; i < image->n_layers; i++) {
		struct incoming in = {.s = s, .source = source, .layer = &image->layers[i]};
		const struct layer_archive *kept = &in.archive;
		int r = chain_id(
			i ? chains[i - 1].text : "", &image->layers[i].diff_id, &chains[i]);

		if (r < 0)
			return err_set(e, -r, "out of memory");
		r = layer_known(s, chains[i].text, e);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		r = make_layer(&in, chains[i].text, e);
		if (r < 0)
			return err_wrap(e, "layer %zu of %zu", i + 1, image->n_layers);
		r = db_run(s->db, e,
			"INSERT INTO layers (chain, diff, size, blob, packing, blob_size, "
			"plain_size) VALUES (?, ?, ?, ?, ?, ?, ?)",
			"ssisiii", chains[i].text, kept->diff_id.text, in.size, kept->digest.text,
			(int64_t)kept->packing, (int64_t)kept->size, (int64_t)kept->plain_size);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_archive(void *arg, const struct db_row *row)
{
	struct layer_archive *a = arg;

	if (digest_parse(db_text(row, 0), &a->diff_id) < 0 ||
		digest_parse(db_text(row, 1), &a->digest) < 0)
		return 1;
	a->packing = (enum packing)db_i64(row, 2);
	a->size = (uint64_t)db_i64(row, 3);
	a->plain_size = (uint64_t)db_i64(row, 4);
	return 1;
}

int image_store_archive(
	struct image_store *s, const char *chain, struct layer_archive *ret, struct err *e)
{
	int r;

	*ret = (struct layer_archive){0};
	r = db_each(s->db, e, read_archive, ret,
		"SELECT diff, blob, packing, blob_size, plain_size FROM layers WHERE chain = ?",
		"s", chain);
	if (r < 0)
		return r;
	if (!ret->digest.text[0])
		return err_set(e, ENODATA,
			"the archive of layer %.19s was not kept: load or pull the image again",
			chain);
	return 0;
}
