/*
 * One layer, unpacked over the layers below it.
 * Source: image-spec layer.md.
 */
#ifndef SAMPAN_IMAGE_LAYER_H
#define SAMPAN_IMAGE_LAYER_H

#include "lib/base/err.h"
#include "runtime/image/stream.h"
#include "runtime/image/tree.h"

struct layer_policy {
	int allow_devices;     /* any device node, not only those every container may use */
	uint64_t bytes_left;   /* that all layers together may still unpack to */
	uint32_t entries_left; /* that all layers together may still have */
};

/*
 * Unpack the tar file that @stream yields into @tree, to its end, so that its digests are checked.
 * The tree is not to be used when this fails. The process's umask should be 0: a directory that no
 * entry describes gets 0755 through it.
 * Returns 0 or -errno; the error names the entry.
 */
int layer_unpack(
	struct tree *tree, struct stream *stream, struct layer_policy *policy, struct err *e);

#endif
