/*
 * The default seccomp profile: moby's, which stands as data in seccomp-default.json with conditions
 * on architecture, capabilities and kernel, turned into the rules of one container.
 * Source: OCI runtime-spec config-linux.md "Seccomp".
 */
#ifndef SAMPAN_IMAGE_SECCOMP_PROFILE_H
#define SAMPAN_IMAGE_SECCOMP_PROFILE_H

#include "lib/base/err.h"

#include <stddef.h>
#include <yyjson.h>

struct seccomp_target {
	const char *architecture; /* as Go names it: amd64, arm64 */
	const char *const *caps;  /* of the container, "CAP_CHOWN" … */
	size_t n_caps;
	unsigned kernel_major; /* that it will run on */
	unsigned kernel_minor;
};

/*
 * Make linux.seccomp for a container.
 * @profile: JSON text of a profile with moby's conditions
 * Returns the object, owned by @doc, or NULL with @e filled: a profile that this code does not
 * understand in full is refused, because a condition left out would open something.
 */
yyjson_mut_val *seccomp_profile_resolve(const char *profile, size_t len,
	const struct seccomp_target *target, yyjson_mut_doc *doc, struct err *e);

/* The built-in profile. */
const char *seccomp_profile_default(size_t *ret_len);

#endif
