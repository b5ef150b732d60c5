/* What images.c needs of layers: the directories below layers/ and their records. */
#ifndef SAMPAN_STORE_LAYERS_H
#define SAMPAN_STORE_LAYERS_H

#include "runtime/store/images.h"

/* Remove half-made layers and those that are on no record. */
int layers_sweep(struct image_store *s, struct err *e);

/*
 * Have all layers of an image, unpacked and on record. With the store's lock.
 * @chains: gets their chainIDs, one per layer
 */
int layers_add(struct image_store *s, const struct image_source *source, const struct image *image,
	struct digest *chains, struct err *e);

#endif
