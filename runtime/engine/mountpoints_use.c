/* What a container's mount points ask for when it is made, starts, ends and goes. */
#include "runtime/engine/mountpoints.h"

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/util/path.h"
#include "runtime/engine/spec.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_type(yyjson_val *mp, const char *type)
{
	return strcmp(spec_str(mp, "Type"), type) == 0;
}

static bool flag(yyjson_val *mp, const char *key)
{
	return yyjson_get_bool(yyjson_obj_get(mp, key));
}

bool mountpoints_use_volume(const struct container *c, const char *name)
{
	yyjson_val *mp;
	size_t i, n;

	yyjson_arr_foreach (mountpoints_of(c), i, n, mp)
		if (is_type(mp, "volume") && strcmp(spec_str(mp, "Name"), name) == 0)
			return true;
	return false;
}

bool mountpoints_use_image(const struct container *c, const char *id)
{
	yyjson_val *mp;
	size_t i, n;

	yyjson_arr_foreach (mountpoints_of(c), i, n, mp)
		if (strcmp(spec_str(mp, MOUNTPOINT_IMAGE), id) == 0)
			return true;
	return false;
}

/* One volume out of the image's file system @root. */
static int fill_one(struct engine *en, int root, yyjson_val *mp, struct err *e)
{
	const char *name = spec_str(mp, "Name");
	const char *destination = spec_str(mp, "Destination");
	AUTO_CLOSE int from = path_open_in_root(root, destination, O_RDONLY | O_DIRECTORY, 0);
	struct volume v;
	int r;

	if (from == -ENOENT)
		return 0;
	if (from == -ENOTDIR)
		return err_set(e, EINVAL,
			"cannot mount volume over existing file, file exists %.300s", destination);
	if (from < 0)
		return err_set(e, -from, "fill volume %s from %.200s: %s", name, destination,
			strerror(-from));
	r = volume_store_get(&en->volumes.store, name, &v, e);
	if (r < 0)
		return r;
	r = volume_mount(en, name, e);
	if (r == 0) {
		r = volume_store_fill(&en->volumes.store, name, from, volume_is_mounted(&v), e);
		volume_unmount(en, name);
	}
	volume_free(&v);
	return r;
}

/* A part of a volume is somebody's own choice of its content. */
static bool has_subpath(yyjson_val *mp)
{
	yyjson_val *options = yyjson_obj_get(yyjson_obj_get(mp, MOUNTPOINT_SPEC), "VolumeOptions");

	return spec_str(options, "Subpath")[0];
}

int mountpoints_fill(struct engine *en, struct container *c, struct err *e)
{
	AUTO_CLOSE int root = -1;
	yyjson_val *mp;
	size_t i, n;
	int r = 0;

	yyjson_arr_foreach (mountpoints_of(c), i, n, mp) {
		if (!is_type(mp, "volume") || !flag(mp, MOUNTPOINT_COPY) || has_subpath(mp))
			continue;
		if (root < 0)
			root = rootfs_open(en, c, e);
		r = root < 0 ? root : fill_one(en, root, mp, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* As Docker: a directory that is not there is made. */
static int make_source(const char *path, struct err *e)
{
	char part[4096];
	struct stat st;

	if (stat(path, &st) == 0)
		return 0;
	for (const char *end = path; end;) {
		end = strchr(end + 1, '/');
		(void)snprintf(part, sizeof(part), "%.*s",
			end ? (int)(end - path) : (int)strlen(path), path);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_set(e, errno,
				"error while creating mount source path '%.200s': mkdir %.200s: %s",
				path, part, strerror(errno));
	}
	return 0;
}

static void tell_mount(struct engine *en, const struct container *c, yyjson_val *mp, bool mounted)
{
	const char *const more[] = {"driver", "local", "container", c->id,
		mounted ? "destination" : NULL, spec_str(mp, "Destination"), "read/write",
		flag(mp, "RW") ? "true" : "false", "propagation", spec_str(mp, "Propagation"),
		NULL};

	volume_tell(en, spec_str(mp, "Name"), mounted ? "mount" : "unmount", more);
}

/* The first @count volumes. */
static void unmount_some(struct engine *en, struct container *c, size_t count)
{
	yyjson_val *mp;
	size_t i, n;

	yyjson_arr_foreach (mountpoints_of(c), i, n, mp)
		if (i < count && is_type(mp, "volume")) {
			volume_unmount(en, spec_str(mp, "Name"));
			tell_mount(en, c, mp, false);
		}
}

int mountpoints_take(struct engine *en, struct container *c, struct err *e)
{
	yyjson_val *mp;
	size_t i, n;

	yyjson_arr_foreach (mountpoints_of(c), i, n, mp) {
		int r = 0;

		if (is_type(mp, "volume")) {
			r = volume_mount(en, spec_str(mp, "Name"), e);
			if (r == 0)
				tell_mount(en, c, mp, true);
		} else if (is_type(mp, "bind") && flag(mp, MOUNTPOINT_MAKE)) {
			r = make_source(spec_str(mp, "Source"), e);
		}
		if (r < 0) {
			unmount_some(en, c, i);
			return r;
		}
	}
	c->mounts_taken = true;
	return 0;
}

void mountpoints_give_back(struct engine *en, struct container *c)
{
	if (!c->mounts_taken)
		return;
	c->mounts_taken = false;
	unmount_some(en, c, yyjson_arr_size(mountpoints_of(c)));
}

void mountpoints_taken_already(struct engine *en, struct container *c)
{
	yyjson_val *mp;
	size_t i, n;

	yyjson_arr_foreach (mountpoints_of(c), i, n, mp)
		if (is_type(mp, "volume"))
			volume_mounted_already(en, spec_str(mp, "Name"));
	c->mounts_taken = true;
}

void mountpoints_orphan(struct engine *en, struct container *c)
{
	struct err e = {0};
	yyjson_val *mp;
	size_t i, n;

	yyjson_arr_foreach (mountpoints_of(c), i, n, mp)
		if (flag(mp, MOUNTPOINT_ANONYMOUS) &&
			volume_store_claim(&en->volumes.store, spec_str(mp, "Name"), c->id, &e) < 0)
			log_error("container %.12s: %s", c->id, e.msg);
}

void mountpoints_remove_orphans(struct engine *en, struct container *c)
{
	yyjson_val *mp;
	size_t i, n;

	yyjson_arr_foreach (mountpoints_of(c), i, n, mp) {
		struct err e = {0};
		int r = flag(mp, MOUNTPOINT_ANONYMOUS) ? volume_remove(en, spec_str(mp, "Name"), &e)
						       : 0;

		/* Another container may have it from this one. */
		if (r == -EBUSY)
			(void)volume_store_claim(
				&en->volumes.store, spec_str(mp, "Name"), NULL, &e);
		else if (r < 0 && r != -ENOENT)
			log_error("container %.12s: %s", c->id, e.msg);
	}
}
