/*
 * One wish for a mount, from one of the API's three forms, checked as Docker checks it. Pure
 * functions of their arguments, but that a bind's source is looked for.
 */
#ifndef SAMPAN_ENGINE_MOUNT_PARSE_H
#define SAMPAN_ENGINE_MOUNT_PARSE_H

#include "lib/base/err.h"
#include "lib/util/arena.h"

#include <stdbool.h>
#include <yyjson.h>

enum mount_kind { MOUNT_KIND_BIND, MOUNT_KIND_VOLUME, MOUNT_KIND_TMPFS, MOUNT_KIND_IMAGE };

/* Texts belong to the arena, or are borrowed from the request. */
struct mount_wish {
	enum mount_kind kind;
	const char *source;	 /* a path, a volume's name or an image's; "": none */
	const char *destination; /* absolute and clean */
	const char *mode;	 /* as it was given: "ro,z" */
	const char *propagation; /* "" but for a bind */
	const char *driver;
	bool writable;
	bool copy; /* fill the volume from the image */
	bool make_source;
	yyjson_val *spec; /* of HostConfig.Mounts; NULL */
};

/*
 * A string of HostConfig.Binds: "SOURCE:DESTINATION[:MODE]" or "DESTINATION".
 * @driver: HostConfig.VolumeDriver
 * Returns 0 or -errno (-EINVAL).
 */
int mount_parse_bind(struct arena *arena, const char *text, const char *driver,
	struct mount_wish *ret, struct err *e);

/* An object of HostConfig.Mounts. */
int mount_parse_spec(struct arena *arena, yyjson_val *spec, struct mount_wish *ret, struct err *e);

/*
 * A string of HostConfig.VolumesFrom: "CONTAINER[:ro|rw|z|Z]".
 * @ret_container: of the arena
 */
int mount_parse_from(struct arena *arena, const char *text, const char **ret_container,
	bool *ret_writable, struct err *e);

/* A key of HostConfig.Tmpfs. */
int mount_check_tmpfs(const char *destination, struct err *e);

/* An absolute path without "//", "/./", "/../" and a slash at the end; of the arena. */
const char *mount_clean_path(struct arena *arena, const char *path);

/* Whether @path is relative and does not leave where it starts, by its text. */
bool mount_path_is_local(const char *path);

/* The name of a kind, as the API has it. */
const char *mount_kind_name(enum mount_kind kind);

#endif
