#include "runtime/oci/members.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/num.h"
#include "lib/base/sys.h"
#include "runtime/oci/cgroup.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Look at the namespace of @pid. False too when it is somebody's whom we may not ask. */
static bool find_pid_ns(pid_t pid, struct stat *ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return stat(path, ret) == 0;
}

/* Call @fn for every process in the pid namespace of the container. */
static int each_in_namespace(
	const struct state *s, int (*fn)(pid_t pid, int pidfd, void *arg), void *arg)
{
	AUTO_CLOSE int first = -1;
	struct stat own;
	struct stat st;
	struct dirent *d;
	DIR *proc;
	int r = 0;

	if (!(s->namespaces & 1U << NS_PID))
		return -ENOENT;
	/* With the first process the others are gone. */
	first = state_open_process(s);
	if (first < 0 || !find_pid_ns((pid_t)s->pid.v, &own))
		return 0;
	proc = opendir("/proc");
	if (!proc)
		return -errno;
	while (r == 0 && (d = readdir(proc))) {
		AUTO_CLOSE int pidfd = -1;
		uint64_t pid;

		if (num_parse_u64(d->d_name, strlen(d->d_name), INT32_MAX, &pid) < 0)
			continue;
		/* Before the look: what is seen is then of this process, or it is gone. */
		pidfd = sys_pidfd_open((pid_t)pid, 0);
		if (pidfd >= 0 && find_pid_ns((pid_t)pid, &st) && st.st_ino == own.st_ino &&
			st.st_dev == own.st_dev)
			r = fn((pid_t)pid, pidfd, arg);
	}
	closedir(proc);
	return r;
}

struct pid_list {
	pid_t *v;
	size_t n;
};

static int add_pid(pid_t pid, int pidfd, void *arg)
{
	struct pid_list *list = arg;
	pid_t *more = realloc(list->v, (list->n + 1) * sizeof(*more));

	(void)pidfd;
	if (!more)
		return -ENOMEM;
	list->v = more;
	list->v[list->n++] = pid;
	return 0;
}

static int signal_one(pid_t pid, int pidfd, void *arg)
{
	const int *sig = arg;

	(void)pid;
	return sys_pidfd_send_signal(pidfd, *sig, NULL, 0) < 0 && errno != ESRCH ? -errno : 0;
}

static int explain(const struct handle *h, int r, const char *what, struct err *e)
{
	const char *why = r == -ENOENT ? "it has neither a cgroup nor a pid namespace of its own"
				       : strerror(-r);

	return r < 0 ? err_set(e, -r, "%s container %s: %s", what, h->state.id, why) : 0;
}

int members_list(const struct handle *h, pid_t **ret_pids, size_t *ret_n, struct err *e)
{
	AUTO_CLOSE int cgroup = handle_cgroup(h);
	struct pid_list list = {0};
	int r;

	/* Only one that is not there: a list must not miss what a failure hides. */
	if (cgroup == -ENOENT)
		r = each_in_namespace(&h->state, add_pid, &list);
	else
		r = cgroup < 0 ? cgroup : cgroup_pids(cgroup, &list.v, &list.n);
	if (r < 0) {
		free(list.v);
		return explain(h, r, "list the processes of", e);
	}
	*ret_pids = list.v;
	*ret_n = list.n;
	return 0;
}

int members_signal(const struct handle *h, int sig, struct err *e)
{
	AUTO_CLOSE int cgroup = handle_cgroup(h);
	int r;

	if (cgroup == -ENOENT)
		r = each_in_namespace(&h->state, signal_one, &sig);
	else if (cgroup < 0)
		r = cgroup;
	else if (sig == SIGKILL)
		r = io_write_file_at(cgroup, "cgroup.kill", "1");
	else
		r = cgroup_signal_all(cgroup, sig);
	return explain(h, r, "kill", e);
}
