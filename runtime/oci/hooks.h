/* Hooks: programs of the host (or of the container) that run at fixed points of its life. */
#ifndef SAMPAN_OCI_HOOKS_H
#define SAMPAN_OCI_HOOKS_H

#include "runtime/oci/config.h"

/* What a hook's process does to itself before it becomes the program. */
struct hook_confinement {
	int (*enter)(const void *arg, struct err *e);
	const void *arg;
};

/*
 * Run the hooks of one kind in order, with the state on their standard input.
 * @cwd: their working directory, borrowed; -1: as it is
 * Returns 0; at the first that fails, runs out of time or cannot be executed -errno with @e naming
 * it, as in "hooks.poststart[1]: /bin/x: exited with 1". The rest is then not run.
 * Source: OCI config.md "POSIX-platform Hooks".
 */
int hooks_run(const struct config_hooks *hooks, enum hook_kind kind, int cwd, const char *state,
	size_t state_len, struct err *e);

/* As hooks_run, for programs that are not to have the runtime's rights. */
int hooks_run_confined(const struct config_hooks *hooks, enum hook_kind kind,
	const struct hook_confinement *confinement, const char *state, size_t state_len,
	struct err *e);

/* As hooks_run, but all of them: one that fails is told to @warn and does not keep the next ones
 * from running, as the spec has it for poststop. */
void hooks_run_all(const struct config_hooks *hooks, enum hook_kind kind, int cwd,
	const char *state, size_t state_len, void (*warn)(const char *fmt, ...));

/* Is @e an error of hooks_run? */
bool hooks_failed(const struct err *e);

#endif
