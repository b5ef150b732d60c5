/*
 * One image picked out of a source: its config and its layers, everything but the layers' content
 * read and verified.
 */
#ifndef SAMPAN_IMAGE_IMAGE_H
#define SAMPAN_IMAGE_IMAGE_H

#include "runtime/image/imageconfig.h"
#include "runtime/image/manifest.h"
#include "runtime/image/source.h"

struct image_layer {
	char *name; /* of the blob in the source */
	enum packing packing;
	int has_digest; /* 0 in a `docker save` archive, where the diffID alone is known */
	struct digest digest;
	uint64_t size; /* bytes of the blob, when has_digest */
	struct digest diff_id;
};

/* Refers to itself: not to be copied or moved. */
struct image {
	struct digest id;  /* of the config, and so of the image */
	char *config_text; /* as the digest has it */
	struct document config_doc;
	struct image_config config;
	struct image_layer *layers; /* lowest first */
	size_t n_layers;
};

/*
 * Pick an image.
 * @ref: its name; NULL when the source has one only
 * @platform: wanted; an image for another is refused
 * Returns 0; -ENOENT if there is none; -EBADMSG if a digest does not match; otherwise -errno.
 * After 0 the caller owes image_free.
 */
int image_load(struct image *image, const struct image_source *source, const char *ref,
	const struct platform *platform, struct err *e);
void image_free(struct image *image);

/*
 * An image by its config alone.
 * @text: of the config, to be freed by the caller
 * @layer: what every layer's blob is called in the source that the image is then added from
 */
int image_from_config(
	struct image *image, const char *text, size_t len, const char *layer, struct err *e);

/*
 * Make an image of its manifest and the text of its config.
 * @text: malloc'd with YYJSON_PADDING_SIZE bytes behind its @len, checked against its digest; taken
 * over, also on failure
 * Returns 0 or -errno. After 0 the caller owes image_free.
 */
int image_from_manifest(
	struct image *image, const struct manifest *m, char *text, size_t len, struct err *e);

/* @names: what the archive calls it, @n of them, possibly none */
typedef int (*image_visitor)(
	void *arg, const struct image *image, const char *const *names, size_t n, struct err *e);

/*
 * Call @visit for each image of the archive that is for @platform, until it returns other than 0.
 * Returns that, 0, or -errno with @e filled.
 */
int image_each(const struct image_source *source, const struct platform *platform,
	image_visitor visit, void *arg, struct err *e);

#endif
