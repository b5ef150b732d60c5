/* Images: load, tag, remove. */
#include "runtime/api/image_view.h"
#include "runtime/api/routes.h"

#include "lib/base/fd.h"
#include "runtime/engine/commit.h"
#include "runtime/engine/mountpoints.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bytes of a compressed archive that is unpacked before it is read */
#define ARCHIVE_BYTES_MAX (32ULL << 30)

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
	image_tell(c->engine, "load", id, NULL);
	return 0;
}

int api_image_load(struct call *c, struct err *e)
{
	const struct platform platform = platform_native();
	struct image_source source;
	struct loading l = {c, &source, 0};
	AUTO_CLOSE int fd = call_spool_body(c, e);
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
	char shorter[REFERENCE_BYTES_MAX];
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
	(void)reference_shorten(name, shorter, sizeof(shorter));
	image_tell(c->engine, "tag", id, shorter);
	return call_reply_empty(c, 201);
}

static void add_removed(
	yyjson_mut_doc *doc, yyjson_mut_val *arr, const char *key, const char *value)
{
	yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, arr);
	yyjson_mut_val *name = yyjson_mut_strcpy(doc, key);

	yyjson_mut_obj_add(o, name, yyjson_mut_strcpy(doc, value));
}

int image_delete(struct call *c, const struct image_record *image, yyjson_mut_doc *doc,
	yyjson_mut_val *arr, struct err *e)
{
	int r;

	/* Events carry the image's labels, which are gone with it. */
	for (size_t i = 0; i < image->n_names; i++)
		image_tell(c->engine, "untag", image->id, NULL);
	image_tell(c->engine, "delete", image->id, NULL);
	r = image_store_remove(&c->engine->images, image->id, e);
	for (size_t i = 0; r == 0 && i < image->n_names; i++)
		add_removed(doc, arr, "Untagged", image->names[i]);
	if (r == 0)
		add_removed(doc, arr, "Deleted", image->id);
	return r;
}

/* Refuse to remove what a container needs. */
static int check_unused(struct call *c, const char *ref, const char *id, bool force, struct err *e)
{
	struct container **list = container_list(c->engine);
	int r = 0;

	for (size_t i = 0; list && list[i]; i++) {
		struct container_state s = container_state(c->engine, list[i]);

		if (r == 0 && (strcmp(container_image(list[i]), id) == 0 ||
				      mountpoints_use_image(list[i], id))) {
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

/* Bytes of the repository in a name, without its tag or digest. */
static size_t repository_len(const char *name)
{
	const char *at = strchr(name, '@');
	const char *tag = strrchr(name, ':');

	if (at)
		return (size_t)(at - name);
	return tag && !strchr(tag, '/') ? (size_t)(tag - name) : strlen(name);
}

static bool same_repository(const char *a, const char *b)
{
	size_t len = repository_len(a);

	return len == repository_len(b) && strncmp(a, b, len) == 0;
}

/* Whether @other goes when @name does: the digests of a repository go with its last tag. */
static bool goes_along(const struct image_record *image, const char *name, const char *other)
{
	if (strcmp(name, other) == 0)
		return true;
	if (image_is_digest_name(name) || !image_is_digest_name(other) ||
		!same_repository(name, other))
		return false;
	for (size_t i = 0; i < image->n_names; i++)
		if (!image_is_digest_name(image->names[i]) && strcmp(image->names[i], name) != 0 &&
			same_repository(image->names[i], name))
			return false;
	return true;
}

/* Whether all names are one tag and digests of its repository. */
static bool is_single(const struct image_record *image)
{
	size_t tags = 0;

	for (size_t i = 0; i < image->n_names; i++) {
		tags += !image_is_digest_name(image->names[i]);
		if (!same_repository(image->names[i], image->names[0]))
			return false;
	}
	return tags <= 1;
}

int api_image_remove(struct call *c, struct err *e)
{
	bool force = query_bool(&c->query, "force", false);
	char id[IMAGE_ID_BYTES];
	struct image_record image;
	yyjson_mut_doc *doc;
	yyjson_mut_val *arr;
	bool by_name = false;
	size_t going = 0;
	char shorter[REFERENCE_BYTES_MAX] = "";
	int r = image_store_find(&c->engine->images, c->params[0], id, e);

	if (r == 0)
		r = image_store_get(&c->engine->images, id, &image, e);
	if (r < 0)
		return r;
	(void)reference_shorten(c->params[0], shorter, sizeof(shorter));
	for (size_t i = 0; i < image.n_names; i++) {
		by_name |= strcmp(image.names[i], shorter) == 0;
		going += goes_along(&image, shorter, image.names[i]);
	}
	doc = yyjson_mut_doc_new(NULL);
	arr = yyjson_mut_arr(doc);
	yyjson_mut_doc_set_root(doc, arr);
	if (by_name && image.n_names > going) {
		/* Others still lead to it: only the name goes. */
		for (size_t i = 0; r >= 0 && i < image.n_names; i++) {
			if (!goes_along(&image, shorter, image.names[i]))
				continue;
			r = image_store_unname(&c->engine->images, id, image.names[i], e);
			add_removed(doc, arr, "Untagged", image.names[i]);
			image_tell(c->engine, "untag", id, NULL);
		}
	} else if (!by_name && !is_single(&image) && !force) {
		r = err_set(e, EBUSY,
			"conflict: unable to delete %.12s (must be forced) - image is referenced "
			"in "
			"multiple repositories",
			id + 7);
	} else {
		r = check_unused(c, c->params[0], id, force, e);
		if (r == 0)
			r = image_delete(c, &image, doc, arr, e);
	}
	image_record_free(&image);
	if (r < 0) {
		yyjson_mut_doc_free(doc);
		return r;
	}
	return call_reply(c, 200, doc, e);
}
