/* The containers that the engine knows: finding them, their records and states. */
#include "lib/base/log.h"
#include "runtime/engine/container.h"
#include "runtime/engine/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const status_names[CONTAINER_STATUSES] = {
	[CONTAINER_CREATED] = "created",
	[CONTAINER_RUNNING] = "running",
	[CONTAINER_PAUSED] = "paused",
	[CONTAINER_RESTARTING] = "restarting",
	[CONTAINER_REMOVING] = "removing",
	[CONTAINER_EXITED] = "exited",
	[CONTAINER_DEAD] = "dead",
};

const char *container_status_name(enum container_status s)
{
	return status_names[s];
}

/* A record that was replaced while others may have read it. */
struct old_record {
	struct old_record *next;
	yyjson_doc *doc;
};

/* Counting down and looking at what is to be freed is one step. */
static pthread_mutex_t old_records = PTHREAD_MUTEX_INITIALIZER;

static yyjson_val *field(const struct container *c, const char *key)
{
	return yyjson_obj_get(yyjson_doc_get_root(c->record), key);
}

yyjson_val *container_config(const struct container *c)
{
	return field(c, "Config");
}

yyjson_val *container_host_config(const struct container *c)
{
	return field(c, "HostConfig");
}

const char *container_image(const struct container *c)
{
	return yyjson_get_str(field(c, "Image"));
}

int64_t container_created_ns(const struct container *c)
{
	return yyjson_get_sint(field(c, "Created"));
}

void container_path(const struct engine *en, const struct container *c, const char *name, char *buf,
	size_t size)
{
	(void)snprintf(
		buf, size, "%s/containers/%s%s%s", en->paths.root, c->id, name[0] ? "/" : "", name);
}

struct container *container_new(const char *id, const char *name, yyjson_doc *record)
{
	struct container *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (!c)
		return NULL;
	(void)snprintf(c->id, sizeof(c->id), "%s", id);
	c->name = strdup(name);
	c->record = record;
	c->refs = 1;
	pthread_mutex_init(&c->op, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (!c->name) {
		c->record = NULL;
		container_put(c);
		return NULL;
	}
	return c;
}

void container_put(struct container *c)
{
	struct old_record *old = NULL;
	unsigned left;

	pthread_mutex_lock(&old_records);
	left = __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL);
	/* With the list alone left to know it, nobody reads what was replaced before. */
	if (left == 0 || (left == 1 && !c->removed)) {
		old = c->old;
		c->old = NULL;
	}
	pthread_mutex_unlock(&old_records);
	while (old) {
		struct old_record *next = old->next;

		yyjson_doc_free(old->doc);
		free(old);
		old = next;
	}
	if (left)
		return;
	stdio_unref(c->io);
	health_free(c->health);
	yyjson_doc_free(c->record);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->op);
	free(c->name);
	free(c);
}

void container_ref(struct container *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
}

static struct container *take(struct container *c)
{
	container_ref(c);
	return c;
}

/* With engine->lock. An id counts before a name, a name before a part of an id. */
static struct container *find(struct engine *en, const char *ref, bool *ret_several)
{
	struct container *by_name = NULL;
	struct container *by_part = NULL;
	size_t len = strlen(ref);

	for (struct container *c = en->containers; c; c = c->next) {
		if (strcmp(c->id, ref) == 0)
			return c;
		if (strcmp(c->name, ref) == 0)
			by_name = c;
		if (strncmp(c->id, ref, len) == 0) {
			*ret_several = by_part != NULL;
			by_part = c;
		}
	}
	if (by_name)
		*ret_several = false;
	return by_name ? by_name : by_part;
}

int container_get_any(struct engine *en, const char *ref, struct container **ret, struct err *e)
{
	bool several = false;
	struct container *c;

	if (ref[0] == '/')
		ref++;
	pthread_mutex_lock(&en->lock);
	c = ref[0] ? find(en, ref, &several) : NULL;
	if (c && !several)
		*ret = take(c);
	pthread_mutex_unlock(&en->lock);
	if (several)
		return err_set(e, EINVAL, "multiple IDs found with provided prefix: %s", ref);
	return c ? 0 : err_set(e, ENOENT, "No such container: %s", ref);
}

int container_get(struct engine *en, const char *ref, struct container **ret, struct err *e)
{
	int r = container_get_any(en, ref, ret, e);

	if (r < 0 || !(*ret)->declared)
		return r;
	container_put(*ret);
	return err_set(e, EBUSY,
		"container %s is declared in the machine's image: it can be listed, inspected, "
		"started, stopped, restarted, killed and asked for its logs",
		ref);
}

static int newer_first(const void *a, const void *b)
{
	const struct container *const *x = a;
	const struct container *const *y = b;
	int64_t at_x = container_created_ns(*x);
	int64_t at_y = container_created_ns(*y);

	return at_x < at_y ? 1 : at_x > at_y ? -1 : strcmp((*x)->id, (*y)->id);
}

struct container **container_list(struct engine *en)
{
	struct container **list = NULL;
	size_t n = 0;

	pthread_mutex_lock(&en->lock);
	for (const struct container *c = en->containers; c; c = c->next)
		n++;
	list = calloc(n + 1, sizeof(struct container *));
	n = 0;
	for (struct container *c = en->containers; list && c; c = c->next)
		list[n++] = take(c);
	pthread_mutex_unlock(&en->lock);
	if (list)
		qsort(list, n, sizeof(struct container *), newer_first);
	return list;
}

bool container_runs(const struct container_state *s)
{
	return s->status == CONTAINER_RUNNING || s->status == CONTAINER_PAUSED;
}

struct container_state container_state(struct engine *en, const struct container *c)
{
	struct container_state s;

	if (c->declared)
		return declared_state(en, c);
	pthread_mutex_lock(&en->lock);
	s = c->state;
	pthread_mutex_unlock(&en->lock);
	return s;
}

static char *state_print(const struct container_state *s)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	char *text;

	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, "status", status_names[s->status]);
	yyjson_mut_obj_add_int(doc, top, "pid", s->pid);
	yyjson_mut_obj_add_int(doc, top, "exit_code", s->exit_code);
	yyjson_mut_obj_add_bool(doc, top, "oom_killed", s->oom_killed);
	yyjson_mut_obj_add_bool(doc, top, "stopped_by_hand", s->stopped_by_hand);
	yyjson_mut_obj_add_int(doc, top, "started_ns", s->started_ns);
	yyjson_mut_obj_add_int(doc, top, "finished_ns", s->finished_ns);
	yyjson_mut_obj_add_int(doc, top, "restarts", s->restarts);
	yyjson_mut_obj_add_str(doc, top, "error", s->error);
	text = yyjson_mut_write(doc, 0, NULL);
	yyjson_mut_doc_free(doc);
	return text;
}

static void state_read(struct container_state *s, const char *text)
{
	yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
	yyjson_val *top = yyjson_doc_get_root(doc);
	const char *status = yyjson_get_str(yyjson_obj_get(top, "status"));

	*s = (struct container_state){.status = CONTAINER_DEAD};
	for (int i = 0; status && i < CONTAINER_STATUSES; i++)
		if (strcmp(status, status_names[i]) == 0)
			s->status = (enum container_status)i;
	s->pid = (int)yyjson_get_sint(yyjson_obj_get(top, "pid"));
	s->exit_code = (int)yyjson_get_sint(yyjson_obj_get(top, "exit_code"));
	s->oom_killed = yyjson_get_bool(yyjson_obj_get(top, "oom_killed"));
	s->stopped_by_hand = yyjson_get_bool(yyjson_obj_get(top, "stopped_by_hand"));
	s->started_ns = yyjson_get_sint(yyjson_obj_get(top, "started_ns"));
	s->finished_ns = yyjson_get_sint(yyjson_obj_get(top, "finished_ns"));
	s->restarts = (int)yyjson_get_sint(yyjson_obj_get(top, "restarts"));
	if (yyjson_get_str(yyjson_obj_get(top, "error")))
		(void)snprintf(s->error, sizeof(s->error), "%s",
			yyjson_get_str(yyjson_obj_get(top, "error")));
	yyjson_doc_free(doc);
}

int container_save_state(struct engine *en, struct container *c, struct err *e)
{
	char *text = state_print(&c->state);
	int r = text ? db_run(&en->db, e, "UPDATE containers SET state = ? WHERE id = ?", "ss",
			       text, c->id)
		     : err_set(e, ENOMEM, "out of memory");

	free(text);
	return r < 0 ? r : 0;
}

int container_add(struct engine *en, struct container *c, struct err *e)
{
	char *record = yyjson_write(c->record, 0, NULL);
	char *state = state_print(&c->state);
	int r = -ENOMEM;

	pthread_mutex_lock(&en->lock);
	for (const struct container *other = en->containers; other; other = other->next)
		if (other->declared && strcmp(other->name, c->name) == 0)
			r = -EEXIST;
	if (record && state && r != -EEXIST)
		r = db_run(&en->db, e,
			"INSERT INTO containers (id, name, image, record, state) VALUES (?, ?, ?, "
			"?, ?)",
			"sssss", c->id, c->name, container_image(c), record, state);
	else if (r != -EEXIST)
		err_set(e, ENOMEM, "out of memory");
	if (r >= 0) {
		c->next = en->containers;
		en->containers = take(c);
	}
	pthread_mutex_unlock(&en->lock);
	free(record);
	free(state);
	if (r == -EEXIST) {
		struct container *other;
		struct err ignored = {0};
		int found = container_get_any(en, c->name, &other, &ignored);

		err_set(e, EEXIST,
			"Conflict. The container name \"/%s\" is already in use by container "
			"\"%s\". You "
			"have to remove (or rename) that container to be able to reuse that name.",
			c->name, found == 0 ? other->id : "");
		if (found == 0)
			container_put(other);
	}
	return r < 0 ? r : 0;
}

int container_forget(struct engine *en, struct container *c, struct err *e)
{
	int r;

	pthread_mutex_lock(&en->lock);
	r = db_run(&en->db, e, "DELETE FROM containers WHERE id = ?", "s", c->id);
	for (struct container **at = &en->containers; r >= 0 && *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			c->removed = true;
			pthread_cond_broadcast(&c->changed);
			container_put(c);
			break;
		}
	}
	pthread_mutex_unlock(&en->lock);
	return r < 0 ? r : 0;
}

int container_replace_record(
	struct engine *en, struct container *c, yyjson_doc *record, struct err *e)
{
	struct old_record *old = malloc(sizeof(*old));
	char *text = yyjson_write(record, 0, NULL);
	int r = old && text ? db_run(&en->db, e, "UPDATE containers SET record = ? WHERE id = ?",
				      "ss", text, c->id)
			    : err_set(e, ENOMEM, "out of memory");

	free(text);
	if (!old || r < 0) {
		free(old);
		return r;
	}
	pthread_mutex_lock(&old_records);
	*old = (struct old_record){c->old, c->record};
	c->old = old;
	__atomic_store_n(&c->record, record, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&old_records);
	return 0;
}

int container_rename(struct engine *en, struct container *c, const char *name, struct err *e)
{
	char *copy;
	char *old = NULL;
	int r = container_check_name(name, e);

	if (r < 0)
		return r;
	copy = strdup(name[0] == '/' ? name + 1 : name);
	if (!copy)
		return err_set(e, ENOMEM, "out of memory");
	pthread_mutex_lock(&en->lock);
	r = db_run(&en->db, e, "UPDATE containers SET name = ? WHERE id = ?", "ss", copy, c->id);
	if (r > 0) {
		old = c->name;
		c->name = copy;
		copy = NULL;
	}
	pthread_mutex_unlock(&en->lock);
	free(copy);
	if (r == -EEXIST)
		err_set(e, EEXIST,
			"Error when allocating new name: Conflict. The container name \"/%s\" is "
			"already in use",
			name);
	if (r > 0) {
		const char *const more[] = {"oldName", old, NULL};

		container_tell(en, c, "rename", more);
	}
	free(old);
	return r < 0 ? r : 0;
}

static int load_one(void *arg, const struct db_row *row)
{
	struct engine *en = arg;
	const char *text = db_text(row, 2);
	yyjson_doc *record = yyjson_read(text, strlen(text), 0);
	struct container *c =
		record ? container_new(db_text(row, 0), db_text(row, 1), record) : NULL;

	if (!c || !container_config(c) || !container_host_config(c) || !container_image(c)) {
		log_error("container %s: its record is damaged", db_text(row, 0));
		return 0;
	}
	state_read(&c->state, db_text(row, 3));
	c->next = en->containers;
	en->containers = c;
	return 0;
}

int container_load_all(struct engine *en, struct err *e)
{
	int r = db_each(
		&en->db, e, load_one, en, "SELECT id, name, record, state FROM containers", "");

	return r < 0 ? r : 0;
}

void container_tell(
	struct engine *en, const struct container *c, const char *action, const char *const *more)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *attributes = yyjson_mut_obj(doc);
	yyjson_val *config = container_config(c);
	yyjson_val *key, *val;
	size_t i, n;

	yyjson_obj_foreach (yyjson_obj_get(config, "Labels"), i, n, key, val) {
		yyjson_mut_obj_put(
			attributes, yyjson_val_mut_copy(doc, key), yyjson_val_mut_copy(doc, val));
	}
	for (; more && more[0]; more += 2)
		yyjson_mut_obj_add_str(doc, attributes, more[0], more[1]);
	yyjson_mut_obj_add_val(doc, attributes, "image",
		yyjson_val_mut_copy(doc, yyjson_obj_get(config, "Image")));
	yyjson_mut_obj_add_str(doc, attributes, "name", c->name);
	events_tell(&en->events, "container", action, c->id, attributes);
	yyjson_mut_doc_free(doc);
}
