/*
 * The images of this machine: layers unpacked for overlayfs below layers/, one directory per
 * chainID, the archives that they came in below blobs/, and the records of what they belong to. A
 * layer's directory appears by a rename when it is complete and on the disk; an image is on record
 * when all its layers are there.
 */
#ifndef SAMPAN_STORE_IMAGES_H
#define SAMPAN_STORE_IMAGES_H

#include "runtime/image/image.h"
#include "runtime/store/db.h"
#include "lib/util/buf.h"

#include <pthread.h>

/* "sha256:" and 64 digits and the NUL */
#define IMAGE_ID_BYTES 72

struct image_store {
	int root;   /* borrowed */
	int layers; /* directory of the layers */
	int spool;  /* directory for files without a name */
	struct db *db;
	pthread_mutex_t lock;	     /* records and what they are of change together */
	pthread_cond_t made;	     /* with the lock: a layer is done with */
	struct layer_making *making; /* with the lock */
};

/*
 * Open the store below @root, make it if it is missing, and remove what a killed predecessor left
 * half done.
 * @db: borrowed
 * Returns 0 or -errno. After 0 the caller owes image_store_close.
 */
int image_store_open(struct image_store *s, int root, struct db *db, struct err *e);
void image_store_close(struct image_store *s);

/* One image of the store; image_record_free. */
struct image_record {
	char id[IMAGE_ID_BYTES];
	struct document config_doc;
	struct image_config config;
	int64_t size;	   /* bytes of its layers, unpacked */
	int64_t tagged_ns; /* realtime */
	char **chains;	   /* lowest first */
	size_t n_chains;
	char **names; /* short forms: "debian:12", "debian@sha256:…" */
	size_t n_names;
};

/*
 * Find an image by name, id or the beginning of an id.
 * Returns 0; -ENOENT with Docker's words; -EINVAL for what several ids begin with; -errno.
 */
int image_store_find(
	struct image_store *s, const char *ref, char ret_id[static IMAGE_ID_BYTES], struct err *e);

/* Read one image. Returns 0 or -errno. */
int image_store_get(struct image_store *s, const char *id, struct image_record *ret, struct err *e);
void image_record_free(struct image_record *r);

/* The ids of all images, the newest first; a NULL-terminated array to be freed with its strings. */
int image_store_list(struct image_store *s, char ***ret_ids, struct err *e);

/*
 * Add an image and, if it has any, its names; layers that are there already are not unpacked again.
 * @ret_id: of the image
 */
int image_store_add(struct image_store *s, const struct image_source *source,
	const struct image *image, const char *const *names, size_t n,
	char ret_id[static IMAGE_ID_BYTES], struct err *e);

/*
 * Put an image on record whose layers are there and held, with its names.
 * @manifest: as a registry has it, with its media type; NULL if none is known
 */
struct image_manifest {
	const char *media_type;
	const char *text;
};

int image_store_record(struct image_store *s, const struct image *image,
	const struct digest *chains, const struct image_manifest *manifest,
	const char *const *names, size_t n, struct err *e);

/* Remove the layers that no image has and nobody holds. With the lock. */
void image_store_collect(struct image_store *s);

/* Give @id one more name, which another image loses if it had it. */
int image_store_name(struct image_store *s, const char *id, const char *name, struct err *e);

/* Take a name away. Returns how many the image has left, or -errno. */
int image_store_unname(struct image_store *s, const char *id, const char *name, struct err *e);

/* The text of an image's config, as its digest has it; freed by the caller. */
int image_store_config(struct image_store *s, const char *id, char **ret, struct err *e);

/* Bytes of each layer of an image, unpacked, lowest first; freed by the caller. */
int image_store_layer_sizes(
	struct image_store *s, const char *id, int64_t **ret, size_t *ret_n, struct err *e);

/* Bytes of the layers of @id that another image has as well; or -errno. */
int64_t image_store_shared_size(struct image_store *s, const char *id, struct err *e);

/* Remove an image, its names, and the layers that no other image has. */
int image_store_remove(struct image_store *s, const char *id, struct err *e);

/* A layer's archive, as the store keeps it. */
struct layer_archive {
	struct digest diff_id;
	struct digest digest; /* of the blob (runtime/store/blobs.h) */
	enum packing packing;
	uint64_t size;	     /* bytes of the blob */
	uint64_t plain_size; /* bytes that it unpacks to: the tar file that diff_id is of */
};

/*
 * The texts that an image is pushed as.
 * @ret_config: as its digest has it; to be freed
 * @manifest: appended to, and its media type written to @media_type; empty when none is on record
 * Returns 0 or -errno.
 */
int image_store_texts(struct image_store *s, const char *id, char **ret_config,
	struct buf *manifest, char *media_type, size_t size, struct err *e);

/* Find the archive of a layer. Returns 0; -ENODATA if none was kept; otherwise -errno. */
int image_store_archive(
	struct image_store *s, const char *chain, struct layer_archive *ret, struct err *e);

/* Bytes of all layers. */
int image_store_layers_size(struct image_store *s, int64_t *ret, struct err *e);

/* Open the directory of a layer. Returns an O_PATH descriptor or -errno. */
int image_store_open_layer(const struct image_store *s, const char *chain);

#endif
