/*
 * Who a container runs as, by the image's own /etc/passwd and /etc/group. Pure functions, with the
 * rules that Docker has: a name or a number, optionally ":" and a group's name or number.
 */
#ifndef SAMPAN_IMAGE_USERS_H
#define SAMPAN_IMAGE_USERS_H

#include "lib/base/err.h"
#include "runtime/image/limits.h"

#include <stddef.h>
#include <stdint.h>

/* bytes, the NUL included */
#define USERS_HOME_BYTES_MAX 1024

struct user {
	uint32_t uid;
	uint32_t gid;
	uint32_t groups[IMAGE_GROUPS_MAX]; /* supplementary, gid first */
	size_t n_groups;
	char home[USERS_HOME_BYTES_MAX];
};

/* The text of a file; NULL and 0 when there is none. */
struct accounts_file {
	const char *text;
	size_t len;
};

/*
 * Look @spec up.
 * @spec: "", "user", "uid", "user:group", "uid:gid" …; "" is root
 * A number need not be in the files. A line that is malformed is no entry. Supplementary groups are
 * those that list the user, unless @spec names a group.
 * Returns 0; -ENOENT for a name that is in no file; -EINVAL for a spec that makes no sense; -E2BIG
 * for more than IMAGE_GROUPS_MAX groups.
 */
int users_lookup(const char *spec, struct accounts_file passwd, struct accounts_file group,
	struct user *ret, struct err *e);

/*
 * The same by the files of the root filesystem @rootfd.
 * @spec: NULL is ""
 */
int users_lookup_in(int rootfd, const char *spec, struct user *ret, struct err *e);

#endif
