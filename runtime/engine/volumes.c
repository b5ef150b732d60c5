#include "runtime/engine/volumes.h"

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "runtime/engine/container.h"
#include "runtime/engine/hostmounts.h"
#include "runtime/engine/mountpoints.h"
#include "runtime/engine/volume_mount.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct volume_hold {
	struct volume_hold *next;
	char name[VOLUME_NAME_BYTES];
	char maker[CONTAINER_ID_BYTES];
};

struct volume_mount {
	struct volume_mount *next;
	char name[VOLUME_NAME_BYTES];
	unsigned users;
};

int volumes_open(struct engine *en, struct err *e)
{
	pthread_mutex_init(&en->volumes.lock, NULL);
	return volume_store_open(&en->volumes.store, en->root, &en->db, e);
}

void volume_path(const struct engine *en, const char *name, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s/volumes/%s/_data", en->paths.root, name);
}

int64_t volume_size(struct engine *en, const char *name)
{
	int fd = volume_store_open_data(&en->volumes.store, name);

	return fd < 0 ? 0 : size_below(fd);
}

void volume_tell(struct engine *en, const char *name, const char *action, const char *const *more)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *attributes = yyjson_mut_obj(doc);

	for (; more && more[0]; more += 2)
		yyjson_mut_obj_add_str(doc, attributes, more[0], more[1]);
	events_tell(&en->events, "volume", action, name, attributes);
	yyjson_mut_doc_free(doc);
}

static void tell_local(struct engine *en, const char *name, const char *action)
{
	static const char *const local[] = {"driver", "local", NULL};

	volume_tell(en, name, action, local);
}

/* The labels, with the one that says that nobody gave it a name. */
static yyjson_doc *anonymous_labels(yyjson_val *labels)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = labels && yyjson_is_obj(labels) ? yyjson_val_mut_copy(doc, labels)
							      : yyjson_mut_obj(doc);
	yyjson_doc *made;

	yyjson_mut_doc_set_root(doc, top);
	if (!yyjson_mut_obj_get(top, VOLUME_ANONYMOUS_LABEL))
		yyjson_mut_obj_add_str(doc, top, VOLUME_ANONYMOUS_LABEL, "");
	made = yyjson_mut_doc_imut_copy(doc, NULL);
	yyjson_mut_doc_free(doc);
	return made;
}

static int check_driver(const struct volume_request *req, struct err *e)
{
	if (!req->driver || !req->driver[0] || strcmp(req->driver, "local") == 0)
		return 0;
	return err_set(e, ENOENT,
		"create %.200s: error looking up volume plugin %.64s: plugin \"%.64s\" not found",
		req->name ? req->name : "", req->driver, req->driver);
}

/* With volumes.lock. */
static int add_hold(struct engine *en, const char *name, const char *maker, struct err *e)
{
	struct volume_hold *hold = calloc(1, sizeof(*hold));

	if (!hold)
		return err_set(e, ENOMEM, "out of memory");
	(void)snprintf(hold->name, sizeof(hold->name), "%s", name);
	(void)snprintf(hold->maker, sizeof(hold->maker), "%s", maker);
	hold->next = en->volumes.holds;
	en->volumes.holds = hold;
	return 0;
}

int volume_make(
	struct engine *en, const struct volume_request *req, struct volume *ret, struct err *e)
{
	bool named = req->name && req->name[0];
	yyjson_doc *labels = named ? NULL : anonymous_labels(req->labels);
	char made[CONTAINER_ID_BYTES];
	const char *name = named ? req->name : made;
	int r = check_driver(req, e);

	if (r == 0 && !named && id_make(made) < 0)
		r = err_set(e, EIO, "no random numbers");
	if (r == 0)
		r = volume_check_name(name, e);
	if (r == 0)
		r = volume_options_check(name, req->options, e);
	if (r < 0) {
		yyjson_doc_free(labels);
		return r;
	}
	pthread_mutex_lock(&en->volumes.lock);
	r = volume_store_add(&en->volumes.store, name,
		labels ? yyjson_doc_get_root(labels) : req->labels, req->options, req->maker, e);
	if (r == 1)
		tell_local(en, name, "create");
	if (r >= 0)
		r = req->maker ? add_hold(en, name, req->maker, e) : 0;
	if (r >= 0)
		r = volume_store_get(&en->volumes.store, name, ret, e);
	pthread_mutex_unlock(&en->volumes.lock);
	yyjson_doc_free(labels);
	return r < 0 ? r : 0;
}

int volume_hold(struct engine *en, const char *name, const char *maker, struct err *e)
{
	struct volume v;
	int r;

	pthread_mutex_lock(&en->volumes.lock);
	r = volume_store_get(&en->volumes.store, name, &v, e);
	if (r == 0)
		r = add_hold(en, name, maker, e);
	pthread_mutex_unlock(&en->volumes.lock);
	volume_free(&v);
	return r;
}

/* The containers that use it: how many, and their ids as Docker lists them. With volumes.lock. */
static int list_users(struct engine *en, const char *name, struct buf *ret_ids)
{
	struct container **list = container_list(en);
	int n = 0;

	for (size_t i = 0; list && list[i]; i++) {
		if (mountpoints_use_volume(list[i], name)) {
			if (ret_ids)
				(void)buf_printf(ret_ids, "%s%s", n ? ", " : "", list[i]->id);
			n++;
		}
		container_put(list[i]);
	}
	free(list);
	for (const struct volume_hold *h = en->volumes.holds; h; h = h->next) {
		if (strcmp(h->name, name) != 0)
			continue;
		if (ret_ids)
			(void)buf_printf(ret_ids, "%s%s", n ? ", " : "", h->maker);
		n++;
	}
	return n;
}

int volume_users(struct engine *en, const char *name)
{
	int n;

	pthread_mutex_lock(&en->volumes.lock);
	n = list_users(en, name, NULL);
	pthread_mutex_unlock(&en->volumes.lock);
	return n;
}

/* With volumes.lock. */
static int remove_locked(struct engine *en, const char *name, struct err *e)
{
	AUTO_BUF struct buf ids = {0};
	struct volume v;
	int r = volume_store_get(&en->volumes.store, name, &v, e);

	if (r < 0)
		return r;
	volume_free(&v);
	if (list_users(en, name, &ids))
		return err_set(e, EBUSY, "remove %.200s: volume is in use - [%.260s]", name, ids.v);
	r = volume_store_remove(&en->volumes.store, name, e);
	if (r == 0)
		tell_local(en, name, "destroy");
	return r;
}

int volume_remove(struct engine *en, const char *name, struct err *e)
{
	int r;

	pthread_mutex_lock(&en->volumes.lock);
	r = remove_locked(en, name, e);
	pthread_mutex_unlock(&en->volumes.lock);
	return r;
}

/* With volumes.lock: what @maker left, who has no record; "": any such. */
static int remove_orphans(struct engine *en, const char *maker, struct err *e)
{
	char **names;
	int r = volume_store_list(&en->volumes.store, maker, &names, e);

	if (r < 0)
		return r;
	for (size_t i = 0; names[i]; i++) {
		struct err why = {0};
		int gone = remove_locked(en, names[i], &why);

		/* Somebody else uses it by now: it is theirs. */
		if (gone == -EBUSY)
			gone = volume_store_claim(&en->volumes.store, names[i], NULL, &why);
		if (gone < 0)
			log_error("%s", why.msg);
		free(names[i]);
	}
	free(names);
	return 0;
}

void volumes_release(struct engine *en, const char *maker, bool made)
{
	struct err e = {0};
	int r = 0;

	pthread_mutex_lock(&en->volumes.lock);
	for (struct volume_hold **at = &en->volumes.holds; *at;) {
		struct volume_hold *h = *at;

		if (strcmp(h->maker, maker) != 0) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		free(h);
	}
	r = made ? volume_store_settle(&en->volumes.store, maker, &e)
		 : remove_orphans(en, maker, &e);
	if (r < 0)
		log_error("volumes of container %.12s: %s", maker, e.msg);
	pthread_mutex_unlock(&en->volumes.lock);
}

/* With volumes.lock. */
static struct volume_mount *find_mount(struct engine *en, const char *name)
{
	struct volume_mount *m = en->volumes.mounted;

	while (m && strcmp(m->name, name) != 0)
		m = m->next;
	return m;
}

/* With volumes.lock. NULL: out of memory. */
static struct volume_mount *add_mount(struct engine *en, const char *name)
{
	struct volume_mount *m = find_mount(en, name);

	if (!m) {
		m = calloc(1, sizeof(*m));
		if (!m)
			return NULL;
		(void)snprintf(m->name, sizeof(m->name), "%s", name);
		m->next = en->volumes.mounted;
		en->volumes.mounted = m;
	}
	m->users++;
	return m;
}

static void drop_mount(struct engine *en, struct volume_mount *m)
{
	struct volume_mount **at = &en->volumes.mounted;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	free(m);
}

int volume_mount(struct engine *en, const char *name, struct err *e)
{
	struct volume_mount *m;
	struct volume v;
	char path[4096];
	int r;

	pthread_mutex_lock(&en->volumes.lock);
	r = volume_store_get(&en->volumes.store, name, &v, e);
	if (r == 0 && volume_is_mounted(&v)) {
		m = add_mount(en, name);
		r = m ? 0 : err_set(e, ENOMEM, "out of memory");
		if (m && m->users == 1) {
			volume_path(en, name, path, sizeof(path));
			r = volume_options_mount(&v, path, e);
			if (r < 0)
				drop_mount(en, m);
		}
	}
	pthread_mutex_unlock(&en->volumes.lock);
	volume_free(&v);
	return r;
}

void volume_unmount(struct engine *en, const char *name)
{
	struct volume_mount *m;
	char path[4096];

	pthread_mutex_lock(&en->volumes.lock);
	m = find_mount(en, name);
	if (m && --m->users == 0) {
		volume_path(en, name, path, sizeof(path));
		mount_detach(path);
		drop_mount(en, m);
	}
	pthread_mutex_unlock(&en->volumes.lock);
}

void volume_mounted_already(struct engine *en, const char *name)
{
	struct err ignored = {0};
	struct volume v;

	pthread_mutex_lock(&en->volumes.lock);
	if (volume_store_get(&en->volumes.store, name, &v, &ignored) == 0 &&
		volume_is_mounted(&v) && !add_mount(en, name))
		log_error("volume %s: out of memory", name);
	pthread_mutex_unlock(&en->volumes.lock);
	volume_free(&v);
}

static bool is_used_mount(void *arg, const char *path)
{
	struct engine *en = arg;
	const struct volume_mount *m = en->volumes.mounted;
	char own[VOLUME_NAME_BYTES + 8];

	for (; m; m = m->next) {
		(void)snprintf(own, sizeof(own), "%s/_data", m->name);
		if (strcmp(own, path) == 0)
			return true;
	}
	return false;
}

int volumes_recover(struct engine *en, struct err *e)
{
	char path[4096];
	int r;

	(void)snprintf(path, sizeof(path), "%s/volumes", en->paths.root);
	pthread_mutex_lock(&en->volumes.lock);
	mounts_detach_below(path, is_used_mount, en);
	r = remove_orphans(en, "", e);
	pthread_mutex_unlock(&en->volumes.lock);
	return r;
}
