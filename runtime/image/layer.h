/*
 * One layer, unpacked over the layers below it.
 * Source: image-spec layer.md.
 */
#ifndef SAMPAN_IMAGE_LAYER_H
#define SAMPAN_IMAGE_LAYER_H

#include "lib/base/err.h"
#include "runtime/image/stream.h"
#include "runtime/image/tree.h"

/* The character devices that a container may use by Docker's default rules; so may a layer bring.
 */
#define LAYER_DEVICES 8

struct layer_device {
	unsigned major, minor;
};

extern const struct layer_device layer_devices[LAYER_DEVICES];

struct layer_policy {
	int allow_devices;     /* any device node, not only those every container may use */
	uint64_t bytes_left;   /* that all layers together may still unpack to */
	uint32_t entries_left; /* that all layers together may still have */

	/* Files for a directory of a root that is in use, and no layer: clean, from the root, ""
	 * for the root itself. Names are relative to it and nothing is a whiteout. NULL: a layer */
	const char *into;
	int keep_kind; /* put no file in a directory's place, nor the reverse */
	int owned;     /* everything belongs to these, whatever the archive says */
	uid_t uid;
	gid_t gid;
};

/* Where the bytes of a tar file come from: how many, 0 at the end, or -errno with @e filled. */
struct tar_input {
	ssize_t (*next)(void *arg, const void **ret_buf, struct err *e);
	void *arg;
	int packed; /* it may be compressed with gzip or zstd, and nothing at all is no entry */
};

/*
 * Unpack the tar file that @stream yields into @tree, to its end, so that its digests are checked.
 * The tree is not to be used when this fails. The process's umask should be 0: a directory that no
 * entry describes gets 0755 through it.
 * Returns 0 or -errno; the error names the entry.
 */
int layer_unpack(
	struct tree *tree, struct stream *stream, struct layer_policy *policy, struct err *e);

/* The same for bytes from anywhere. */
int layer_unpack_input(
	struct tree *tree, const struct tar_input *in, struct layer_policy *policy, struct err *e);

#endif
