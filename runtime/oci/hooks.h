/* Hooks: programs of the host (or of the container) that run at fixed points of its life. */
#ifndef SAMPAN_OCI_HOOKS_H
#define SAMPAN_OCI_HOOKS_H

#include "runtime/oci/config.h"

/*
 * Run the hooks of one kind in order, with the state on their standard input.
 * Returns 0; at the first that fails, runs out of time or cannot be executed -errno with @e naming
 * it, as in "hooks.poststart[1]: /bin/x: exited with 1". The rest is then not run.
 * Source: OCI config.md "POSIX-platform Hooks".
 */
int hooks_run(const struct config_hooks *hooks, enum hook_kind kind, const char *state,
	size_t state_len, struct err *e);

#endif
