/* One connection to init. */
#ifndef SAMPAN_CLI_CLIENT_H
#define SAMPAN_CLI_CLIENT_H

#include "init/protocol.h"
#include "lib/base/err.h"

union init_answer {
	struct init_header h;
	struct init_error error;
	struct init_service_info service;
	struct init_log_data log;
	struct init_exit exit;
};

/*
 * Connect to init.sock in the directory that SAMPAN_RUN_DIR names, /run without.
 * Returns a descriptor for the caller to close, or -errno with @e filled.
 */
int client_connect(struct err *e);

/*
 * Send a request and wait for its answer.
 * @msg: begun with init_msg_begin()
 * @ret: a whole answer of a known type
 * Returns 0; what an INIT_ERROR says, with @e filled; or another -errno.
 */
int client_ask(int fd, const void *msg, union init_answer *ret, struct err *e);

#endif
