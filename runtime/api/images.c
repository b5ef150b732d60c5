/* Images: list, load, inspect, tag, remove. */
#include "runtime/api/filters.h"
#include "runtime/api/routes.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/engine/engine.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* bytes of a compressed archive that is unpacked before it is read */
#define ARCHIVE_BYTES_MAX (32ULL << 30)

static bool is_digest_name(const char *name)
{
	return strchr(name, '@') != NULL;
}

/* RepoTags or RepoDigests. */
static yyjson_mut_val *names_of(yyjson_mut_doc *doc, const struct image_record *r, bool digests)
{
	yyjson_mut_val *arr = yyjson_mut_arr(doc);

	for (size_t i = 0; i < r->n_names; i++)
		if (is_digest_name(r->names[i]) == digests)
			yyjson_mut_arr_add_strcpy(doc, arr, r->names[i]);
	return arr;
}

/* "2024-05-01T12:00:00.123Z" in seconds since 1970; 0 when it is nothing of the kind. */
static int64_t parse_created(const char *text)
{
	struct tm tm = {0};

	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return 0;
	return timegm(&tm);
}

static yyjson_val *config_of(const struct image_record *r)
{
	return yyjson_obj_get(yyjson_doc_get_root(r->config_doc.doc), "config");
}

static int64_t count_users(struct call *c, const char *image)
{
	struct container **list = container_list(c->engine);
	int64_t n = 0;

	for (size_t i = 0; list && list[i]; i++) {
		n += strcmp(container_image(list[i]), image) == 0;
		container_put(list[i]);
	}
	free(list);
	return n;
}

struct pattern {
	const struct image_record *r;
};

/* "debian", "debian:12", "deb*": a filter's pattern for references, as path.Match has it. */
static bool reference_fits(void *arg, const char *pattern)
{
	const struct pattern *p = arg;

	for (size_t i = 0; i < p->r->n_names; i++) {
		const char *name = p->r->names[i];
		size_t repository = strcspn(name, "@");
		const char *tag = strrchr(name, ':');
		char bare[REFERENCE_BYTES_MAX];

		if (!is_digest_name(name) && tag && !strchr(tag, '/'))
			repository = (size_t)(tag - name);
		(void)snprintf(bare, sizeof(bare), "%.*s", (int)repository, name);
		if (fnmatch(pattern, name, FNM_PATHNAME) == 0 ||
			fnmatch(pattern, bare, FNM_PATHNAME) == 0)
			return true;
	}
	return false;
}

static void add_listed(
	struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *arr, const struct image_record *r)
{
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, arr);
	yyjson_val *labels = yyjson_obj_get(config_of(r), "Labels");

	yyjson_mut_obj_add_int(doc, o, "Containers", c->minor >= 51 ? count_users(c, r->id) : -1);
	yyjson_mut_obj_add_int(doc, o, "Created", parse_created(r->config.created));
	yyjson_mut_obj_add_strcpy(doc, o, "Id", r->id);
	yyjson_mut_obj_add_val(
		doc, o, "Labels", labels ? yyjson_val_mut_copy(doc, labels) : yyjson_mut_null(doc));
	yyjson_mut_obj_add_str(doc, o, "ParentId", "");
	yyjson_mut_obj_add_val(doc, o, "RepoDigests", names_of(doc, r, true));
	yyjson_mut_obj_add_val(doc, o, "RepoTags", names_of(doc, r, false));
	yyjson_mut_obj_add_int(doc, o, "SharedSize", -1);
	yyjson_mut_obj_add_int(doc, o, "Size", r->size);
	if (c->minor < 44)
		yyjson_mut_obj_add_int(doc, o, "VirtualSize", r->size);
}

int api_image_list(struct call *c, struct err *e)
{
	static const char *const known[] = {"dangling", "label", "reference", NULL};
	yyjson_mut_doc *doc;
	yyjson_mut_val *arr;
	struct filters f;
	char **ids;
	int r = filters_read(&f, c, known, e);

	if (r < 0)
		return r;
	r = image_store_list(&c->engine->images, &ids, e);
	if (r < 0) {
		filters_free(&f);
		return r;
	}
	doc = yyjson_mut_doc_new(NULL);
	arr = yyjson_mut_arr(doc);
	yyjson_mut_doc_set_root(doc, arr);
	for (size_t i = 0; ids[i]; i++) {
		struct image_record image;
		struct err ignored = {0};
		struct pattern p = {&image};

		/* One that was removed meanwhile is none. */
		if (image_store_get(&c->engine->images, ids[i], &image, &ignored) == 0) {
			if (filters_labels(
				    &f, "label", yyjson_obj_get(config_of(&image), "Labels")) &&
				filters_match(&f, "dangling", image.n_names ? "false" : "true") &&
				filters_any(&f, "reference", reference_fits, &p))
				add_listed(c, doc, arr, &image);
			image_record_free(&image);
		}
		free(ids[i]);
	}
	free(ids);
	filters_free(&f);
	return call_reply(c, 200, doc, e);
}

int api_image_inspect(struct call *c, struct err *e)
{
	static const char *const plain[] = {"created", "author", "architecture", "os"};
	static const char *const shown[] = {"Created", "Author", "Architecture", "Os"};
	char id[IMAGE_ID_BYTES];
	struct image_record r;
	yyjson_mut_doc *doc;
	yyjson_mut_val *top, *rootfs, *layers, *driver;
	int n = image_store_find(&c->engine->images, c->params[0], id, e);

	if (n == 0)
		n = image_store_get(&c->engine->images, id, &r, e);
	if (n < 0)
		return n;
	doc = yyjson_mut_doc_new(NULL);
	top = yyjson_mut_obj(doc);
	rootfs = yyjson_mut_obj(doc);
	layers = yyjson_mut_arr(doc);
	driver = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_strcpy(doc, top, "Id", r.id);
	yyjson_mut_obj_add_val(doc, top, "RepoTags", names_of(doc, &r, false));
	yyjson_mut_obj_add_val(doc, top, "RepoDigests", names_of(doc, &r, true));
	yyjson_mut_obj_add_str(doc, top, "Parent", "");
	yyjson_mut_obj_add_str(doc, top, "Comment", "");
	for (size_t i = 0; i < 4; i++) {
		const char *value = yyjson_get_str(
			yyjson_obj_get(yyjson_doc_get_root(r.config_doc.doc), plain[i]));

		yyjson_mut_obj_add_strcpy(doc, top, shown[i], value ? value : "");
	}
	yyjson_mut_obj_add_str(doc, top, "DockerVersion", "");
	yyjson_mut_obj_add_val(doc, top, "Config",
		config_of(&r) ? yyjson_val_mut_copy(doc, config_of(&r)) : yyjson_mut_obj(doc));
	yyjson_mut_obj_add_int(doc, top, "Size", r.size);
	if (c->minor < 44)
		yyjson_mut_obj_add_int(doc, top, "VirtualSize", r.size);
	yyjson_mut_obj_add_str(doc, driver, "Name", "overlay2");
	yyjson_mut_obj_add_null(doc, driver, "Data");
	yyjson_mut_obj_add_val(doc, top, "GraphDriver", driver);
	yyjson_mut_obj_add_str(doc, rootfs, "Type", "layers");
	for (size_t i = 0; i < r.config.n_diff_ids; i++)
		yyjson_mut_arr_add_strcpy(doc, layers, r.config.diff_ids[i].text);
	yyjson_mut_obj_add_val(doc, rootfs, "Layers", layers);
	yyjson_mut_obj_add_val(doc, top, "RootFS", rootfs);
	n = call_reply(c, 200, doc, e);
	image_record_free(&r);
	return n;
}

static void tell_image(struct call *c, const char *action, const char *id, const char *name)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *attributes = yyjson_mut_obj(doc);

	yyjson_mut_obj_add_str(doc, attributes, "name", name);
	events_tell(&c->engine->events, "image", action, id, attributes);
	yyjson_mut_doc_free(doc);
}

struct loading {
	struct call *call;
	const struct image_source *source;
	unsigned n;
};

/* One line of progress, "PREFIXVALUE\n", or an error. */
static int say(struct call *c, const char *key, const char *prefix, const char *value)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	char line[ERR_MSG_MAX + 32];

	(void)snprintf(
		line, sizeof(line), "%s%s%s", prefix, value, strcmp(key, "error") ? "\n" : "");
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, key, line);
	if (strcmp(key, "error") == 0) {
		yyjson_mut_val *detail = yyjson_mut_obj(doc);

		yyjson_mut_obj_add_str(doc, detail, "message", line);
		yyjson_mut_obj_add_val(doc, top, "errorDetail", detail);
	}
	return call_stream_json(c, doc);
}

static int load_one(
	void *arg, const struct image *image, const char *const *names, size_t n, struct err *e)
{
	struct loading *l = arg;
	struct call *c = l->call;
	char id[IMAGE_ID_BYTES];
	int r = image_store_add(&c->engine->images, l->source, image, names, n, id, e);

	if (r < 0)
		return r;
	l->n++;
	for (size_t i = 0; i < n; i++)
		(void)say(c, "stream", "Loaded image: ", names[i]);
	if (n == 0)
		(void)say(c, "stream", "Loaded image ID: ", id);
	tell_image(c, "load", id, n ? names[0] : id);
	return 0;
}

/* The body into a file without a name: its parts are needed in another order than they come. */
static int receive_archive(struct call *c, struct err *e)
{
	AUTO_CLOSE int fd =
		openat(c->engine->images.spool, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char *buf = malloc(API_IO_BYTES);
	ssize_t n = -1;
	int r = 0;

	if (fd < 0 || !buf)
		r = err_set(e, fd < 0 ? errno : ENOMEM, "keep the archive: %s",
			strerror(fd < 0 ? errno : ENOMEM));
	while (r == 0 && (n = http_read_body(c->conn, buf, API_IO_BYTES, e)) > 0) {
		r = io_write_all(fd, buf, (size_t)n);
		if (r < 0)
			err_set(e, -r, "keep the archive: %s", strerror(-r));
	}
	free(buf);
	if (r == 0 && n < 0)
		r = (int)n;
	return r < 0 ? r : TAKE_FD(fd);
}

int api_image_load(struct call *c, struct err *e)
{
	const struct platform platform = platform_native();
	struct image_source source;
	struct loading l = {c, &source, 0};
	AUTO_CLOSE int fd = receive_archive(c, e);
	char path[64];
	int r;

	if (fd < 0)
		return fd;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = image_source_open(&source, path, c->engine->images.spool, ARCHIVE_BYTES_MAX, e);
	if (r < 0)
		return r;
	(void)http_stream_begin(c->conn, 200, "application/json");
	r = image_each(&source, &platform, load_one, &l, e);
	image_source_close(&source);
	if (r < 0)
		(void)say(c, "error", "", e->msg);
	(void)http_stream_end(c->conn);
	return 0;
}

int api_image_tag(struct call *c, struct err *e)
{
	const char *repo = query_str(&c->query, "repo");
	const char *tag = query_str(&c->query, "tag");
	char name[REFERENCE_BYTES_MAX];
	char id[IMAGE_ID_BYTES];
	int r = image_store_find(&c->engine->images, c->params[0], id, e);

	if (r < 0)
		return r;
	if (!repo || !repo[0])
		return err_set(e, EINVAL, "repo: a name is missing");
	(void)snprintf(name, sizeof(name), "%s%s%s", repo, tag && tag[0] ? ":" : "",
		tag && tag[0] ? tag : "");
	r = image_store_name(&c->engine->images, id, name, e);
	if (r < 0)
		return r;
	tell_image(c, "tag", id, name);
	return call_reply_empty(c, 201);
}

static void add_removed(
	yyjson_mut_doc *doc, yyjson_mut_val *arr, const char *key, const char *value)
{
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, arr);
	yyjson_mut_val *name = yyjson_mut_strcpy(doc, key);

	yyjson_mut_obj_add(o, name, yyjson_mut_strcpy(doc, value));
}

/* Refuse to remove what a container needs. */
static int check_unused(struct call *c, const char *ref, const char *id, bool force, struct err *e)
{
	struct container **list = container_list(c->engine);
	int r = 0;

	for (size_t i = 0; list && list[i]; i++) {
		struct container_state s = container_state(c->engine, list[i]);

		if (r == 0 && strcmp(container_image(list[i]), id) == 0) {
			if (container_runs(&s))
				r = err_set(e, EBUSY,
					"conflict: unable to remove repository reference \"%s\" "
					"(cannot be forced) "
					"- image is being used by running container %.12s",
					ref, list[i]->id);
			else if (!force)
				r = err_set(e, EBUSY,
					"conflict: unable to remove repository reference \"%s\" "
					"(must force) - "
					"container %.12s is using its referenced image %.12s",
					ref, list[i]->id, id + 7);
		}
		container_put(list[i]);
	}
	free(list);
	return r;
}

int api_image_remove(struct call *c, struct err *e)
{
	bool force = query_bool(&c->query, "force", false);
	char id[IMAGE_ID_BYTES];
	struct image_record image;
	yyjson_mut_doc *doc;
	yyjson_mut_val *arr;
	bool by_name = false;
	char shorter[REFERENCE_BYTES_MAX] = "";
	int r = image_store_find(&c->engine->images, c->params[0], id, e);

	if (r == 0)
		r = image_store_get(&c->engine->images, id, &image, e);
	if (r < 0)
		return r;
	(void)reference_shorten(c->params[0], shorter, sizeof(shorter));
	for (size_t i = 0; i < image.n_names; i++)
		by_name |= strcmp(image.names[i], shorter) == 0;
	doc = yyjson_mut_doc_new(NULL);
	arr = yyjson_mut_arr(doc);
	yyjson_mut_doc_set_root(doc, arr);
	if (by_name && image.n_names > 1) {
		/* Others still lead to it: only the name goes. */
		r = image_store_unname(&c->engine->images, id, shorter, e);
		add_removed(doc, arr, "Untagged", shorter);
		tell_image(c, "untag", id, shorter);
	} else if (!by_name && image.n_names > 1 && !force) {
		r = err_set(e, EBUSY,
			"conflict: unable to delete %.12s (must be forced) - image is referenced "
			"in "
			"multiple repositories",
			id + 7);
	} else {
		r = check_unused(c, c->params[0], id, force, e);
		if (r == 0)
			r = image_store_remove(&c->engine->images, id, e);
		for (size_t i = 0; r == 0 && i < image.n_names; i++)
			add_removed(doc, arr, "Untagged", image.names[i]);
		add_removed(doc, arr, "Deleted", id);
		if (r == 0)
			tell_image(c, "delete", id, id);
	}
	image_record_free(&image);
	if (r < 0) {
		yyjson_mut_doc_free(doc);
		return r;
	}
	return call_reply(c, 200, doc, e);
}
