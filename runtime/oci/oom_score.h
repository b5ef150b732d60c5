/* process.oomScoreAdj. */
#ifndef SAMPAN_OCI_OOM_SCORE_H
#define SAMPAN_OCI_OOM_SCORE_H

#include "lib/base/err.h"
#include "lib/util/json.h"

struct oom_score {
	int fd; /* our own oom_score_adj; -1: nothing to restore */
	char before[16];
};

/*
 * Take the score on ourselves: the process that is made next is born with it. Writing to that
 * process instead is root's privilege, because it cannot be dumped; for the same reason this comes
 * before PR_SET_DUMPABLE is cleared.
 * Returns 0 or -errno with @e filled.
 */
int oom_score_take(
	const struct json_opt_i64 *adj, int host_proc, struct oom_score *ret, struct err *e);

/* Have our own again. */
void oom_score_restore(struct oom_score *s);

#endif
