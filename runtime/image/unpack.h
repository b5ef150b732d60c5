/* An image turned into a bundle: rootfs/ and config.json. */
#ifndef SAMPAN_IMAGE_UNPACK_H
#define SAMPAN_IMAGE_UNPACK_H

#include "lib/base/err.h"
#include "runtime/image/reference.h"

#include <stdint.h>

struct unpack_options {
	const char *image;  /* OCI layout directory, or tar file of one, or of `docker save` */
	const char *bundle; /* directory to make; it must not exist */
	const char *ref;    /* which image of several; NULL when there is one */
	struct platform platform;
	const char *name;    /* of the container, its hostname; NULL: the bundle's last component */
	int private_network; /* a network namespace of its own */
	int allow_devices;   /* unpack any device node */
	uint64_t bytes_max;  /* that all layers may unpack to */
};

/*
 * Unpack an image. The bundle appears by a rename when it is complete, or not at all: until then it
 * is a directory beside it, named ".NAME.sampan-unpack", that the next call for the same bundle
 * clears away if this one was killed. Two calls for one bundle at a time: the second is refused.
 * Owners, device nodes and attributes need root, or fakeroot.
 * The process's umask should be 0 (see layer.h).
 * Returns 0 or -errno; -EEXIST when the bundle exists, -EBUSY when it is being unpacked.
 */
int image_unpack(const struct unpack_options *options, struct err *e);

/* Whether @name may name a container: letters, digits, "_.-", at most 63, a letter or digit first.
 */
int image_name_valid(const char *name);

#endif
