#include "runtime/image/unpack.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"
#include "lib/util/path.h"
#include "lib/util/rmtree.h"
#include "runtime/image/image.h"
#include "runtime/image/layer.h"
#include "runtime/image/spec.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define NAME_BYTES 256

/* The directory that a bundle is made in before it gets its name. */
struct workplace {
	int parentfd;
	int fd;
	char bundle[NAME_BYTES]; /* last component */
	char temp[NAME_BYTES + 16];
};

int image_name_valid(const char *name)
{
	static const char alnum[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t len = strlen(name);

	return len > 0 && len <= 63 && strspn(name, alnum) > 0 &&
	       strspn(name + 1,
		       "_.-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") ==
		       len - 1;
}

/* Make the temporary directory and lock it; what a killed predecessor left in it is removed. */
static int open_temp(struct workplace *w, struct err *e)
{
	struct stat by_fd, by_name;
	int r;

	if (mkdirat(w->parentfd, w->temp, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "make directory %s: %s", w->temp, strerror(errno));
	w->fd = openat(w->parentfd, w->temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (w->fd < 0)
		return err_set(e, errno, "open %s: %s", w->temp, strerror(errno));
	/* Another call may hold the lock, or may have finished and renamed it since we opened it.
	 */
	if (flock(w->fd, LOCK_EX | LOCK_NB) < 0 || fstat(w->fd, &by_fd) < 0 ||
		fstatat(w->parentfd, w->temp, &by_name, AT_SYMLINK_NOFOLLOW) < 0 ||
		by_fd.st_ino != by_name.st_ino || by_fd.st_dev != by_name.st_dev) {
		fd_close(&w->fd);
		return err_set(e, EBUSY, "%s is being unpacked by another process", w->bundle);
	}
	r = rmtree_contents(w->fd);
	return r < 0 ? err_set(e, -r, "clear %s: %s", w->temp, strerror(-r)) : 0;
}

static int open_workplace(struct workplace *w, const char *bundle, struct err *e)
{
	char parent[PATH_BYTES_MAX];
	struct stat st;

	*w = (struct workplace){.parentfd = -1, .fd = -1};
	if (path_split(bundle, parent, sizeof(parent), w->bundle) < 0 ||
		strlen(w->bundle) > NAME_BYTES - 32)
		return err_set(e, EINVAL, "%s: is no name for a bundle", bundle);
	snprintf(w->temp, sizeof(w->temp), ".%s.sampan-unpack", w->bundle);
	w->parentfd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->parentfd < 0)
		return err_set(e, errno, "%s: %s", parent, strerror(errno));
	if (fstatat(w->parentfd, w->bundle, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, EEXIST, "%s: exists", bundle);
	return open_temp(w, e);
}

/* Leave: with success the bundle gets its name, else nothing stays. */
static int close_workplace(struct workplace *w, const char *bundle, int r, struct err *e)
{
	if (r == 0 &&
		sys_renameat2(w->parentfd, w->temp, w->parentfd, w->bundle, RENAME_NOREPLACE) < 0)
		r = err_set(e, errno, "%s: %s", bundle, strerror(errno));
	if (r < 0 && w->fd >= 0)
		rmtree_at(w->parentfd, w->temp);
	fd_close(&w->fd);
	fd_close(&w->parentfd);
	return r;
}

static int unpack_layer(struct tree *tree, const struct image_source *source,
	const struct image_layer *layer, struct layer_policy *policy, uint64_t bytes_max,
	struct err *e)
{
	/* The tar file around the files needs room too: a block and padding for each. */
	uint64_t plain_max =
		bytes_max < UINT64_MAX / 4 ? bytes_max * 3 / 2 + (1u << 20) : UINT64_MAX;
	struct stream stream;
	struct blob blob;
	int r = image_source_blob(source, layer->name, &blob, e);

	if (r < 0)
		return r;
	if (layer->has_digest && blob.size != layer->size)
		r = err_set(e, EBADMSG, "has %llu bytes, its descriptor says %llu",
			(unsigned long long)blob.size, (unsigned long long)layer->size);
	if (r == 0)
		r = stream_open(&stream, &blob, layer->packing,
			layer->has_digest ? &layer->digest : NULL, &layer->diff_id, plain_max, e);
	if (r == 0) {
		r = layer_unpack(tree, &stream, policy, e);
		stream_close(&stream);
	}
	blob_close(&blob);
	return r;
}

/* Docker makes a working directory that the image lacks. */
static int make_working_dir(struct tree *tree, const struct image_config *c, struct err *e)
{
	char path[PATH_BYTES_MAX];
	int r = spec_working_dir(c, path, sizeof(path), e);

	if (r < 0)
		return r;
	r = tree_parent(tree, path + 1, strlen(path + 1), 1);
	if (r < 0)
		return err_set(e, -r, "make the working directory %.200s: %s", path, strerror(-r));
	return 0;
}

static int unpack_layers(const struct image *image, const struct image_source *source, int rootfd,
	const struct unpack_options *o, struct err *e)
{
	struct layer_policy policy = {
		.allow_devices = o->allow_devices,
		.bytes_left = o->bytes_max,
		.entries_left = IMAGE_ENTRIES_MAX,
	};
	struct tree tree;
	int r;

	tree_init(&tree, rootfd);
	/* In case that no layer describes the root. */
	r = tree_set_dir_time(&tree, "", (struct timespec){0});
	if (r < 0)
		err_set(e, -r, "out of memory");
	for (size_t i = 0; r == 0 && i < image->n_layers; i++) {
		r = unpack_layer(&tree, source, &image->layers[i], &policy, o->bytes_max, e);
		if (r < 0)
			err_wrap(e, "layer %zu of %zu (%.19s)", i + 1, image->n_layers,
				image->layers[i].diff_id.text);
	}
	if (r == 0)
		r = make_working_dir(&tree, &image->config, e);
	if (r == 0) {
		r = tree_finish(&tree);
		if (r < 0)
			err_set(e, -r, "set the times of directories: %s", strerror(-r));
	}
	tree_free(&tree);
	return r;
}

static int write_config(const struct image *image, int bundlefd, int rootfd,
	const struct spec_options *options, struct err *e)
{
	struct user user;
	AUTO_CLOSE int fd = -1;
	char *json;
	size_t len;
	int r = users_lookup_in(rootfd, image->config.user, &user, e);

	if (r == 0)
		r = spec_make(&image->config, &user, options, &json, &len, e);
	if (r < 0)
		return r;
	fd = openat(bundlefd, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : io_write_all(fd, json, len);
	free(json);
	return r < 0 ? err_set(e, -r, "write config.json: %s", strerror(-r)) : 0;
}

static int fill_bundle(const struct image *image, const struct image_source *source,
	struct workplace *w, const struct unpack_options *o, struct err *e)
{
	const struct spec_options spec = {
		.hostname = o->name ? o->name : w->bundle,
		.private_network = o->private_network,
	};
	AUTO_CLOSE int rootfd = -1;
	int r;

	if (mkdirat(w->fd, "rootfs", 0755) < 0)
		return err_set(e, errno, "make rootfs: %s", strerror(errno));
	rootfd = openat(w->fd, "rootfs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (rootfd < 0)
		return err_set(e, errno, "open rootfs: %s", strerror(errno));
	r = unpack_layers(image, source, rootfd, o, e);
	if (r == 0)
		r = write_config(image, w->fd, rootfd, &spec, e);
	if (r == 0 && fchmod(w->fd, 0755) < 0)
		return err_set(e, errno, "chmod: %s", strerror(errno));
	return r;
}

int image_unpack(const struct unpack_options *o, struct err *e)
{
	struct image_source source = {.dirfd = -1, .fd = -1};
	struct workplace w;
	struct image image;
	int r = open_workplace(&w, o->bundle, e);

	if (r == 0 && !image_name_valid(o->name ? o->name : w.bundle))
		r = err_set(e, EINVAL, "\"%.80s\" cannot be a container's name",
			o->name ? o->name : w.bundle);
	if (r == 0)
		r = image_source_open(&source, o->image, w.fd, o->bytes_max, e);
	if (r == 0) {
		r = image_load(&image, &source, o->ref, &o->platform, e);
		if (r == 0) {
			r = fill_bundle(&image, &source, &w, o, e);
			image_free(&image);
		}
		image_source_close(&source);
		if (r < 0)
			err_wrap(e, "%s", o->image);
	}
	return close_workplace(&w, o->bundle, r, e);
}
