/*
 * What HostConfig.LogConfig of a container asks for: the driver, and its options by Docker's names
 * (docs.docker.com, "Configure logging drivers").
 */
#ifndef SAMPAN_ENGINE_LOG_OPTIONS_H
#define SAMPAN_ENGINE_LOG_OPTIONS_H

#include "lib/base/err.h"
#include "lib/util/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <yyjson.h>

enum log_driver { LOG_DRIVER_NONE, LOG_DRIVER_JSON_FILE, LOG_DRIVER_LOCAL, LOG_DRIVERS };

struct log_options {
	enum log_driver driver;
	uint64_t size_max; /* bytes of one file, then the next one is begun; 0: never */
	unsigned files;	   /* that are kept */
};

/* What a tag may name. */
struct log_subject {
	const char *id, *name;		   /* 64 digits; without a slash */
	const char *image_id, *image_name; /* "sha256:…"; as it was asked for */
	yyjson_val *config;		   /* the container's Config: labels and environment */
};

/* The drivers' names, NULL at the end. */
extern const char *const log_driver_names[];

/*
 * Read and check a LogConfig: {"Type": "json-file", "Config": {"max-size": "10m"}}.
 * Returns 0; -ENOTSUP for a driver or an option's value that is not served; -EINVAL for an option
 * that the driver does not have or a value that makes no sense.
 */
int log_options_read(yyjson_val *log_config, struct log_options *ret, struct err *e);

/*
 * Append the attributes that each record carries as a JSON object, keys sorted; nothing when there
 * are none. Returns 0 or -errno.
 */
int log_options_attrs(
	yyjson_val *log_config, const struct log_subject *subject, struct buf *ret, struct err *e);

#endif
