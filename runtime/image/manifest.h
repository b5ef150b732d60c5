/*
 * Manifests and indexes: what an image consists of. Pure functions of the JSON text.
 * Source: image-spec manifest.md, image-index.md, descriptor.md, media-types.md; Docker image
 * manifest v2 schema 2; the manifest.json of `docker save`.
 */
#ifndef SAMPAN_IMAGE_MANIFEST_H
#define SAMPAN_IMAGE_MANIFEST_H

#include "lib/base/err.h"
#include "runtime/image/digest.h"
#include "runtime/image/document.h"
#include "runtime/image/reference.h"

#include <stdint.h>

enum media_kind { MEDIA_INDEX, MEDIA_MANIFEST, MEDIA_CONFIG, MEDIA_LAYER };

/* The numbers are on record (runtime/store): new ones go to the end. */
enum packing {
	PACKING_ANY, /* not declared: the first bytes tell */
	PACKING_NONE,
	PACKING_GZIP,
	PACKING_ZSTD,
};

struct media_type {
	const char *name;
	enum media_kind kind;
	enum packing packing;
};

/* Look a media type up; NULL if we do not know it. */
const struct media_type *media_type_find(const char *name);

/* A pointer to a blob. The strings belong to the JSON document that it was read from. */
struct descriptor {
	const struct media_type *media; /* NULL in an index for a type that we do not know */
	const char *media_name;
	const char *digest_text;
	struct digest digest;
	struct json_opt_u64 size; /* bytes; always set */
	const char *os;
	const char *architecture; /* NULL when the descriptor names no platform */
	const char *ref_name;	  /* org.opencontainers.image.ref.name */
	const char *full_name;	  /* io.containerd.image.name */
};

/* Whether an index entry may be for @want; one without a platform may. */
int descriptor_fits(const struct descriptor *d, const struct platform *want);

/* How well @d is named by @ref: 0 not at all, 1 by its tag alone, 2 by its name. */
int descriptor_named(const struct descriptor *d, const char *ref);

struct index {
	struct descriptor *manifests;
	size_t n_manifests;
};

/*
 * Read an image index (index.json, or a nested one).
 * @doc: owns what @ret points to
 * Returns 0 or -errno.
 */
int index_read(const struct document *doc, struct index *ret, struct err *e);

struct manifest {
	struct descriptor config;
	struct descriptor *layers; /* lowest first */
	size_t n_layers;
};

/* Read an image manifest; every layer is of a known media type. As index_read. */
int manifest_read(const struct document *doc, struct manifest *ret, struct err *e);

/* One image of a `docker save` archive. */
struct saved_image {
	const char *config; /* name of the file in the archive */
	struct json_strv tags;
	struct json_strv layers;
};

/* Read its manifest.json: @ret_n images. As index_read. */
int saved_images_read(
	const struct document *doc, struct saved_image **ret, size_t *ret_n, struct err *e);

#endif
