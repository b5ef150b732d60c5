/* Being connected with a container while it runs. */
#ifndef SAMPAN_CLI_ATTACH_H
#define SAMPAN_CLI_ATTACH_H

#include "lib/base/err.h"

#include <stdbool.h>

struct attachment {
	const char *id;
	bool output; /* else only started */
	bool input;
	bool tty;
	bool start;   /* it is started once all that it says can be heard */
	bool proxy;   /* signals go to it */
	bool removed; /* it goes when it ends, and its going is waited for */
	const char *detach_keys;
};

/*
 * Attach, start if that is asked, and stay until the end.
 * @ret: the container's exit status; 0 when the user let go, and @ret_detached is set
 * Returns 0 or -errno with @e filled; @ret_started says whether it was the start that failed.
 */
int attachment_run(const struct attachment *a, int *ret, bool *ret_detached, struct err *e);

#endif
