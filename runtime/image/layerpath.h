/*
 * Names inside a layer: what they mean before any of them touches the disk. Pure functions.
 * Source: image-spec layer.md "Whiteouts", "Opaque Whiteout".
 */
#ifndef SAMPAN_IMAGE_LAYERPATH_H
#define SAMPAN_IMAGE_LAYERPATH_H

#include <stddef.h>

enum layer_name {
	LAYER_NAME_PLAIN,    /* an entry of its own */
	LAYER_NAME_WHITEOUT, /* ".wh.NAME": NAME of the lower layers is removed */
	LAYER_NAME_OPAQUE,   /* ".wh..wh..opq": all children of the lower layers are removed */
	LAYER_NAME_RESERVED, /* other ".wh..wh." names: the bookkeeping of aufs, skipped as Docker
				does */
};

/*
 * Bring an entry's path into the form "a/b/c": relative to the root, no "." or empty components,
 * no slash at the end; the root itself is "".
 * @path: as the archive has it; a leading "/" counts for nothing
 * @out: filled, @size bytes
 * Returns 0; -EPERM for a ".." component; -ENAMETOOLONG; -ELOOP for too many components.
 */
int layer_path_clean(const char *path, char *out, size_t size);

/*
 * Classify the last component of a clean path.
 * @ret_hidden: for a whiteout, the name that it removes
 * Returns an enum layer_name; -EINVAL for a whiteout of "", "." or "..".
 */
int layer_name_classify(const char *name, const char **ret_hidden);

enum layer_xattr {
	LAYER_XATTR_PLAIN,
	LAYER_XATTR_LOCAL,   /* belongs to the machine that it is on: left out of archives */
	LAYER_XATTR_REFUSED, /* overlayfs's own: would redirect what a container is mounted from */
};

/* What an extended attribute means between a disk and an archive. */
enum layer_xattr layer_xattr_classify(const char *name);

#endif
