/*
 * The image config: what the image's maker wants to be run, and the layers' diffIDs.
 * Source: image-spec config.md.
 */
#ifndef SAMPAN_IMAGE_IMAGECONFIG_H
#define SAMPAN_IMAGE_IMAGECONFIG_H

#include "runtime/image/digest.h"
#include "runtime/image/document.h"

struct label {
	const char *key;
	const char *value;
};

/* All pointers belong to the document. Absent strings are NULL, absent lists empty. */
struct image_config {
	const char *os;
	const char *architecture;
	const char *author;
	const char *created;
	const char *user;
	const char *working_dir;
	const char *stop_signal;
	struct json_strv env;
	struct json_strv entrypoint;
	struct json_strv cmd;
	struct json_strv exposed_ports; /* "80/tcp" */
	struct label *labels;
	size_t n_labels;
	struct digest *diff_ids;
	size_t n_diff_ids;
};

/*
 * Read an image config.
 * Returns 0 or -errno.
 */
int image_config_read(const struct document *doc, struct image_config *ret, struct err *e);

#endif
