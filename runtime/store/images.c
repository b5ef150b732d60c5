#include "runtime/store/images.h"

#include "lib/base/fd.h"
#include "lib/base/time.h"
#include "lib/util/rmtree.h"
#include "runtime/store/blobs.h"
#include "runtime/store/layers.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int open_dir(int root, const char *name, mode_t mode)
{
	if (mkdirat(root, name, mode) < 0 && errno != EEXIST)
		return -errno;
	root = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return root < 0 ? -errno : root;
}

int image_store_open(struct image_store *s, int root, struct db *db, struct err *e)
{
	int r;

	*s = (struct image_store){.root = root, .db = db, .layers = -1, .spool = -1};
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->made, NULL);
	s->layers = open_dir(root, "layers", 0710);
	s->spool = open_dir(root, "spool", 0700);
	if (s->layers < 0 || s->spool < 0) {
		r = s->layers < 0 ? s->layers : s->spool;
		image_store_close(s);
		return err_set(e, -r, "open the image store: %s", strerror(-r));
	}
	/* Who holds what is forgotten with the engine. */
	r = db_run(db, e, "CREATE TEMP TABLE held (chain TEXT NOT NULL)", "");
	if (r < 0)
		return r;
	image_store_collect(s);
	r = layers_sweep(s, e);
	return r < 0 ? r : blob_store_sweep(s, e);
}

void image_store_close(struct image_store *s)
{
	fd_close(&s->layers);
	fd_close(&s->spool);
	pthread_cond_destroy(&s->made);
	pthread_mutex_destroy(&s->lock);
}

static int record(struct image_store *s, const char *id, const char *config,
	const struct digest *chains, size_t n, struct err *e)
{
	int r = db_run(s->db, e,
		"INSERT INTO images (id, config, size, tagged_ns) VALUES (?, ?, 0, ?) "
		"ON CONFLICT (id) DO NOTHING",
		"ssi", id, config, realtime_ns());

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

int image_store_record(struct image_store *s, const struct image *image,
	const struct digest *chains, const struct image_manifest *manifest,
	const char *const *names, size_t n, struct err *e)
{
	int r = db_begin(s->db, e);
	int ended;

	if (r < 0)
		return r;
	r = record(s, image->id.text, image->config_text, chains, image->n_layers, e);
	if (r >= 0 && manifest)
		r = db_run(s->db, e,
			"INSERT OR REPLACE INTO manifests (image, media_type, text) VALUES (?, ?, "
			"?)",
			"sss", image->id.text, manifest->media_type, manifest->text);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = image_store_name(s, image->id.text, names[i], e);
	ended = db_end(s->db, r >= 0, e);
	return r < 0 ? r : ended;
}

int image_store_add(struct image_store *s, const struct image_source *source,
	const struct image *image, const char *const *names, size_t n,
	char ret_id[static IMAGE_ID_BYTES], struct err *e)
{
	struct digest *chains = calloc(image->n_layers + 1, sizeof(*chains));
	size_t held = 0;
	int r;

	(void)snprintf(ret_id, IMAGE_ID_BYTES, "%.71s", image->id.text);
	if (!chains)
		return err_set(e, ENOMEM, "out of memory");
	r = layers_add(s, source, image, chains, &held, e);
	if (r == 0)
		r = image_store_record(s, image, chains, NULL, names, n, e);
	layer_release(s, chains, held);
	free(chains);
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
		r = db_run(s->db, e, "UPDATE images SET tagged_ns = ? WHERE id = ?", "is",
			realtime_ns(), id);
	return r < 0 ? r : 0;
}

static int read_number(void *arg, const struct db_row *row)
{
	*(int64_t *)arg = db_i64(row, 0);
	return 1;
}

int image_store_layers_size(struct image_store *s, int64_t *ret, struct err *e)
{
	int r = db_each(
		s->db, e, read_number, ret, "SELECT coalesce(sum(size), 0) FROM layers", "");

	return r < 0 ? r : 0;
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

#define UNUSED_LAYERS                                                                              \
	"FROM layers WHERE chain NOT IN (SELECT chain FROM image_layers) "                         \
	"AND chain NOT IN (SELECT chain FROM held)"

/* The layers that no image has and nobody holds go off the record, their names into the lists. */
static int forget_layers(
	struct image_store *s, struct chain_list *chains, struct chain_list *blobs, struct err *e)
{
	int r = db_begin(s->db, e);
	int ended;

	if (r < 0)
		return r;
	r = list_texts(s, chains, "SELECT chain " UNUSED_LAYERS, "", NULL, e);
	if (r >= 0)
		r = list_texts(
			s, blobs, "SELECT blob " UNUSED_LAYERS " AND blob != ''", "", NULL, e);
	if (r >= 0 && chains->n)
		r = db_run(s->db, e, "DELETE " UNUSED_LAYERS, "");
	ended = db_end(s->db, r >= 0, e);
	return r < 0 ? r : ended;
}

void image_store_collect(struct image_store *s)
{
	struct chain_list chains = {0};
	struct chain_list blobs = {0};
	struct err ignored = {0};
	int r = forget_layers(s, &chains, &blobs, &ignored);

	/* On no record any more: what is not removed now goes when the store is opened next. */
	for (size_t i = 0; r >= 0 && i < chains.n; i++)
		(void)rmtree_at(s->layers, chains.v[i] + strlen("sha256:"));
	for (size_t i = 0; r >= 0 && i < blobs.n; i++)
		blob_store_drop(s, blobs.v[i]);
	free_list(&chains);
	free_list(&blobs);
}

int image_store_remove(struct image_store *s, const char *id, struct err *e)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = db_run(s->db, e, "DELETE FROM images WHERE id = ?", "s", id);
	if (r >= 0)
		image_store_collect(s);
	pthread_mutex_unlock(&s->lock);
	return r < 0 ? r : 0;
}

int image_store_config(struct image_store *s, const char *id, char **ret, struct err *e)
{
	struct chain_list list = {0};
	int r = list_texts(s, &list, "SELECT config FROM images WHERE id = ?", "s", id, e);

	if (r < 0)
		return r;
	if (list.n == 0)
		r = err_set(e, ENOENT, "No such image: %.72s", id);
	else
		*ret = list.v[0];
	list.n = 0; /* handed on */
	free_list(&list);
	return r;
}

struct size_list {
	int64_t *v;
	size_t n;
	int failed;
};

static int add_size(void *arg, const struct db_row *row)
{
	struct size_list *list = arg;
	int64_t *v = realloc(list->v, (list->n + 1) * sizeof(*v));

	if (!v) {
		list->failed = 1;
		return 1;
	}
	v[list->n++] = db_i64(row, 0);
	list->v = v;
	return 0;
}

int image_store_layer_sizes(
	struct image_store *s, const char *id, int64_t **ret, size_t *ret_n, struct err *e)
{
	struct size_list list = {0};
	int r = db_each(s->db, e, add_size, &list,
		"SELECT l.size FROM image_layers i JOIN layers l ON l.chain = i.chain "
		"WHERE i.image = ? ORDER BY i.position",
		"s", id);

	if (r >= 0 && list.failed)
		r = err_set(e, ENOMEM, "out of memory");
	if (r < 0) {
		free(list.v);
		return r;
	}
	*ret = list.v;
	*ret_n = list.n;
	return 0;
}

int64_t image_store_shared_size(struct image_store *s, const char *id, struct err *e)
{
	int64_t size = 0;
	int r = db_each(s->db, e, read_number, &size,
		"SELECT coalesce(sum(l.size), 0) FROM image_layers i JOIN layers l ON l.chain = "
		"i.chain WHERE i.image = ? AND EXISTS (SELECT 1 FROM image_layers o WHERE o.chain "
		"= "
		"i.chain AND o.image != i.image)",
		"s", id);

	return r < 0 ? r : size;
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

struct texts {
	char *config;
	struct buf *manifest;
	char *media_type;
	size_t size;
	int failed;
};

static int read_texts(void *arg, const struct db_row *row)
{
	struct texts *t = arg;

	t->config = strdup(db_text(row, 0));
	t->failed = !t->config || buf_add_str(t->manifest, db_text(row, 1)) < 0;
	(void)snprintf(t->media_type, t->size, "%s", db_text(row, 2));
	return 1;
}

int image_store_texts(struct image_store *s, const char *id, char **ret_config,
	struct buf *manifest, char *media_type, size_t size, struct err *e)
{
	struct texts t = {.manifest = manifest, .media_type = media_type, .size = size};
	int r = db_each(s->db, e, read_texts, &t,
		"SELECT i.config, m.text, m.media_type FROM images i LEFT JOIN manifests m "
		"ON m.image = i.id WHERE i.id = ?",
		"s", id);

	if (r == 0)
		r = err_set(e, ENOENT, "No such image: %.72s", id);
	else if (r > 0 && t.failed)
		r = err_set(e, ENOMEM, "out of memory");
	if (r < 0) {
		free(t.config);
		return r;
	}
	*ret_config = t.config;
	return 0;
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
