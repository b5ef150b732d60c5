#include "runtime/store/volumes.h"

#include "lib/base/fd.h"
#include "lib/util/rmtree.h"
#include "runtime/store/volume_fill.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Where directories are until they are complete, and while they are removed. No volume's name
 * begins with a dot. */
#define NEW ".new"
#define GONE ".gone"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int volume_check_name(const char *name, struct err *e)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t len = strlen(name);

	if (len == 1)
		return err_set(e, EINVAL,
			"create %s: volume name is too short, names should be at least two "
			"alphanumeric characters",
			name);
	if (len == 0)
		return err_set(e, EINVAL, "create: the volume's name is missing");
	for (size_t i = 0; i < len; i++)
		if (!strchr(first, name[i]) && (i == 0 || !strchr("_.-", name[i])))
			return err_set(e, EINVAL,
				"create %.200s: \"%.100s\" includes invalid characters for a local "
				"volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If "
				"you "
				"intended to pass a host directory, use absolute path",
				name, name);
	if (len >= VOLUME_NAME_BYTES)
		return err_set(e, EINVAL, "create %.32s…: a volume's name has at most %d bytes",
			name, VOLUME_NAME_BYTES - 1);
	return 0;
}

static yyjson_val *member(const struct volume *v, const char *key)
{
	return yyjson_obj_get(yyjson_doc_get_root(v->record), key);
}

yyjson_val *volume_labels(const struct volume *v)
{
	return member(v, "Labels");
}

yyjson_val *volume_options(const struct volume *v)
{
	return member(v, "Options");
}

int64_t volume_created_ns(const struct volume *v)
{
	return yyjson_get_sint(member(v, "Created"));
}

bool volume_is_mounted(const struct volume *v)
{
	return yyjson_obj_get(volume_options(v), "type") != NULL;
}

/* The record's text, to be freed; NULL is out of memory. */
static char *print_record(yyjson_val *labels, yyjson_val *options, int64_t created)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	char *text;

	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_int(doc, top, "Created", created);
	yyjson_mut_obj_add_val(doc, top, "Labels",
		labels ? yyjson_val_mut_copy(doc, labels) : yyjson_mut_null(doc));
	yyjson_mut_obj_add_val(doc, top, "Options",
		options ? yyjson_val_mut_copy(doc, options) : yyjson_mut_null(doc));
	text = yyjson_mut_write(doc, 0, NULL);
	yyjson_mut_doc_free(doc);
	return text;
}

/* Put it on record. Returns 0, -EEXIST or -errno. */
static int record(struct volume_store *s, const char *name, yyjson_val *labels, yyjson_val *options,
	int64_t created, const char *maker, struct err *e)
{
	char *text = print_record(labels, options, created);
	int r = text ? db_run(s->db, e,
			       "INSERT INTO volumes (name, record, maker) VALUES (?, ?, ?)", "sss",
			       name, text, maker)
		     : err_set(e, ENOMEM, "out of memory");

	free(text);
	return r < 0 ? r : 0;
}

static int open_in(int dir, const char *name)
{
	int fd = openat(dir, name, DIR_FLAGS);

	return fd < 0 ? -errno : fd;
}

/* Make NEW/@name with its _data. */
static int make_new(int dir, const char *name)
{
	AUTO_CLOSE int fresh = open_in(dir, NEW);
	AUTO_CLOSE int own = -1;

	if (fresh < 0)
		return fresh;
	if (mkdirat(fresh, name, 0701) < 0)
		return -errno;
	own = open_in(fresh, name);
	if (own < 0)
		return own;
	if (mkdirat(own, "_data", 0755) < 0 || fsync(own) < 0)
		return -errno;
	return 0;
}

/* Rename @name between two of the store's directories, for good. */
static int move(int dir, const char *from, const char *to, const char *name)
{
	AUTO_CLOSE int a = open_in(dir, from);
	AUTO_CLOSE int b = open_in(dir, to);

	if (a < 0 || b < 0)
		return a < 0 ? a : b;
	return renameat(a, name, b, name) < 0 || fsync(b) < 0 || fsync(a) < 0 ? -errno : 0;
}

static void drop_in(int dir, const char *place, const char *name)
{
	AUTO_CLOSE int fd = open_in(dir, place);

	/* What does not go now goes when the store is opened next. */
	if (fd >= 0)
		(void)rmtree_at(fd, name);
}

static int add_locked(struct volume_store *s, const char *name, yyjson_val *labels,
	yyjson_val *options, const char *maker, struct err *e)
{
	struct stat st;
	int r;

	if (fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	drop_in(s->dir, NEW, name);
	r = make_new(s->dir, name);
	if (r < 0)
		return err_set(e, -r, "create %s: %s", name, strerror(-r));
	r = record(s, name, labels, options, now_ns(), maker, e);
	if (r == 0) {
		r = move(s->dir, NEW, ".", name);
		if (r < 0) {
			struct err ignored = {0};

			err_set(e, -r, "create %s: %s", name, strerror(-r));
			(void)db_run(
				s->db, &ignored, "DELETE FROM volumes WHERE name = ?", "s", name);
		}
	}
	if (r < 0)
		drop_in(s->dir, NEW, name);
	return r < 0 ? r : 1;
}

int volume_store_add(struct volume_store *s, const char *name, yyjson_val *labels,
	yyjson_val *options, const char *maker, struct err *e)
{
	int r = volume_check_name(name, e);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	r = add_locked(s, name, labels, options, maker, e);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int read_record(void *arg, const struct db_row *row)
{
	struct volume *v = arg;
	const char *text = db_text(row, 0);

	v->record = yyjson_read(text, strlen(text), 0);
	return 1;
}

int volume_store_get(struct volume_store *s, const char *name, struct volume *ret, struct err *e)
{
	int r;

	*ret = (struct volume){0};
	(void)snprintf(ret->name, sizeof(ret->name), "%s", name);
	r = db_each(
		s->db, e, read_record, ret, "SELECT record FROM volumes WHERE name = ?", "s", name);
	if (r == 0)
		return err_set(e, ENOENT, "get %.255s: no such volume", name);
	if (r > 0 && !ret->record)
		return err_set(e, EBADMSG, "volume %s: its record is damaged", name);
	return r < 0 ? r : 0;
}

void volume_free(struct volume *v)
{
	yyjson_doc_free(v->record);
	*v = (struct volume){0};
}

struct names {
	char **v;
	size_t n;
	bool failed;
};

static int add_name(void *arg, const struct db_row *row)
{
	struct names *list = arg;
	char **v = reallocarray(list->v, list->n + 2, sizeof(*v));

	if (v) {
		list->v = v;
		v[list->n] = strdup(db_text(row, 0));
		v[list->n + 1] = NULL;
	}
	if (!v || !v[list->n]) {
		list->failed = true;
		return 1;
	}
	list->n++;
	return 0;
}

int volume_store_list(struct volume_store *s, const char *maker, char ***ret_names, struct err *e)
{
	static const char all[] = "SELECT name FROM volumes ORDER BY name";
	static const char orphans[] = "SELECT name FROM volumes WHERE maker IS NOT NULL AND "
				      "maker NOT IN (SELECT id FROM containers) ORDER BY name";
	static const char one[] = "SELECT name FROM volumes WHERE maker = ? ORDER BY name";
	bool named = maker && maker[0];
	struct names list = {.v = calloc(1, sizeof(char *))};
	int r = list.v ? db_each(s->db, e, add_name, &list,
				 named	 ? one
				 : maker ? orphans
					 : all,
				 named ? "s" : "", maker)
		       : -ENOMEM;

	if (r == -ENOMEM || list.failed)
		r = err_set(e, ENOMEM, "out of memory");
	if (r < 0) {
		for (size_t i = 0; list.v && list.v[i]; i++)
			free(list.v[i]);
		free(list.v);
		return r;
	}
	*ret_names = list.v;
	return 0;
}

int volume_store_claim(struct volume_store *s, const char *name, const char *maker, struct err *e)
{
	int r = db_run(s->db, e, "UPDATE volumes SET maker = ? WHERE name = ?", "ss", maker, name);

	return r < 0 ? r : 0;
}

int volume_store_settle(struct volume_store *s, const char *maker, struct err *e)
{
	int r = db_run(s->db, e, "UPDATE volumes SET maker = NULL WHERE maker = ?", "s", maker);

	return r < 0 ? r : 0;
}

int volume_store_remove(struct volume_store *s, const char *name, struct err *e)
{
	int r;

	pthread_mutex_lock(&s->lock);
	drop_in(s->dir, GONE, name);
	r = move(s->dir, ".", GONE, name);
	if (r == 0 || r == -ENOENT) {
		r = db_run(s->db, e, "DELETE FROM volumes WHERE name = ?", "s", name);
		drop_in(s->dir, GONE, name);
	} else {
		err_set(e, -r, "remove %s: %s", name, strerror(-r));
	}
	pthread_mutex_unlock(&s->lock);
	return r < 0 ? r : 0;
}

int volume_store_open_data(const struct volume_store *s, const char *name)
{
	AUTO_CLOSE int own = open_in(s->dir, name);

	return own < 0 ? own : open_in(own, "_data");
}

int volume_store_fill(
	struct volume_store *s, const char *name, int from, bool mounted, struct err *e)
{
	AUTO_CLOSE int own = open_in(s->dir, name);
	int r = own < 0 ? err_set(e, -own, "volume %s: %s", name, strerror(-own)) : 0;

	if (r < 0)
		return r;
	if (mounted)
		return volume_fill_straight(own, name, from, e);
	return volume_fill(own, name, from, &s->lock, e);
}

/* What has a directory and no record: whoever put it there wants it kept. */
static int adopt(struct volume_store *s, const char *name, const struct stat *st, struct err *e)
{
	int64_t created = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	struct err ignored = {0};
	int r;

	if (volume_check_name(name, &ignored) < 0)
		return 0;
	r = record(s, name, NULL, NULL, created, NULL, e);
	return r == -EEXIST ? 0 : r;
}

static int sweep_directories(struct volume_store *s, struct err *e)
{
	int fd = openat(s->dir, ".", DIR_FLAGS);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!d)
		return err_set(e, errno, "volumes: %s", strerror(errno));
	while (r == 0 && (entry = readdir(d))) {
		AUTO_CLOSE int own = -1;
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		own = open_in(s->dir, entry->d_name);
		if (own < 0 || fstat(own, &st) < 0)
			continue;
		r = volume_fill_resume(own, entry->d_name, e);
		if (r == 0)
			r = adopt(s, entry->d_name, &st, e);
	}
	closedir(d);
	return r;
}

/* Records of volumes that have no directory: not made in full, or removed but for that. */
static int sweep_records(struct volume_store *s, struct err *e)
{
	char **names;
	int r = volume_store_list(s, NULL, &names, e);

	if (r < 0)
		return r;
	for (size_t i = 0; names[i]; i++) {
		struct stat st;

		if (r >= 0 && fstatat(s->dir, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0 &&
			errno == ENOENT)
			r = db_run(s->db, e, "DELETE FROM volumes WHERE name = ?", "s", names[i]);
		free(names[i]);
	}
	free(names);
	return r < 0 ? r : 0;
}

int volume_store_open(struct volume_store *s, int root, struct db *db, struct err *e)
{
	static const char *const places[] = {NEW, GONE};
	int r = 0;

	*s = (struct volume_store){.db = db, .dir = -1};
	pthread_mutex_init(&s->lock, NULL);
	if (mkdirat(root, "volumes", 0701) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0) {
		s->dir = open_in(root, "volumes");
		r = s->dir < 0 ? s->dir : 0;
	}
	for (size_t i = 0; r == 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		AUTO_CLOSE int place = -1;

		if (mkdirat(s->dir, places[i], 0700) < 0 && errno != EEXIST)
			r = -errno;
		else if ((place = open_in(s->dir, places[i])) >= 0)
			/* Something mounted inside makes it fail: then it goes another time. */
			(void)rmtree_contents(place);
	}
	if (r < 0) {
		volume_store_close(s);
		return err_set(e, -r, "open the volumes: %s", strerror(-r));
	}
	r = sweep_records(s, e);
	return r < 0 ? r : sweep_directories(s, e);
}

void volume_store_close(struct volume_store *s)
{
	fd_close(&s->dir);
	pthread_mutex_destroy(&s->lock);
}
