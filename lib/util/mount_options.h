/*
 * The words of a mount's "options": which become attributes of the mount, which its propagation,
 * and which are the file system's own. Pure functions.
 * Source: OCI runtime-spec config.md "Linux mount options"; mount(8); mount_setattr(2).
 */
#ifndef SAMPAN_UTIL_MOUNT_OPTIONS_H
#define SAMPAN_UTIL_MOUNT_OPTIONS_H

#include "lib/util/json.h"

#include <stdbool.h>
#include <stdint.h>

/* Attributes to set and to clear, as mount_setattr(2) takes them. */
struct mount_change {
	uint64_t set;
	uint64_t clear;
	uint64_t propagation; /* MS_SHARED, MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE or 0 */
};

struct mount_options {
	bool bind;
	bool recursive_bind;
	bool tmpcopyup;
	bool remount;
	bool idmap;
	bool recursive_idmap;
	struct mount_change top; /* this mount alone */
	struct mount_change all; /* it and every mount below; has the last word */
	/* What the file system itself gets, in order: "size=64k", "sync"; of the arena. */
	struct json_strv data;
};

/*
 * Sort the @words of one mount.
 * @ret: filled
 * An empty word says nothing. Returns 0 or -ENOMEM.
 */
int mount_options_parse(
	struct arena *arena, const struct json_strv *words, struct mount_options *ret);

/* What a new mount, with none below it, has of its attributes, as fsmount(2) takes them. */
static inline uint64_t mount_attributes(const struct mount_options *o)
{
	return (o->top.set & ~o->all.clear) | o->all.set;
}

/*
 * Look up a propagation word: "private", "rslave", …
 * Returns 0 with MS_* and whether it is recursive; -EINVAL.
 */
int mount_propagation(const char *word, uint64_t *ret_flag, bool *ret_recursive);

/* Is @word of the data one that a file system may not know? Then it has no meaning there. */
bool mount_option_is_hint(const char *word);

/* The @i-th word that is known, for `features`; NULL behind the last. */
const char *mount_option_name(size_t i);

#endif
