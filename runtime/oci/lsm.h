/*
 * Labels of security modules: which label a process runs with, and which the files of a new file
 * system have. Everything is written through the host's /proc or onto a descriptor.
 */
#ifndef SAMPAN_OCI_LSM_H
#define SAMPAN_OCI_LSM_H

#include "runtime/oci/config.h"

#include <stdbool.h>

/* Does the running kernel have SELinux, with its file system where every tool looks for it? */
bool lsm_has_selinux(void);

/*
 * Have the next execve of the caller run with the profile and the label that @p asks for.
 * @host_proc: O_PATH of the host's /proc
 * Returns 0; -ENOTSUP when the kernel does not have the module; otherwise -errno, with @e filled.
 */
int lsm_label_exec(int host_proc, const struct config_process *p, struct err *e);

/* Have the keyrings that the caller makes until its next execve labelled like its process. */
int lsm_label_keys(int host_proc, const struct config_process *p, struct err *e);

/*
 * Label a file system that is being made, as linux.mountLabel asks.
 * @fs: from fsopen(2)
 * @label: NULL or "" for none
 * Returns 0 or -errno.
 */
int lsm_label_new(int fs, const char *type, const char *label);

/* The same for what can only be labelled once it is there: the root of a message queue.
 * @mount: from fsmount(2) */
int lsm_label_made(int mount, const char *type, const char *label);

#endif
