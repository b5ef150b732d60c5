/*
 * Names of images and of platforms, as people write them. Pure functions.
 */
#ifndef SAMPAN_IMAGE_REFERENCE_H
#define SAMPAN_IMAGE_REFERENCE_H

#include "lib/base/err.h"

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

/* A name in full: where it is kept, and what of it. */
struct reference {
	char domain[256]; /* "docker.io", "registry:5000" */
	char path[256];	  /* "library/debian" */
	char tag[129];	  /* "" when there is none */
	char digest[136]; /* "sha256:…", "" when there is none */
};

/*
 * Parse a name strictly, as Docker does: "debian" is docker.io's library/debian. A tag is not made
 * up.
 * Returns 0 or -EINVAL with @e filled in Docker's words.
 * Source: distribution/reference's grammar, and its rule for what is a domain.
 */
int reference_parse(const char *ref, struct reference *ret, struct err *e);

/* Whether @s is a host with or without a port, as a reference may begin with: 1 or 0. */
int reference_is_domain(const char *s);

/* The name without tag and digest as Docker shows it: "debian", "registry:5000/app". */
void reference_familiar(const struct reference *ref, char *buf, size_t size);

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
