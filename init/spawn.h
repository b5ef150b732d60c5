/* Start one child: in its cgroup, with clean signals and limits, or not at all. */
#ifndef SAMPAN_INIT_SPAWN_H
#define SAMPAN_INIT_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

/* What a child says through its setup descriptor when it could not become its program. */
struct spawn_failure {
	int errnum;
	char step[60]; /* what failed: "exec", "mount rootfs.erofs" */
};

struct spawn {
	char *const *argv; /* borrowed; argv[0] is a path */
	int output;	   /* descriptor for stdout and stderr, or -1 for init's own, borrowed */
	bool tty;	   /* the console is its terminal instead */
	int notify;	   /* becomes descriptor 9, told in NOTIFY_FD; -1 for none; borrowed */
	int cgroup;	   /* directory, borrowed; -1 for init's own cgroup */
	int oom_score_adj;
	/* Called in the child before exec, may be NULL. Returns 0, or a positive errno with
	 * @ret_step saying at what. Without argv it is all that the child does. */
	int (*prepare)(const void *arg, const char **ret_step);
	const void *arg;
};

struct spawned {
	pid_t pid;
	int pidfd;
	int setup; /* end of file once the child runs its program, else one struct spawn_failure */
};

/*
 * @ret: its descriptors are the caller's, non-blocking
 * Returns 0, or -errno when there is no child (-EAGAIN, -ENOMEM, -EMFILE pass; try again later).
 * Source: clone3(2); CLONE_INTO_CGROUP since Linux 5.7.
 */
int spawn_process(const struct spawn *s, struct spawned *ret);

/*
 * Read what the setup descriptor says.
 * Returns 1 if the child became its program, 0 if that is not known yet, -errno if it failed, with
 * @ret_failure filled.
 */
int spawn_read_setup(int setup, struct spawn_failure *ret_failure);

/* Remember the limits that children are to have, before init raises its own. */
void spawn_save_limits(void);

#endif
