/*
 * Names of images and of platforms, as people write them. Pure functions.
 */
#ifndef SAMPAN_IMAGE_REFERENCE_H
#define SAMPAN_IMAGE_REFERENCE_H

#include <stddef.h>

/* bytes, the NUL included: a name of 255, a tag of 128 or a digest, and room */
#define REFERENCE_BYTES_MAX 512

/*
 * Write the short form that Docker shows: without "docker.io/" and "library/", with ":latest" when
 * there is neither tag nor digest.
 * Returns 0; -EINVAL for an empty name or a blank; -ENAMETOOLONG.
 */
int reference_shorten(const char *ref, char *out, size_t size);

/* Whether two names mean the same image: 1 or 0. */
int reference_same(const char *a, const char *b);

/* The tag of a reference, "latest" when there is none; NULL when it is a digest. */
const char *reference_tag(const char *ref);

struct platform {
	const char *os;
	const char *architecture; /* as Go names it: amd64, arm64 */
};

/*
 * Parse "linux/amd64" or "linux/arm64", optionally followed by a variant ("linux/arm64/v8").
 * Returns 0; -ENOTSUP for any other.
 */
int platform_parse(const char *s, struct platform *ret_platform);

/* The platform that this program was built for. */
struct platform platform_native(void);

#endif
