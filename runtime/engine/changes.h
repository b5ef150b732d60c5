/* What a container changed in its root file system, read from the upper directory of its overlay.
 */
#ifndef SAMPAN_ENGINE_CHANGES_H
#define SAMPAN_ENGINE_CHANGES_H

#include "runtime/engine/engine.h"

/* The numbers are the API's. */
enum change_kind { CHANGE_MODIFIED, CHANGE_ADDED, CHANGE_DELETED };

struct change {
	char *path; /* "/etc/passwd" */
	enum change_kind kind;
};

/* Sorted as directories are walked, by the bytes of their names; parents before children. */
struct changes {
	struct change *v;
	size_t n, room;
};

/*
 * A directory is a change when something in it is, or its mode or owner. Empty files and
 * directories that stand there for a mount of every container's are none.
 * Returns 0 or -errno. After 0 the caller owes changes_free.
 */
int container_changes(
	struct engine *en, const struct container *c, struct changes *ret, struct err *e);
void changes_free(struct changes *changes);

#endif
