/*
 * The layers' archives, as registries and `docker save` want them back: blobs/ALGORITHM/HEX below
 * the root, whole and of that digest, or not there. A layer that came packed is kept byte for byte,
 * so that pushing it gives the same digest again; one that came plain is packed with gzip, which
 * every client can read.
 */
#ifndef SAMPAN_STORE_BLOBS_H
#define SAMPAN_STORE_BLOBS_H

#include "runtime/image/digest.h"
#include "runtime/image/source.h"

#include <stdbool.h>

struct archive;
struct image_store;

/* A blob on its way into the store: a file without a name. */
struct blob_writer {
	int fd;
	uint64_t size; /* bytes */
	struct digest digest;
	struct hasher hash;
	bool hashes;
	struct archive *packer; /* NULL: written as it comes */
	int failed;		/* -errno of a write inside the packer */
};

/*
 * Start writing a blob.
 * @like: of the digest's algorithm; NULL: sha256
 * @pack: pack it with gzip
 * Returns 0 or -errno. After 0 the caller owes blob_writer_close.
 */
int blob_writer_open(struct blob_writer *w, const struct image_store *s, const struct digest *like,
	bool pack, struct err *e);

/* Returns 0 or -errno. */
int blob_writer_add(struct blob_writer *w, const void *buf, size_t len);

/*
 * End the blob.
 * @want: the digest that it must have; NULL: any
 * Returns 0 with w->digest and w->size final; -EBADMSG for another digest; -errno.
 */
int blob_writer_finish(struct blob_writer *w, const struct digest *want, struct err *e);

/*
 * Give the finished blob its name, once it is on the disk. It stays until a removal or the store's
 * next opening finds that no layer on record has it. Returns 0 or -errno.
 */
int blob_writer_keep(struct blob_writer *w, const struct image_store *s, struct err *e);
void blob_writer_close(struct blob_writer *w);

/* Whether the store has it: 1 or 0. */
int blob_store_has(const struct image_store *s, const struct digest *digest);

/* Returns 0 or -errno. After 0 the caller owes blob_close. */
int blob_store_open(
	const struct image_store *s, const struct digest *digest, struct blob *ret, struct err *e);

/* Remove it, unless a layer on record has it. With the store's lock. */
void blob_store_drop(struct image_store *s, const char *digest);

/* Make blobs/ and remove what is on no layer's record: when the store is opened, before anybody
 * adds to it. */
int blob_store_sweep(struct image_store *s, struct err *e);

#endif
