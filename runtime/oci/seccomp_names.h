/* The words of the seccomp section and libseccomp's numbers for them. */
#ifndef SAMPAN_OCI_SECCOMP_NAMES_H
#define SAMPAN_OCI_SECCOMP_NAMES_H

#include <stdint.h>

enum seccomp_table { SECCOMP_ACTIONS, SECCOMP_OPERATORS, SECCOMP_ARCHES, SECCOMP_FLAGS };

struct seccomp_name {
	const char *name;
	uint32_t value;
};

/* The whole table, up to an entry without name. */
const struct seccomp_name *seccomp_names(enum seccomp_table table);

/* Returns 0 or -EINVAL. */
int seccomp_name_find(enum seccomp_table table, const char *name, uint32_t *ret);

#endif
