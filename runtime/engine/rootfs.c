/* The root file system of a container: the image's layers and its own, stacked by overlayfs. */
#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "lib/util/newfs.h"
#include "runtime/engine/container.h"
#include "runtime/engine/hostmounts.h"

#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int fs_failed(int fs, const char *what, struct err *e)
{
	int saved = errno;
	char why[256];

	newfs_log(fs, why, sizeof(why));
	return err_set(e, saved, "mount the root file system: %s: %s%s%s", what, strerror(saved),
		why[0] ? ": " : "", why);
}

static int add_layers(struct engine *en, int fs, const struct image_record *image, struct err *e)
{
	/* The topmost first, as overlayfs counts. */
	for (size_t i = image->n_chains; i-- > 0;) {
		char path[64];
		AUTO_CLOSE int layer = image_store_open_layer(&en->images, image->chains[i]);

		if (layer < 0)
			return err_set(e, -layer, "layer %.19s of image %.19s: %s",
				image->chains[i], image->id, strerror(-layer));
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", layer);
		if (sys_fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", path, 0) < 0)
			return fs_failed(fs, "lowerdir+", e);
	}
	return 0;
}

static int mount_overlay(
	struct engine *en, struct container *c, const struct image_record *image, struct err *e)
{
	static const char *const own[][2] = {{"upperdir", "upper"}, {"workdir", "work"}};
	/* What a container changed must be in its own directory, whole and under its name: it is
	 * read there to become a layer. The kernel's defaults may say otherwise. */
	static const char *const off[] = {"index", "metacopy", "redirect_dir"};
	AUTO_CLOSE int fs = sys_fsopen("overlay", FSOPEN_CLOEXEC);
	char path[4096];
	int r;

	if (fs < 0)
		return err_set(e, errno, "overlay: %s", strerror(errno));
	r = add_layers(en, fs, image, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < 2; i++) {
		container_path(en, c, own[i][1], path, sizeof(path));
		if (sys_fsconfig(fs, FSCONFIG_SET_STRING, own[i][0], path, 0) < 0)
			return fs_failed(fs, own[i][0], e);
	}
	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
		if (sys_fsconfig(fs, FSCONFIG_SET_STRING, off[i], "off", 0) < 0)
			return fs_failed(fs, off[i], e);
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_failed(fs, "overlay", e);
	r = sys_fsmount(fs, FSMOUNT_CLOEXEC, 0);
	return r < 0 ? fs_failed(fs, "overlay", e) : r;
}

int rootfs_open(struct engine *en, struct container *c, struct err *e)
{
	struct image_record image;
	int r = image_store_get(&en->images, container_image(c), &image, e);

	if (r < 0)
		return r;
	r = mount_overlay(en, c, &image, e);
	image_record_free(&image);
	return r;
}

/* Several layers as one, without a place for changes. */
static int stack_layers(struct engine *en, const struct image_record *image, struct err *e)
{
	AUTO_CLOSE int fs = sys_fsopen("overlay", FSOPEN_CLOEXEC);
	int r;

	if (fs < 0)
		return err_set(e, errno, "overlay: %s", strerror(errno));
	r = add_layers(en, fs, image, e);
	if (r < 0)
		return r;
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_failed(fs, "overlay", e);
	r = sys_fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	return r < 0 ? fs_failed(fs, "overlay", e) : r;
}

int rootfs_open_image(struct engine *en, const char *id, struct err *e)
{
	struct image_record image;
	int r = image_store_get(&en->images, id, &image, e);

	if (r < 0)
		return r;
	/* The kernel wants two at least. A whiteout means nothing in the lowest. */
	if (image.n_chains > 1)
		r = stack_layers(en, &image, e);
	else if (image.n_chains == 1)
		r = image_store_open_layer(&en->images, image.chains[0]);
	else
		r = err_set(e, ENODATA, "the image has no layers");
	image_record_free(&image);
	return r;
}

int rootfs_mount(struct engine *en, struct container *c, struct err *e)
{
	AUTO_CLOSE int mounted = rootfs_open(en, c, e);
	char path[4096];

	if (mounted < 0)
		return mounted;
	container_path(en, c, "rootfs", path, sizeof(path));
	if (sys_move_mount(mounted, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(e, errno, "mount on %s: %s", path, strerror(errno));
	return TAKE_FD(mounted);
}

void rootfs_unmount(struct engine *en, struct container *c)
{
	char path[4096];

	container_path(en, c, "rootfs", path, sizeof(path));
	mount_detach(path);
}
