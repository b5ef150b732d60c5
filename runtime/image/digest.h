/*
 * Content digests: "sha256:…" and "sha512:…", the two that image-spec registers.
 * Source: image-spec descriptor.md "Digests".
 */
#ifndef SAMPAN_IMAGE_DIGEST_H
#define SAMPAN_IMAGE_DIGEST_H

#include "runtime/image/sha256.h"

#include <mbedtls/md.h>
#include <stddef.h>

/* bytes: "sha512:" and 128 hexadecimal digits and the NUL */
#define DIGEST_TEXT_BYTES 136

struct digest {
	char text[DIGEST_TEXT_BYTES]; /* "sha256:0123…", lower case */
};

/*
 * Parse a digest strictly: a known algorithm, exactly its number of lower-case hexadecimal digits.
 * Returns 0; -EINVAL if it is no digest; -ENOTSUP for another algorithm.
 */
int digest_parse(const char *s, struct digest *ret_digest);

/* The hexadecimal digits alone. */
const char *digest_hex(const struct digest *d);

/* "blobs/sha256/0123…", where a layout keeps that blob; @size of at least DIGEST_TEXT_BYTES + 8. */
void digest_blob_path(const struct digest *d, char *buf, size_t size);

struct hasher {
	int by_cpu; /* SHA-256 by sha256.h; otherwise the library's */
	struct sha256 cpu;
	mbedtls_md_context_t md;
};

/*
 * Start hashing with the algorithm of @like.
 * Returns 0 or -ENOMEM; after 0 the caller owes hasher_free.
 */
int hasher_start(struct hasher *h, const struct digest *like);
void hasher_update(struct hasher *h, const void *buf, size_t len);

/* End the hash and write it behind the algorithm's name, which @digest has. Returns 0 or -EIO. */
int hasher_finish(struct hasher *h, struct digest *digest);

/* End the hash. Returns 1 if it is @want, else 0. */
int hasher_matches(struct hasher *h, const struct digest *want);
void hasher_free(struct hasher *h);

/* The SHA-256 of one buffer. Returns 0 or -ENOMEM. */
int digest_of(const void *buf, size_t len, struct digest *ret);

/* Hash one buffer. Returns 1 if its digest is @want, 0 if not, -ENOMEM. */
int digest_matches(const struct digest *want, const void *buf, size_t len);

#endif
