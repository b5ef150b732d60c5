/*
 * SHA-256 by the processor's own instructions, where the library that does it otherwise has none
 * for them: x86-64 with SHA-NI. Source: FIPS 180-4; Intel's SDM, "SHA256RNDS2", "SHA256MSG1",
 * "…MSG2".
 */
#ifndef SAMPAN_IMAGE_SHA256_H
#define SAMPAN_IMAGE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32
#define SHA256_BLOCK_BYTES 64

struct sha256 {
	uint32_t state[8];
	uint64_t len;				 /* bytes so far */
	unsigned char block[SHA256_BLOCK_BYTES]; /* its last ones, which are no whole block yet */
};

/* Whether this processor has the instructions: 1 or 0. What follows is for one that has. */
int sha256_available(void);
void sha256_start(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *buf, size_t len);
void sha256_finish(struct sha256 *s, unsigned char sum[static SHA256_BYTES]);

#endif
