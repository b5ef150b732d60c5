/*
 * The config.json of a bundle, made from an image config as Docker would run the image.
 * Source: OCI runtime-spec 1.2; image-spec conversion.md.
 */
#ifndef SAMPAN_IMAGE_SPEC_H
#define SAMPAN_IMAGE_SPEC_H

#include "lib/base/err.h"
#include "runtime/image/imageconfig.h"
#include "runtime/image/users.h"

#include <stddef.h>
#include <yyjson.h>

struct spec_options {
	const char *hostname;
	int private_network; /* a network namespace of its own; otherwise the host's */
};

/*
 * Bring the working directory of an image into the form that config.json needs: absolute and clean.
 * Returns 0 or -errno.
 */
int spec_working_dir(const struct image_config *c, char *out, size_t size, struct err *e);

/*
 * Write config.json.
 * @ret_json: to be freed by the caller; not terminated
 * Returns 0 or -errno: an image without a command is refused.
 */
int spec_make(const struct image_config *c, const struct user *user,
	const struct spec_options *options, char **ret_json, size_t *ret_len, struct err *e);

/* Docker's defaults, which every container starts from. What they return belongs to @doc. */
#define SPEC_CAPS_N 14
extern const char *const spec_default_caps[SPEC_CAPS_N];
extern const char spec_default_path[]; /* "PATH=…" */
yyjson_mut_val *spec_mounts(yyjson_mut_doc *doc);
yyjson_mut_val *spec_device_rules(yyjson_mut_doc *doc);
yyjson_mut_val *spec_masked_paths(yyjson_mut_doc *doc);
yyjson_mut_val *spec_readonly_paths(yyjson_mut_doc *doc);
yyjson_mut_val *spec_user(yyjson_mut_doc *doc, const struct user *user);

/*
 * The seccomp section for a container with these capabilities.
 * @profile: JSON text with moby's conditions; NULL is the built-in one
 * Returns NULL with @e filled.
 */
yyjson_mut_val *spec_seccomp(yyjson_mut_doc *doc, const char *profile, size_t len,
	const char *const *caps, size_t n_caps, struct err *e);

#endif
