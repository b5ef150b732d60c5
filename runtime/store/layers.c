#include "runtime/store/layers.h"

#include "lib/base/fd.h"
#include "lib/util/rmtree.h"
#include "runtime/image/limits.h"
#include "runtime/image/stream.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* bytes that one image may unpack to */
#define STORE_IMAGE_BYTES_MAX (32ULL << 30)

/* what a layer's directory is called until it is complete */
#define PART_PREFIX ".part-"

/* milliseconds between two looks at whether a wait was cancelled */
#define CANCEL_POLL_MS 100

/* A layer that somebody makes. */
struct layer_making {
	struct layer_making *next;
	char chain[DIGEST_TEXT_BYTES];
};

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

int layer_chain(const struct digest *parent, const struct digest *diff, struct digest *ret)
{
	char both[2 * DIGEST_TEXT_BYTES];
	int n;

	if (!parent) {
		*ret = *diff;
		return 0;
	}
	n = snprintf(both, sizeof(both), "%s %s", parent->text, diff->text);
	return digest_of(both, (size_t)n, ret);
}

int layer_hold(struct image_store *s, const struct digest *chain, struct err *e)
{
	int r = db_run(s->db, e, "INSERT INTO held (chain) VALUES (?)", "s", chain->text);

	return r < 0 ? r : 0;
}

void layer_release(struct image_store *s, const struct digest *chains, size_t n)
{
	struct err ignored = {0};

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < n; i++)
		(void)db_run(s->db, &ignored,
			"DELETE FROM held WHERE rowid IN (SELECT rowid FROM held WHERE chain = ? "
			"LIMIT 1)",
			"s", chains[i].text);
	image_store_collect(s);
	pthread_mutex_unlock(&s->lock);
}

static struct layer_making **find_making(struct image_store *s, const char *chain)
{
	struct layer_making **at = &s->making;

	while (*at && strcmp((*at)->chain, chain) != 0)
		at = &(*at)->next;
	return at;
}

/* Wait until nobody makes @chain. With the lock. */
static int wait_turn(
	struct image_store *s, const char *chain, const atomic_bool *cancel, struct err *e)
{
	while (*find_making(s, chain)) {
		struct timespec end;

		if (cancel && atomic_load(cancel))
			return err_set(e, ECANCELED, "context canceled");
		clock_gettime(CLOCK_REALTIME, &end);
		end.tv_nsec += CANCEL_POLL_MS * 1000000L;
		end.tv_sec += end.tv_nsec / 1000000000L;
		end.tv_nsec %= 1000000000L;
		(void)pthread_cond_timedwait(&s->made, &s->lock, &end);
	}
	return 0;
}

/* Take the turn at @chain, unless it is there. Returns 1 if it is, 0, or -errno. */
static int take_turn(
	struct image_store *s, const char *chain, const atomic_bool *cancel, struct err *e)
{
	struct layer_making *mine = calloc(1, sizeof(*mine));
	int r;

	if (!mine)
		return err_set(e, ENOMEM, "out of memory");
	pthread_mutex_lock(&s->lock);
	r = wait_turn(s, chain, cancel, e);
	if (r == 0)
		r = layer_known(s, chain, e);
	if (r == 0) {
		(void)snprintf(mine->chain, sizeof(mine->chain), "%s", chain);
		mine->next = s->making;
		s->making = mine;
	}
	pthread_mutex_unlock(&s->lock);
	if (r != 0)
		free(mine);
	return r;
}

static void leave_turn(struct image_store *s, const char *chain)
{
	struct layer_making **at, *mine;

	pthread_mutex_lock(&s->lock);
	at = find_making(s, chain);
	mine = *at;
	if (mine)
		*at = mine->next;
	pthread_cond_broadcast(&s->made);
	pthread_mutex_unlock(&s->lock);
	free(mine);
}

static int open_writer(struct layer_writer *w, const atomic_bool *cancel, struct err *e)
{
	const struct layer_want *want = &w->want;
	int layers = w->s->layers;
	int r;

	(void)rmtree_at(layers, w->part);
	(void)rmtree_at(layers, digest_hex(&want->chain));
	if (mkdirat(layers, w->part, 0755) < 0 ||
		(w->dirfd = openat(
			 layers, w->part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return err_set(e, errno, "make layers/%s: %s", w->part, strerror(errno));
	r = blob_writer_open(&w->blob, w->s, want->has_digest ? &want->digest : NULL,
		want->packing == PACKING_NONE && !want->has_digest, e);
	if (r == 0)
		r = unpacker_start(&w->unpacker, w->dirfd, want->packing, &want->diff_id,
			STORE_IMAGE_BYTES_MAX, cancel, e);
	return r;
}

int layer_begin(struct image_store *s, const struct layer_want *want, const atomic_bool *cancel,
	struct layer_writer *w, struct err *e)
{
	int r = take_turn(s, want->chain.text, cancel, e);

	if (r != 0)
		return r;
	*w = (struct layer_writer){.s = s,
		.want = *want,
		.dirfd = -1,
		.unpacker = {.in = -1, .control = -1},
		.blob = {.fd = -1}};
	(void)snprintf(w->part, sizeof(w->part), PART_PREFIX "%.64s", digest_hex(&want->chain));
	r = open_writer(w, cancel, e);
	if (r < 0)
		layer_drop(w);
	return r;
}

int layer_write(struct layer_writer *w, const void *buf, size_t len, struct err *e)
{
	int r = blob_writer_add(&w->blob, buf, len);

	if (r < 0)
		return err_set(e, -r, "keep a layer: %s", strerror(-r));
	return unpacker_write(&w->unpacker, buf, len, e);
}

/* Name the blob and the directory, and put them on record. With the lock, so that no removal comes
 * between. */
static int keep(struct layer_writer *w, struct err *e)
{
	const struct layer_want *want = &w->want;
	const char *name = digest_hex(&want->chain);
	enum packing packing =
		want->packing == PACKING_NONE && !want->has_digest ? PACKING_GZIP : want->packing;
	int r = blob_writer_keep(&w->blob, w->s, e);

	if (r < 0)
		return r;
	if (renameat(w->s->layers, w->part, w->s->layers, name) < 0 || fsync(w->s->layers) < 0)
		return err_set(e, errno, "keep layers/%s: %s", name, strerror(errno));
	r = db_run(w->s->db, e,
		"INSERT INTO layers (chain, diff, size, blob, packing, blob_size, plain_size) "
		"VALUES (?, ?, ?, ?, ?, ?, ?)",
		"ssisiii", want->chain.text, want->diff_id.text, (int64_t)w->unpacker.bytes,
		w->blob.digest.text, (int64_t)packing, (int64_t)w->blob.size,
		(int64_t)w->unpacker.plain_bytes);
	return r < 0 ? r : 0;
}

static void close_writer(struct layer_writer *w)
{
	unpacker_free(&w->unpacker);
	blob_writer_close(&w->blob);
	fd_close(&w->dirfd);
	leave_turn(w->s, w->want.chain.text);
}

int layer_end(struct layer_writer *w, struct err *e)
{
	int r = unpacker_finish(&w->unpacker, e);

	if (r == 0)
		r = blob_writer_finish(&w->blob, w->want.has_digest ? &w->want.digest : NULL, e);
	/* The names only after the content: power may go at any moment. */
	if (r == 0 && syncfs(w->dirfd) < 0)
		r = err_set(e, errno, "keep layers/%s: %s", w->part, strerror(errno));
	if (r == 0) {
		pthread_mutex_lock(&w->s->lock);
		r = keep(w, e);
		pthread_mutex_unlock(&w->s->lock);
	}
	if (r < 0)
		layer_drop(w);
	else
		close_writer(w);
	return r;
}

void layer_drop(struct layer_writer *w)
{
	/* First what could still write there. */
	unpacker_free(&w->unpacker);
	(void)rmtree_at(w->s->layers, w->part);
	close_writer(w);
}

int layer_exists(struct image_store *s, const struct digest *chain, struct err *e)
{
	return layer_known(s, chain->text, e);
}

int layer_write_blob(struct layer_writer *w, const struct blob *b, struct err *e)
{
	unsigned char *buf = malloc(IMAGE_READ_BYTES);
	uint64_t at = 0;
	int r = buf ? 0 : err_set(e, ENOMEM, "out of memory");

	while (r == 0 && at < b->size) {
		size_t want =
			b->size - at < IMAGE_READ_BYTES ? (size_t)(b->size - at) : IMAGE_READ_BYTES;
		ssize_t n = pread(b->fd, buf, want, (off_t)(b->offset + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			r = err_set(
				e, n < 0 ? errno : EIO, "read: %s", strerror(n < 0 ? errno : EIO));
		else
			r = layer_write(w, buf, (size_t)n, e);
		at += n > 0 ? (uint64_t)n : 0;
	}
	free(buf);
	return r;
}

static int add_layer(struct image_store *s, const struct image_source *source,
	const struct image_layer *layer, const struct digest *chain, struct err *e)
{
	struct layer_want want = {.chain = *chain,
		.diff_id = layer->diff_id,
		.has_digest = layer->has_digest,
		.digest = layer->digest};
	struct layer_writer w;
	struct blob blob;
	int r = image_source_blob(source, layer->name, &blob, e);
	int packing;

	if (r < 0)
		return r;
	packing = stream_detect(&blob);
	want.packing = packing < 0 ? PACKING_NONE : (enum packing)packing;
	if (packing < 0)
		r = err_set(e, -packing, "read: %s", strerror(-packing));
	else if (layer->packing != PACKING_ANY && layer->packing != want.packing)
		r = err_set(e, EINVAL, "is not packed as its media type says");
	else
		r = layer_begin(s, &want, NULL, &w, e);
	if (r == 0) {
		r = layer_write_blob(&w, &blob, e);
		if (r < 0)
			layer_drop(&w);
		else
			r = layer_end(&w, e);
	}
	blob_close(&blob);
	return r;
}

int layers_add(struct image_store *s, const struct image_source *source, const struct image *image,
	struct digest *chains, size_t *ret_n, struct err *e)
{
	for (*ret_n = 0; *ret_n < image->n_layers; ++*ret_n) {
		size_t i = *ret_n;
		int r = layer_chain(
			i ? &chains[i - 1] : NULL, &image->layers[i].diff_id, &chains[i]);

		if (r < 0)
			return err_set(e, -r, "out of memory");
		r = layer_hold(s, &chains[i], e);
		if (r < 0)
			return r;
		/* What is there need not be in the source. */
		r = layer_known(s, chains[i].text, e);
		if (r == 0)
			r = add_layer(s, source, &image->layers[i], &chains[i], e);
		if (r < 0) {
			/* This one is held as well. */
			++*ret_n;
			return err_wrap(e, "layer %zu of %zu", i + 1, image->n_layers);
		}
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
