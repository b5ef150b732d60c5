/*
 * Layers on their way into the store. A layer is unpacked while it comes (runtime/image/unpacker.h)
 * and its blob kept; it is there once both are on the disk and on record. Several may come at once;
 * one that two callers want is made by the first, and the other waits.
 */
#ifndef SAMPAN_STORE_LAYERS_H
#define SAMPAN_STORE_LAYERS_H

#include "runtime/image/unpacker.h"
#include "runtime/store/blobs.h"
#include "runtime/store/images.h"

#include <stdatomic.h>

/* Which layer. */
struct layer_want {
	struct digest chain; /* chainID: what it is called */
	struct digest diff_id;
	enum packing packing; /* of what will be written */
	int has_digest;
	struct digest digest; /* of what will be written, when has_digest */
};

/* The layer at hand. */
struct layer_writer {
	struct image_store *s;
	struct layer_want want;
	char part[IMAGE_ID_BYTES + 16]; /* name of its directory until it is complete */
	int dirfd;
	struct unpacker unpacker;
	struct blob_writer blob;
};

/*
 * Hold a layer, whether it is there or not, so that no removal takes it away before it belongs to
 * an image; and release what was held: what belongs to no image then goes.
 */
int layer_hold(struct image_store *s, const struct digest *chain, struct err *e);
void layer_release(struct image_store *s, const struct digest *chains, size_t n);

/* Whether it is there: 1, 0 or -errno. It stays while it is held. */
int layer_exists(struct image_store *s, const struct digest *chain, struct err *e);

/*
 * Begin a layer that is held.
 * @cancel: gives up waiting, for somebody else who makes it or for the unpacker; borrowed until
 * layer_end or layer_drop; NULL allowed
 * Returns 1 if it is there; 0 if it is to be written, and the caller owes layer_end or layer_drop
 * from the same thread; -ECANCELED; otherwise -errno.
 */
int layer_begin(struct image_store *s, const struct layer_want *want, const atomic_bool *cancel,
	struct layer_writer *w, struct err *e);

/* The next bytes of its blob. Returns 0 or -errno. */
int layer_write(struct layer_writer *w, const void *buf, size_t len, struct err *e);

/* All of a blob's bytes. */
int layer_write_blob(struct layer_writer *w, const struct blob *b, struct err *e);

/* That was all. Returns 0 once it is there, or -errno; then nothing is left of it. */
int layer_end(struct layer_writer *w, struct err *e);

/* Leave it: nothing stays. */
void layer_drop(struct layer_writer *w);

/* The chainID of a layer on top of @parent (NULL for the lowest). 0 or -ENOMEM. Source: image-spec
 * config.md "Layer ChainID". */
int layer_chain(const struct digest *parent, const struct digest *diff, struct digest *ret);

/* Remove half-made layers and those that are on no record. */
int layers_sweep(struct image_store *s, struct err *e);

/*
 * Have all layers of an image out of @source, unpacked, on record and held.
 * @chains: gets their chainIDs; the caller owes layer_release of *@ret_n, also after an error
 */
int layers_add(struct image_store *s, const struct image_source *source, const struct image *image,
	struct digest *chains, size_t *ret_n, struct err *e);

#endif
