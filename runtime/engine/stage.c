#include "runtime/engine/stage.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "lib/util/path.h"
#include "runtime/engine/hostmounts.h"
#include "runtime/engine/mountpoints.h"
#include "runtime/engine/spec.h"

#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Make the place, a directory or a file as @fd is. */
static int make_place(int fd, const char *path)
{
	AUTO_CLOSE int file = -1;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
	file = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return file < 0 ? -errno : 0;
}

/* What is open as @fd, on @path. @recursive: with what is mounted below it */
static int attach(int fd, const char *path, bool recursive)
{
	AUTO_CLOSE int tree = sys_open_tree(fd, "",
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
			(recursive ? AT_RECURSIVE : 0));
	int r = tree < 0 ? -errno : make_place(tree, path);

	if (r == 0 && sys_move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		r = -errno;
	return r;
}

/* The part @subpath of the directory @root: no symlink leads out of it. */
static int open_part(int root, const char *subpath, const char *shown, struct err *e)
{
	int fd = path_open_in_root(root, subpath, O_PATH, 0);

	return fd < 0 ? err_set(e, -fd, "cannot access path %.200s/%.200s: %s", shown, subpath,
				strerror(-fd))
		      : fd;
}

static int stage_volume(struct engine *en, yyjson_val *mp, const char *path, struct err *e)
{
	yyjson_val *options = yyjson_obj_get(yyjson_obj_get(mp, MOUNTPOINT_SPEC), "VolumeOptions");
	const char *name = spec_str(mp, "Name");
	AUTO_CLOSE int data = volume_store_open_data(&en->volumes.store, name);
	AUTO_CLOSE int part = -1;
	int r;

	if (data < 0)
		return err_set(e, -data, "volume %s: %s", name, strerror(-data));
	part = open_part(data, spec_str(options, "Subpath"), spec_str(mp, "Source"), e);
	if (part < 0)
		return part;
	r = attach(part, path, true);
	return r < 0 ? err_set(e, -r, "mount a part of volume %s: %s", name, strerror(-r)) : 0;
}

/* The whole image at @path: its mount, or its only layer. */
static int attach_image(int root, const char *path)
{
	int r = make_place(root, path);

	if (r == 0 && sys_move_mount(root, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		r = errno == EINVAL ? attach(root, path, false) : -errno;
	return r;
}

/* A part of it is taken from a mount that stands somewhere: of another there are copies only since
 * Linux 6.15. */
static int stage_image(struct engine *en, yyjson_val *mp, const char *path, struct err *e)
{
	yyjson_val *options = yyjson_obj_get(yyjson_obj_get(mp, MOUNTPOINT_SPEC), "ImageOptions");
	const char *subpath = spec_str(options, "Subpath");
	const char *name = spec_str(mp, "Source");
	AUTO_CLOSE int root = rootfs_open_image(en, spec_str(mp, MOUNTPOINT_IMAGE), e);
	AUTO_CLOSE int whole = -1;
	AUTO_CLOSE int part = -1;
	char place[4096];
	int r;

	if (root < 0)
		return root;
	(void)snprintf(place, sizeof(place), "%.4000s%s", path, subpath[0] ? ".image" : "");
	r = attach_image(root, place);
	if (r == 0 && subpath[0]) {
		whole = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
		part = whole < 0 ? -1 : open_part(whole, subpath, name, e);
		if (whole >= 0 && part < 0)
			return part;
		r = whole < 0 ? -errno : attach(part, path, false);
	}
	return r < 0 ? err_set(e, -r, "mount image %.200s: %s", name, strerror(-r)) : 0;
}

int stage_mount(struct engine *en, struct container *c, yyjson_val *mp, size_t number, char *path,
	size_t size, struct err *e)
{
	char name[32];

	container_path(en, c, "mounts", path, size);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "make %s: %s", path, strerror(errno));
	(void)snprintf(name, sizeof(name), "mounts/%zu", number);
	container_path(en, c, name, path, size);
	return strcmp(spec_str(mp, "Type"), "image") == 0 ? stage_image(en, mp, path, e)
							  : stage_volume(en, mp, path, e);
}

void stage_clear(struct engine *en, struct container *c)
{
	char path[4096];
	struct stat st;

	container_path(en, c, "mounts", path, sizeof(path));
	/* Most containers have none. */
	if (stat(path, &st) < 0)
		return;
	mounts_detach_below(path, NULL, NULL);
}

void stage_clear_all(struct engine *en)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/containers", en->paths.root);
	mounts_detach_below(path, NULL, NULL);
}
