#include "runtime/engine/commit.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/util/path.h"
#include "runtime/engine/changes.h"
#include "runtime/engine/container.h"
#include "runtime/engine/instructions.h"
#include "runtime/engine/logfile.h"
#include "runtime/engine/spec.h"
#include "runtime/image/stream.h"
#include "runtime/image/tartree.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* what the new layer's tar file is called in its source */
#define LAYER_NAME "layer"

/* A layer's tar file on its way to the disk. */
struct spooled {
	int fd;
	struct hasher hash;
	struct tar_writer tar;
};

static int fail(struct err *e, int errnum)
{
	return err_set(e, errnum, "write the layer: %s", strerror(errnum));
}

static int spool_bytes(void *arg, const void *buf, size_t len)
{
	struct spooled *s = arg;

	hasher_update(&s->hash, buf, len);
	return io_write_all(s->fd, buf, len);
}

/* ".wh.NAME" beside where NAME was. */
static int write_whiteout(struct tar_writer *w, const char *path)
{
	const char *slash = strrchr(path, '/');
	char name[PATH_BYTES_MAX + 8];

	(void)snprintf(name, sizeof(name), "%.*s.wh.%s", (int)(slash + 1 - path), path, slash + 1);
	return tar_write_file(w, name + 1, NULL, 0, 0);
}

static int write_change(
	struct tar_tree *tree, int upper, const struct change *change, struct err *e)
{
	AUTO_CLOSE int fd = -1;

	if (change->kind == CHANGE_DELETED) {
		int r = write_whiteout(tree->w, change->path);

		return r < 0 ? fail(e, -r) : 0;
	}
	fd = path_open_in_root(upper, change->path, O_PATH | O_NOFOLLOW, 0);
	/* Removed since its directory was read: the container runs. */
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return err_set(e, -fd, "open %.256s: %s", change->path, strerror(-fd));
	return tar_tree_entry(tree, fd, change->path + 1, e);
}

/* The changes as a layer. Returns how many there are, or -errno. */
static ssize_t write_changes(
	struct engine *en, struct container *c, struct spooled *out, struct err *e)
{
	struct tar_tree tree = {.w = &out->tar};
	struct changes changes;
	AUTO_CLOSE int upper = -1;
	char path[4096];
	ssize_t n;
	int r = container_changes(en, c, &changes, e);

	if (r < 0)
		return r;
	container_path(en, c, "upper", path, sizeof(path));
	upper = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (upper < 0)
		r = err_set(e, errno, "open %s: %s", path, strerror(errno));
	for (size_t i = 0; r == 0 && i < changes.n; i++)
		r = write_change(&tree, upper, &changes.v[i], e);
	if (r == 0) {
		r = tar_write_end(&out->tar);
		if (r < 0)
			fail(e, -r);
	}
	n = (ssize_t)changes.n;
	tar_tree_free(&tree);
	changes_free(&changes);
	return r < 0 ? r : n;
}

/* The changes in a file without a name. Returns its descriptor, -1 when there are none, with @diff
 * its diffID; or another -errno. */
static int spool_changes(
	struct engine *en, struct container *c, struct digest *diff, int *ret_fd, struct err *e)
{
	struct spooled out = {.tar = {.write = spool_bytes}};
	AUTO_CLOSE int fd = openat(en->images.spool, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ssize_t n;

	*diff = (struct digest){"sha256:"};
	if (fd < 0)
		return fail(e, errno);
	if (hasher_start(&out.hash, diff) < 0)
		return fail(e, ENOMEM);
	out.fd = fd;
	out.tar.arg = &out;
	n = write_changes(en, c, &out, e);
	if (n >= 0 && hasher_finish(&out.hash, diff) < 0)
		n = fail(e, EIO);
	hasher_free(&out.hash);
	*ret_fd = n > 0 ? TAKE_FD(fd) : -1;
	return n < 0 ? (int)n : 0;
}

/* "config" of the new image. */
static yyjson_mut_val *make_config(
	yyjson_mut_doc *doc, const struct container *c, const struct commit *how, struct err *e)
{
	yyjson_mut_val *config =
		how->config ? yyjson_val_mut_copy(doc, how->config) : yyjson_mut_obj(doc);
	yyjson_val *theirs = c ? container_config(c) : NULL;
	yyjson_mut_val *triggers;
	int r = 0;

	/* What instructions add to is what the container has. */
	for (size_t i = 0; c && i < 2; i++) {
		static const char *const keys[] = {"Env", "WorkingDir"};
		yyjson_mut_val *own = yyjson_mut_obj_get(config, keys[i]);
		yyjson_val *val = yyjson_obj_get(theirs, keys[i]);

		if (val && (!own || yyjson_mut_is_null(own) || yyjson_mut_equals_str(own, ""))) {
			yyjson_mut_obj_remove_key(config, keys[i]);
			yyjson_mut_obj_add_val(doc, config, keys[i], yyjson_val_mut_copy(doc, val));
		}
	}
	for (size_t i = 0; r == 0 && i < how->n_instructions; i++)
		r = instruction_apply(doc, config, how->instructions[i], e);
	if (r < 0)
		return NULL;
	/* Triggers of the image that it was made from have done their work. */
	triggers = yyjson_mut_obj_remove_key(config, "OnBuild");
	if (c)
		config_merge(doc, config, theirs);
	yyjson_mut_obj_remove_key(config, "OnBuild");
	yyjson_mut_obj_add_val(doc, config, "OnBuild", triggers ? triggers : yyjson_mut_null(doc));
	return config;
}

static void add_history(yyjson_mut_doc *doc, yyjson_mut_val *history, const struct container *c,
	const struct commit *how, const char *created, bool empty)
{
	yyjson_mut_val *entry = yyjson_mut_arr_add_obj(doc, history);
	AUTO_BUF struct buf words = {0};
	yyjson_val *item;
	size_t i, n;

	if (how->author && how->author[0])
		yyjson_mut_obj_add_str(doc, entry, "author", how->author);
	if (how->comment && how->comment[0])
		yyjson_mut_obj_add_str(doc, entry, "comment", how->comment);
	yyjson_mut_obj_add_strcpy(doc, entry, "created", created);
	if (c) {
		yyjson_arr_foreach (yyjson_obj_get(container_config(c), "Cmd"), i, n, item)
			(void)buf_printf(&words, "%s%s", i ? " " : "", yyjson_get_str(item));
		if (words.len)
			yyjson_mut_obj_add_strcpy(doc, entry, "created_by", words.v);
	}
	if (empty)
		yyjson_mut_obj_add_bool(doc, entry, "empty_layer", true);
}

/* rootfs of @parent, and @diff. */
static yyjson_mut_val *make_rootfs(
	yyjson_mut_doc *doc, yyjson_val *parent, const struct digest *diff, bool empty)
{
	yyjson_mut_val *rootfs = yyjson_mut_obj(doc);
	yyjson_mut_val *diffs = yyjson_mut_obj_add_arr(doc, rootfs, "diff_ids");
	yyjson_val *item;
	size_t i, n;

	yyjson_arr_foreach (
		yyjson_obj_get(yyjson_obj_get(parent, "rootfs"), "diff_ids"), i, n, item)
		yyjson_mut_arr_append(diffs, yyjson_val_mut_copy(doc, item));
	if (!empty)
		yyjson_mut_arr_add_str(doc, diffs, diff->text);
	yyjson_mut_obj_add_str(doc, rootfs, "type", "layers");
	return rootfs;
}

/*
 * The whole config of the new image, its keys in order as Docker writes them.
 * @parent: the config that it builds upon; NULL: none
 * Returns a text to be freed, or NULL with @e filled.
 */
static char *make_image_text(const struct container *c, yyjson_val *parent,
	const struct platform *platform, const struct digest *diff, bool empty,
	const struct commit *how, struct err *e)
{
	static const char *const inherited[] = {"os.features", "os.version", "variant"};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *config = make_config(doc, c, how, e);
	yyjson_mut_val *history;
	char created[40];
	char *text = NULL;

	if (config) {
		time_print(realtime_ns(), created, sizeof(created));
		history = parent && yyjson_obj_get(parent, "history")
				  ? yyjson_val_mut_copy(doc, yyjson_obj_get(parent, "history"))
				  : yyjson_mut_arr(doc);
		add_history(doc, history, c, how, created, empty);
		yyjson_mut_doc_set_root(doc, top);
		yyjson_mut_obj_add_str(doc, top, "architecture", platform->architecture);
		if (how->author && how->author[0])
			yyjson_mut_obj_add_str(doc, top, "author", how->author);
		if (how->comment && how->comment[0])
			yyjson_mut_obj_add_str(doc, top, "comment", how->comment);
		yyjson_mut_obj_add_val(doc, top, "config", config);
		if (c)
			yyjson_mut_obj_add_str(doc, top, "container", c->id);
		yyjson_mut_obj_add_str(doc, top, "created", created);
		yyjson_mut_obj_add_val(doc, top, "history", history);
		yyjson_mut_obj_add_str(doc, top, "os", platform->os);
		for (size_t i = 0; i < 2; i++)
			if (yyjson_obj_get(parent, inherited[i]))
				yyjson_mut_obj_add_val(doc, top, inherited[i],
					yyjson_val_mut_copy(
						doc, yyjson_obj_get(parent, inherited[i])));
		yyjson_mut_obj_add_val(doc, top, "rootfs", make_rootfs(doc, parent, diff, empty));
		if (yyjson_obj_get(parent, inherited[2]))
			yyjson_mut_obj_add_val(doc, top, inherited[2],
				yyjson_val_mut_copy(doc, yyjson_obj_get(parent, inherited[2])));
		text = yyjson_mut_write(doc, 0, NULL);
		if (!text)
			err_set(e, ENOMEM, "out of memory");
	}
	yyjson_mut_doc_free(doc);
	return text;
}

/* Put the image on record. @fd: the new layer, taken over; -1: none */
static int add_image(
	struct engine *en, const char *text, int fd, const char *name, char *ret_id, struct err *e)
{
	struct image_source source = {.dirfd = -1, .fd = -1};
	struct image image;
	int r = image_from_config(&image, text, strlen(text), LAYER_NAME, e);

	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	if (fd >= 0)
		r = image_source_of_file(&source, fd, LAYER_NAME, e);
	if (r == 0)
		r = image_store_add(&en->images, &source, &image, &name, name ? 1 : 0, ret_id, e);
	image_source_close(&source);
	image_free(&image);
	return r;
}

static int commit_paused(struct engine *en, struct container *c, const struct commit *how,
	struct digest *diff, int *ret_fd, struct err *e)
{
	struct container_state s = container_state(en, c);
	struct err ignored = {0};
	bool pause = how->pause && s.status == CONTAINER_RUNNING;
	int r = pause ? container_pause(en, c, true, e) : 0;

	if (r < 0)
		return r;
	r = spool_changes(en, c, diff, ret_fd, e);
	if (pause)
		(void)container_pause(en, c, false, &ignored);
	return r;
}

int container_commit(struct engine *en, struct container *c, const struct commit *how,
	char ret_id[static IMAGE_ID_BYTES], struct err *e)
{
	struct image_record parent;
	struct platform platform;
	struct digest diff;
	yyjson_val *config;
	char *text;
	int fd = -1;
	int r = image_store_get(&en->images, container_image(c), &parent, e);

	if (r < 0)
		return r;
	config = yyjson_doc_get_root(parent.config_doc.doc);
	platform = (struct platform){parent.config.os, parent.config.architecture};
	r = commit_paused(en, c, how, &diff, &fd, e);
	if (r == 0) {
		text = make_image_text(c, config, &platform, &diff, fd < 0, how, e);
		if (text) {
			r = add_image(en, text, fd, how->name, ret_id, e);
		} else {
			fd_close(&fd);
			r = e->code ? -e->code : -ENOMEM;
		}
		free(text);
	}
	image_record_free(&parent);
	if (r == 0) {
		const char *const more[] = {"comment", how->comment ? how->comment : "", "imageID",
			ret_id, "imageRef", how->name ? how->name : "", NULL};

		container_tell(en, c, "commit", more);
	}
	return r;
}

/* The digest of what the file unpacks to. */
static int find_diff(int fd, struct digest *diff, struct err *e)
{
	struct blob blob = {.fd = fd};
	struct hasher hash;
	struct stream s;
	struct stat st;
	const void *buf;
	ssize_t n;
	int r;

	*diff = (struct digest){"sha256:"};
	if (fstat(fd, &st) < 0)
		return fail(e, errno);
	blob.size = (uint64_t)st.st_size;
	if (hasher_start(&hash, diff) < 0)
		return fail(e, ENOMEM);
	r = stream_open(&s, &blob, PACKING_ANY, NULL, NULL, UINT64_MAX, e);
	if (r == 0) {
		while ((n = stream_next(&s, &buf, e)) > 0)
			hasher_update(&hash, buf, (size_t)n);
		stream_close(&s);
		r = n < 0 ? (int)n : hasher_finish(&hash, diff);
	}
	hasher_free(&hash);
	return r;
}

int image_import(struct engine *en, int fd, const struct platform *platform,
	const struct commit *how, char ret_id[static IMAGE_ID_BYTES], struct err *e)
{
	struct digest diff;
	char *text = NULL;
	int r = find_diff(fd, &diff, e);

	if (r == 0) {
		text = make_image_text(NULL, NULL, platform, &diff, false, how, e);
		if (!text)
			r = e->code ? -e->code : -ENOMEM;
	}
	if (r == 0)
		r = add_image(en, text, fd, how->name, ret_id, e);
	else
		fd_close(&fd);
	free(text);
	return r;
}

void image_tell(struct engine *en, const char *action, const char *id, const char *name)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *attributes = yyjson_mut_obj(doc);
	struct image_record image;
	struct err ignored = {0};

	if (image_store_get(&en->images, id, &image, &ignored) == 0) {
		for (size_t i = 0; i < image.config.n_labels; i++)
			yyjson_mut_obj_put(attributes,
				yyjson_mut_strcpy(doc, image.config.labels[i].key),
				yyjson_mut_strcpy(doc, image.config.labels[i].value));
		image_record_free(&image);
	}
	yyjson_mut_obj_add_strcpy(doc, attributes, "name", name ? name : id);
	events_tell(&en->events, "image", action, id, attributes);
	yyjson_mut_doc_free(doc);
}
