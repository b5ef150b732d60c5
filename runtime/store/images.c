#include "runtime/store/images.h"

#include "lib/base/fd.h"
#include "lib/util/rmtree.h"
#include "runtime/image/layer.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

/* bytes that one image may unpack to */
#define STORE_IMAGE_BYTES_MAX (32ULL << 30)

/* what a layer's directory is called until it is complete */
#define PART_PREFIX ".part-"

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int open_dir(int root, const char *name, mode_t mode)
{
	if (mkdirat(root, name, mode) < 0 && errno != EEXIST)
		return -errno;
	root = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return root < 0 ? -errno : root;
}

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

/* Remove half-made layers and those that are on no record. */
static int sweep(struct image_store *s, struct err *e)
{
	int fd = openat(s->layers, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!d)
		return err_set(e, errno, "layers: %s", strerror(errno));
	while (r >= 0 && (entry = readdir(d))) {
		char chain[IMAGE_ID_BYTES + 256];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(chain, sizeof(chain), "sha256:%s", entry->d_name);
		r = layer_known(s, chain, e);
		if (r == 0) {
			r = rmtree_at(s->layers, entry->d_name);
			if (r < 0)
				err_set(e, -r, "remove layers/%s: %s", entry->d_name, strerror(-r));
		}
	}
	closedir(d);
	return r < 0 ? r : 0;
}

int image_store_open(struct image_store *s, int root, struct db *db, struct err *e)
{
	*s = (struct image_store){.db = db, .layers = -1, .spool = -1};
	pthread_mutex_init(&s->lock, NULL);
	s->layers = open_dir(root, "layers", 0710);
	s->spool = open_dir(root, "spool", 0700);
	if (s->layers < 0 || s->spool < 0) {
		int r = s->layers < 0 ? s->layers : s->spool;

		image_store_close(s);
		return err_set(e, -r, "open the image store: %s", strerror(-r));
	}
	return sweep(s, e);
}

void image_store_close(struct image_store *s)
{
	fd_close(&s->layers);
	fd_close(&s->spool);
	pthread_mutex_destroy(&s->lock);
}

int image_store_open_layer(const struct image_store *s, const char *chain)
{
	const char *hex = strchr(chain, ':');
	int fd = openat(
		s->layers, hex ? hex + 1 : chain, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Unpack one layer into the open directory @fd. Returns its bytes, or -errno. */
static int64_t unpack_into(
	int fd, const struct image_source *source, const struct image_layer *layer, struct err *e)
{
	struct layer_policy policy = {
		.bytes_left = STORE_IMAGE_BYTES_MAX, .entries_left = IMAGE_ENTRIES_MAX};
	struct stream stream;
	struct tree tree;
	struct blob blob;
	int r = image_source_blob(source, layer->name, &blob, e);

	if (r < 0)
		return r;
	tree_init(&tree, fd);
	tree.overlay = 1;
	r = stream_open(&stream, &blob, layer->packing, layer->has_digest ? &layer->digest : NULL,
		&layer->diff_id, UINT64_MAX, e);
	if (r == 0) {
		r = layer_unpack(&tree, &stream, &policy, e);
		stream_close(&stream);
	}
	if (r == 0) {
		r = tree_finish(&tree);
		if (r < 0)
			err_set(e, -r, "set the times of directories: %s", strerror(-r));
	}
	tree_free(&tree);
	blob_close(&blob);
	return r < 0 ? r : (int64_t)(STORE_IMAGE_BYTES_MAX - policy.bytes_left);
}

/* Make layers/HEX. Returns its bytes, or -errno; then nothing is left. */
static int64_t make_layer(struct image_store *s, const struct image_source *source,
	const struct image_layer *layer, const char *chain, struct err *e)
{
	const char *name = chain + strlen("sha256:");
	char part[IMAGE_ID_BYTES + 16];
	AUTO_CLOSE int fd = -1;
	int64_t size;

	(void)snprintf(part, sizeof(part), PART_PREFIX "%s", name);
	(void)rmtree_at(s->layers, part);
	(void)rmtree_at(s->layers, name);
	if (mkdirat(s->layers, part, 0755) < 0 ||
		(fd = openat(s->layers, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return err_set(e, errno, "make layers/%s: %s", part, strerror(errno));
	size = unpack_into(fd, source, layer, e);
	/* The names only after the content: power may go at any moment. */
	if (size >= 0 && (syncfs(fd) < 0 || renameat(s->layers, part, s->layers, name) < 0 ||
				 fsync(s->layers) < 0))
		size = err_set(e, errno, "keep layers/%s: %s", name, strerror(errno));
	if (size < 0)
		(void)rmtree_at(s->layers, part);
	return size;
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

/* Have all layers; @chains gets one entry per layer. */
static int add_layers(struct image_store *s, const struct image_source *source,
	const struct image *image, struct digest *chains, struct err *e)
{
	for (size_t i = 0; i < image->n_layers; i++) {
		int64_t size;
		int r = chain_id(
			i ? chains[i - 1].text : "", &image->layers[i].diff_id, &chains[i]);

		if (r < 0)
			return err_set(e, -r, "out of memory");
		r = layer_known(s, chains[i].text, e);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		size = make_layer(s, source, &image->layers[i], chains[i].text, e);
		if (size < 0)
			return err_wrap(e, "layer %zu of %zu", i + 1, image->n_layers);
		r = db_run(s->db, e, "INSERT INTO layers (chain, diff, size) VALUES (?, ?, ?)",
			"ssi", chains[i].text, image->layers[i].diff_id.text, size);
		if (r < 0)
			return r;
	}
	return 0;
}

static int record(struct image_store *s, const char *id, const char *config,
	const struct digest *chains, size_t n, struct err *e)
{
	int r = db_run(s->db, e,
		"INSERT INTO images (id, config, size, tagged_ns) VALUES (?, ?, 0, ?) "
		"ON CONFLICT (id) DO NOTHING",
		"ssi", id, config, now_ns());

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = db_run(s->db, e,
			"INSERT OR REPLACE INTO image_layers (image, position, chain) VALUES (?, "
			"?, ?)",
			"sis", id, (int64_t)i, chains[i].text);
	return r < 0 ? r
		     : db_run(s->db, e,
			       "UPDATE images SET size = (SELECT coalesce(sum(l.size), 0) FROM "
			       "image_layers i JOIN layers l ON l.chain = i.chain WHERE i.image = "
			       "images.id) WHERE id = ?",
			       "s", id);
}

static int add_locked(struct image_store *s, const struct image_source *source,
	const struct image *image, const char *const *names, size_t n, char *id, struct err *e)
{
	struct digest *chains = calloc(image->n_layers + 1, sizeof(*chains));
	int r;

	if (!chains)
		return err_set(e, ENOMEM, "out of memory");
	r = add_layers(s, source, image, chains, e);
	if (r == 0)
		r = db_begin(s->db, e);
	if (r == 0) {
		int ended;

		r = record(s, id, image->config_text, chains, image->n_layers, e);
		for (size_t i = 0; r >= 0 && i < n; i++)
			r = image_store_name(s, id, names[i], e);
		ended = db_end(s->db, r >= 0, e);
		r = r < 0 ? r : ended;
	}
	free(chains);
	return r;
}

int image_store_add(struct image_store *s, const struct image_source *source,
	const struct image *image, const char *const *names, size_t n,
	char ret_id[static IMAGE_ID_BYTES], struct err *e)
{
	int r;

	(void)snprintf(ret_id, IMAGE_ID_BYTES, "%.71s", image->id.text);
	pthread_mutex_lock(&s->lock);
	r = add_locked(s, source, image, names, n, ret_id, e);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int image_store_name(struct image_store *s, const char *id, const char *name, struct err *e)
{
	char shorter[REFERENCE_BYTES_MAX];
	int r = reference_shorten(name, shorter, sizeof(shorter));

	if (r < 0)
		return err_set(e, EINVAL, "invalid reference format: \"%.128s\"", name);
	r = db_run(s->db, e,
		"INSERT INTO names (name, image) VALUES (?, ?) "
		"ON CONFLICT (name) DO UPDATE SET image = excluded.image",
		"ss", shorter, id);
	if (r >= 0)
		r = db_run(s->db, e, "UPDATE images SET tagged_ns = ? WHERE id = ?", "is", now_ns(),
			id);
	return r < 0 ? r : 0;
}

static int read_number(void *arg, const struct db_row *row)
{
	*(int64_t *)arg = db_i64(row, 0);
	return 1;
}

int image_store_unname(struct image_store *s, const char *id, const char *name, struct err *e)
{
	char shorter[REFERENCE_BYTES_MAX];
	int64_t left = 0;
	int r = reference_shorten(name, shorter, sizeof(shorter));

	if (r == 0)
		r = db_run(s->db, e, "DELETE FROM names WHERE name = ? AND image = ?", "ss",
			shorter, id);
	if (r <= 0)
		return r < 0 ? r : err_set(e, ENOENT, "No such image: %.128s", name);
	r = db_each(s->db, e, read_number, &left, "SELECT count(*) FROM names WHERE image = ?", "s",
		id);
	return r < 0 ? r : (int)left;
}

struct chain_list {
	char **v;
	size_t n;
	int failed;
};

static int add_text(void *arg, const struct db_row *row)
{
	struct chain_list *list = arg;
	char **v = realloc(list->v, (list->n + 2) * sizeof(*v));

	if (!v) {
		list->failed = 1;
		return 1;
	}
	list->v = v;
	v[list->n] = strdup(db_text(row, 0));
	v[list->n + 1] = NULL;
	if (!v[list->n]) {
		list->failed = 1;
		return 1;
	}
	list->n++;
	return 0;
}

static void free_list(struct chain_list *list)
{
	for (size_t i = 0; list->v && i < list->n; i++)
		free(list->v[i]);
	free(list->v);
	*list = (struct chain_list){0};
}

/* The first column of a query's rows. */
static int list_texts(struct image_store *s, struct chain_list *list, const char *sql,
	const char *types, const char *value, struct err *e)
{
	int r = db_each(s->db, e, add_text, list, sql, types, value);

	if (r >= 0 && list->failed)
		r = err_set(e, ENOMEM, "out of memory");
	if (r >= 0 && !list->v) {
		list->v = calloc(1, sizeof(*list->v));
		r = list->v ? 0 : err_set(e, ENOMEM, "out of memory");
	}
	if (r < 0)
		free_list(list);
	return r < 0 ? r : 0;
}

static int remove_locked(struct image_store *s, const char *id, struct err *e)
{
	struct chain_list gone = {0};
	int r = db_begin(s->db, e);
	int ended;

	if (r < 0)
		return r;
	r = db_run(s->db, e, "DELETE FROM images WHERE id = ?", "s", id);
	if (r >= 0)
		r = list_texts(s, &gone,
			"SELECT chain FROM layers WHERE chain NOT IN (SELECT chain FROM "
			"image_layers)",
			"", NULL, e);
	if (r >= 0)
		r = db_run(s->db, e,
			"DELETE FROM layers WHERE chain NOT IN (SELECT chain FROM image_layers)",
			"");
	ended = db_end(s->db, r >= 0, e);
	r = r < 0 ? r : ended;
	/* On no record any more: what is not removed now goes when the store is opened next. */
	for (size_t i = 0; r >= 0 && gone.v && gone.v[i]; i++)
		(void)rmtree_at(s->layers, gone.v[i] + strlen("sha256:"));
	free_list(&gone);
	return r < 0 ? r : 0;
}

int image_store_remove(struct image_store *s, const char *id, struct err *e)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = remove_locked(s, id, e);
	pthread_mutex_unlock(&s->lock);
	return r;
}

int image_store_list(struct image_store *s, char ***ret_ids, struct err *e)
{
	struct chain_list list = {0};
	int r = list_texts(
		s, &list, "SELECT id FROM images ORDER BY tagged_ns DESC, id", "", NULL, e);

	if (r == 0)
		*ret_ids = list.v;
	return r;
}

/* By id or its beginning: at least one hexadecimal digit, with or without "sha256:". */
static int find_by_id(struct image_store *s, const char *ref, char *ret_id, struct err *e)
{
	const char *hex = strncmp(ref, "sha256:", 7) == 0 ? ref + 7 : ref;
	struct chain_list list = {0};
	char pattern[IMAGE_ID_BYTES + 2];
	size_t len = strlen(hex);
	int r;

	if (len == 0 || len > 64 || strspn(hex, "0123456789abcdef") != len)
		return -ENOENT;
	(void)snprintf(pattern, sizeof(pattern), "sha256:%s%%", hex);
	r = list_texts(s, &list, "SELECT id FROM images WHERE id LIKE ? LIMIT 2", "s", pattern, e);
	if (r < 0)
		return r;
	r = list.n == 1 ? 0 : list.n == 0 ? -ENOENT : -EINVAL;
	if (r == 0)
		(void)snprintf(ret_id, IMAGE_ID_BYTES, "%s", list.v[0]);
	free_list(&list);
	return r == -EINVAL ? err_set(e, EINVAL, "ambiguous image id: %.72s", ref) : r;
}

int image_store_find(
	struct image_store *s, const char *ref, char ret_id[static IMAGE_ID_BYTES], struct err *e)
{
	char shorter[REFERENCE_BYTES_MAX];
	struct chain_list list = {0};
	int r = reference_shorten(ref, shorter, sizeof(shorter));

	if (r < 0)
		return err_set(e, EINVAL, "invalid reference format: \"%.128s\"", ref);
	r = list_texts(s, &list, "SELECT image FROM names WHERE name = ?", "s", shorter, e);
	if (r < 0)
		return r;
	if (list.n)
		(void)snprintf(ret_id, IMAGE_ID_BYTES, "%s", list.v[0]);
	r = list.n ? 0 : find_by_id(s, ref, ret_id, e);
	free_list(&list);
	return r == -ENOENT ? err_set(e, ENOENT, "No such image: %.256s", shorter) : r;
}

static int read_image(void *arg, const struct db_row *row)
{
	struct image_record *r = arg;
	struct err ignored = {0};
	const char *text = db_text(row, 0);

	r->size = db_i64(row, 1);
	r->tagged_ns = db_i64(row, 2);
	if (document_parse_copy(&r->config_doc, text, strlen(text), "image config", &ignored) ==
			0 &&
		image_config_read(&r->config_doc, &r->config, &ignored) < 0)
		document_free(&r->config_doc);
	return 1;
}

int image_store_get(struct image_store *s, const char *id, struct image_record *ret, struct err *e)
{
	struct chain_list chains = {0};
	struct chain_list names = {0};
	int r;

	*ret = (struct image_record){0};
	(void)snprintf(ret->id, sizeof(ret->id), "%s", id);
	r = db_each(s->db, e, read_image, ret,
		"SELECT config, size, tagged_ns FROM images WHERE id = ?", "s", id);
	if (r == 0)
		r = err_set(e, ENOENT, "No such image: %.72s", id);
	else if (r > 0 && !ret->config_doc.doc)
		r = err_set(e, EBADMSG, "image %.72s: its record is damaged", id);
	if (r > 0)
		r = list_texts(s, &chains,
			"SELECT chain FROM image_layers WHERE image = ? ORDER BY position", "s", id,
			e);
	if (r == 0)
		r = list_texts(s, &names, "SELECT name FROM names WHERE image = ? ORDER BY name",
			"s", id, e);
	ret->chains = chains.v;
	ret->n_chains = chains.n;
	ret->names = names.v;
	ret->n_names = names.n;
	if (r < 0)
		image_record_free(ret);
	return r < 0 ? r : 0;
}

void image_record_free(struct image_record *r)
{
	struct chain_list chains = {r->chains, r->n_chains, 0};
	struct chain_list names = {r->names, r->n_names, 0};

	free_list(&chains);
	free_list(&names);
	document_free(&r->config_doc);
	*r = (struct image_record){0};
}
