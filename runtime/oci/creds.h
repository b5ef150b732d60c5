/* Identity and rights of the container's process, as the last steps before execve. */
#ifndef SAMPAN_OCI_CREDS_H
#define SAMPAN_OCI_CREDS_H

#include "runtime/oci/config.h"

/* Drop from the bounding set what @caps does not keep. Returns 0 or -errno. */
int creds_limit_bounding(const struct config_caps *caps);

/* Groups and ids of @p, with all capabilities of the bounding set kept effective, which loading a
 * filter needs. Returns 0 or -errno with @e filled. */
int creds_set_ids(const struct config_process *p, struct err *e);

/*
 * What the kernel lets a process have of @wanted.
 * @have: the capabilities it could have at all
 * Source: capabilities(7) "Programmatically adjusting capability sets".
 */
struct config_caps creds_fit(const struct config_caps *wanted, uint64_t have);

/* Our own capabilities. */
uint64_t creds_own(void);

/* The final sets, ambient ones included, without what cannot be granted: the spec has a restricted
 * runtime go on. */
int creds_set_caps(const struct config_caps *caps, struct err *e);

#endif
