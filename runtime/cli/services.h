/* What init is asked: for the services that it supervises. */
#ifndef SAMPAN_CLI_SERVICES_H
#define SAMPAN_CLI_SERVICES_H

#include <stdbool.h>

/* Each takes names behind argv[0] and returns an exit status: 0, or 1 for a failure that was told.
 */
int services_start(int argc, char **argv);
int services_stop(int argc, char **argv);
int services_restart(int argc, char **argv);

/* Print what @name has printed; @follow: and what it goes on to. Returns an exit status. */
int services_logs(const char *name, bool follow);

/* Does init supervise @name? Returns 1; -ENOENT when it does not; -errno when it cannot be asked.
 */
int services_know(const char *name);

#endif
