/*
 * A service file: lines of key=value, # starts a comment line. A pure parser: no file is opened
 * here. docs/init.md documents the keys for their user.
 */
#ifndef SAMPAN_INIT_CONFIG_H
#define SAMPAN_INIT_CONFIG_H

#include "init/limits.h"
#include "init/protocol.h"
#include "lib/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum service_restart { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct service_limit {
	char file[32]; /* of the service's cgroup: "memory.max" */
	char value[SERVICE_LIMIT_BYTES_MAX];
};

struct service_config {
	char name[INIT_ID_BYTES];
	char args[SERVICE_ARGS_BYTES_MAX]; /* arguments, each with its NUL */
	uint16_t args_len;
	uint16_t argc;				/* 0: container is set instead */
	char container[SERVICE_PATH_BYTES_MAX]; /* an OCI bundle, or "" */
	char condition[SERVICE_PATH_BYTES_MAX]; /* a word of the kernel's command line, or "" */
	char after[SERVICE_AFTER_MAX][INIT_ID_BYTES];
	uint8_t after_count;
	uint8_t limit_count;
	struct service_limit limits[SERVICE_LIMITS_MAX];
	enum service_restart restart;
	bool oneshot;
	bool ready_fd;
	bool console;	  /* log lines are shown there */
	bool tty_console; /* it owns the console */
	int stop_signal;
	int shutdown_signal; /* in place of it when the machine goes down */
	int oom_score_adj;
	uint64_t stop_timeout_ms;
	uint64_t ready_timeout_ms;
	uint64_t backoff_min_ms;
	uint64_t backoff_max_ms;
	uint64_t healthy_ms;
	uint64_t memory_min; /* bytes; of cgroup.memory.min, for the sum in the parent group */
};

/* Is this a name for a service: letters, digits, "_", "-", "." and not "init"? */
bool config_name_ok(const char *name, size_t len);

/*
 * Read a service file.
 * @name: of the service; checked. The error line is "name:LINE: key: what was expected".
 * @buf: the file, @len bytes, need not be terminated
 * @ret: untouched on failure
 * Returns 0 or -EINVAL (-E2BIG for a cap of limits.h).
 */
int config_parse(
	const char *name, const char *buf, size_t len, struct service_config *ret, struct err *e);

#endif
