/* A container's log, out of its json-file and to a client. */
#ifndef SAMPAN_API_LOGS_H
#define SAMPAN_API_LOGS_H

#include "runtime/api/call.h"

struct container;

/* Write all that is in the log over a hijacked connection, in frames unless it is a terminal's. */
int api_logs_write(struct call *c, struct container *one);

#endif
