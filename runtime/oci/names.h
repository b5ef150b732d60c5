/* Names of the spec and of signals, and the numbers they stand for. Pure functions. */
#ifndef SAMPAN_OCI_NAMES_H
#define SAMPAN_OCI_NAMES_H

#include "runtime/oci/config.h"

/* CAP_CHECKPOINT_RESTORE, Linux 5.9, is still the last one in 6.12. */
#define CAP_NAMES_N 41

/* "CAP_NET_ADMIN" or "NET_ADMIN", any case. Returns its number or -EINVAL. */
int name_cap(const char *name);
const char *name_of_cap(int cap);

/* "RLIMIT_NOFILE". Returns RLIMIT_* or -EINVAL. */
int name_rlimit(const char *name);

/* "TERM", "SIGTERM", "15", "RTMIN+1", any case. Returns the number or -EINVAL. */
int name_signal(const char *name);

/* "network" and so on. Returns enum ns_type or -EINVAL. */
int name_ns(const char *name);
const char *name_of_ns(enum ns_type type);

/* The CLONE_NEW* flag, and the file's name below /proc/PID/ns. */
uint64_t ns_clone_flag(enum ns_type type);
const char *ns_proc_name(enum ns_type type);

/* "createRuntime" and so on. */
const char *name_of_hook(enum hook_kind kind);

#endif
