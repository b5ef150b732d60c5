#include "runtime/oci/namespaces.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"
#include "runtime/oci/limits.h"
#include "runtime/oci/names.h"
#include "runtime/oci/sysctl.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* linux/nsfs.h */
#ifndef NS_GET_NSTYPE
#define NS_GET_NSTYPE _IO(0xb7, 0x3)
#endif

/* The kernel's PROC_USER_INIT_INO: the number of the one user namespace that nobody made. */
#define INITIAL_USER_NS 0xEFFFFFFDU

bool ns_user_confined(const struct config *c)
{
	struct stat st;

	return c->ns[NS_USER].given ||
	       (stat("/proc/self/ns/user", &st) == 0 && st.st_ino != INITIAL_USER_NS);
}

static bool is_new(const struct config *c, enum ns_type t)
{
	return c->ns[t].given && !c->ns[t].path;
}

unsigned ns_mask(const struct config *c)
{
	unsigned mask = 0;

	for (int t = 0; t < NS_N; t++)
		mask |= c->ns[t].given ? 1U << t : 0;
	return mask;
}

void ns_plan_make(const struct config *c, struct ns_plan *ret)
{
	unsigned joined = 0;
	bool new_others;

	*ret = (struct ns_plan){0};
	for (enum ns_type t = 0; t < NS_N; t++) {
		if (c->ns[t].path)
			joined |= 1U << t;
		if (is_new(c, t))
			ret->clone_flags |= ns_clone_flag(t);
	}
	/* A cgroup namespace is rooted where its maker is: that must be the container's cgroup. */
	ret->new_cgroup = is_new(c, NS_CGROUP);
	ret->clone_flags &= ~ns_clone_flag(NS_CGROUP);
	/* clone3 would put the process inside at once, and its clocks are then fixed. */
	ret->offset_time = is_new(c, NS_TIME) && (c->boottime.given || c->monotonic.given);
	if (ret->offset_time)
		ret->clone_flags &= ~ns_clone_flag(NS_TIME);
	new_others =
		(ret->clone_flags & ~ns_clone_flag(NS_USER)) || ret->new_cgroup || ret->offset_time;
	/* Joining a pid namespace only counts for children, and the way back to one's own takes
	 * rights over it that root in a user namespace does not have. */
	ret->intermediate = (c->ns[NS_USER].path && new_others) || (is_new(c, NS_USER) && joined) ||
			    (joined & 1U << NS_PID);
	ret->join_before = ret->intermediate ? joined : 0;
	ret->join_after = joined & ~ret->join_before;
}

/* Refuse to set what belongs to a namespace that is joined but is the runtime's own. */
static int check_own(const struct config *c, enum ns_type t, int fd, struct err *e)
{
	AUTO_CLOSE int own = -1;
	struct stat theirs;
	struct stat ours;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", ns_proc_name(t));
	own = open(path, O_RDONLY | O_CLOEXEC);
	if (own < 0 || fstat(own, &ours) < 0 || fstat(fd, &theirs) < 0)
		return err_set(e, errno, "open %s: %s", path, strerror(errno));
	if (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev)
		return 0;
	for (size_t i = 0; i < c->sysctl.n; i++) {
		if (sysctl_owner(c->sysctl.v[i].key) == (int)t)
			return err_set(e, EPERM, "linux.sysctl.%s: the %s namespace is the host's",
				c->sysctl.v[i].key, name_of_ns(t));
	}
	if (t == NS_UTS && ((c->hostname && c->hostname[0]) || (c->domainname && c->domainname[0])))
		return err_set(e, EPERM, "hostname: the uts namespace is the host's");
	return 0;
}

int ns_open(const struct config *c, int fds[static NS_N], struct err *e)
{
	for (int t = 0; t < NS_N; t++)
		fds[t] = -1;
	for (enum ns_type t = 0; t < NS_N; t++) {
		const char *path = c->ns[t].path;
		int type;
		int r;

		if (!path)
			continue;
		fds[t] = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fds[t] < 0)
			return err_set(e, errno, "linux.namespaces: %s: open %s: %s", name_of_ns(t),
				path, strerror(errno));
		type = ioctl(fds[t], NS_GET_NSTYPE);
		if (type < 0 || (uint64_t)(unsigned)type != ns_clone_flag(t))
			return err_set(e, EINVAL,
				"linux.namespaces: %s: %s is not such a namespace", name_of_ns(t),
				path);
		r = check_own(c, t, fds[t], e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Join all of @mask. Each namespace wants rights over the user namespace that owns it: the host's
 * are tried first, what they do not reach again after the user namespace is joined. */
static int join(unsigned mask, const int fds[static NS_N], struct err *e)
{
	unsigned left = mask & ~(1U << NS_USER);

	for (int round = 0; round < 2; round++) {
		for (enum ns_type t = 0; t < NS_N; t++) {
			if (!(left & 1U << t))
				continue;
			if (setns(fds[t], (int)ns_clone_flag(t)) == 0)
				left &= ~(1U << t);
			else if (errno != EPERM || round == 1)
				return err_set(e, errno, "linux.namespaces: join %s: %s",
					name_of_ns(t), strerror(errno));
		}
		if (round == 0 && (mask & 1U << NS_USER) && setns(fds[NS_USER], CLONE_NEWUSER) < 0)
			return err_set(
				e, errno, "linux.namespaces: join user: %s", strerror(errno));
	}
	return 0;
}

int ns_join_after(const struct ns_plan *plan, const int fds[static NS_N], struct err *e)
{
	return join(plan->join_after, fds, e);
}

int ns_set_clocks(const struct config *c, int host_proc, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char lines[128];
	int r;

	if (unshare(CLONE_NEWTIME) < 0)
		return err_set(e, errno, "linux.namespaces: make time: %s", strerror(errno));
	snprintf(lines, sizeof(lines), "boottime %" PRId64 " %u\nmonotonic %" PRId64 " %u\n",
		c->boottime.secs, c->boottime.nanosecs, c->monotonic.secs, c->monotonic.nanosecs);
	r = io_write_file_at(host_proc, "self/timens_offsets", lines);
	if (r < 0)
		return err_set(e, -r, "linux.timeOffsets: %s", strerror(-r));
	fd = openat(host_proc, "self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	return fd < 0 || setns(fd, CLONE_NEWTIME) < 0
		       ? err_set(e, errno, "linux.namespaces: enter time: %s", strerror(errno))
		       : 0;
}

static const char *why_not_permitted(const struct ns_plan *plan)
{
	return plan->clone_flags & CLONE_NEWUSER
		       ? ": this user may not make user namespaces"
		       : ": without CAP_SYS_ADMIN it takes a user namespace";
}

/* clone3, after what has to stand before it. @ret_pidfd may be NULL. */
static int clone_now(const struct ns_plan *plan, const int fds[static NS_N], int cgroupfd,
	uint64_t more, pid_t *ret_pid, int *ret_pidfd, struct err *e)
{
	/* With CLONE_PARENT the signal is the caller's own, and giving one is an error. */
	struct clone_args args = {.flags = plan->clone_flags | more,
		.exit_signal = more & CLONE_PARENT ? 0 : SIGCHLD};
	pid_t pid;
	int r = join(plan->join_before, fds, e);

	if (r < 0)
		return r;
	if (ret_pidfd) {
		args.flags |= CLONE_PIDFD;
		args.pidfd = (uintptr_t)ret_pidfd;
	}
	if (cgroupfd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroupfd;
	}
	pid = sys_clone3(&args, sizeof(args));
	if (pid < 0)
		return err_set(e, errno, "linux.namespaces: make the process: %s%s",
			strerror(errno), errno == EPERM ? why_not_permitted(plan) : "");
	*ret_pid = pid;
	return pid == 0;
}

struct reply {
	pid_t pid;
	struct err err;
};

/* With CLONE_PARENT the container's process is the runtime's child all the same; the one in between
 * is gone at once. */
static int clone_between(const struct ns_plan *plan, const int fds[static NS_N], int cgroupfd,
	pid_t *ret_pid, int *ret_pidfd, struct err *e)
{
	AUTO_CLOSE int from = -1;
	AUTO_CLOSE int to = -1;
	struct reply reply = {0};
	pid_t between;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_set(e, errno, "linux.namespaces: %s", strerror(errno));
	from = p[0];
	to = p[1];
	between = fork();
	if (between < 0)
		return err_set(e, errno, "linux.namespaces: fork: %s", strerror(errno));
	if (between == 0) {
		int r;

		/* A user namespace may deny setgroups(2) for ever: the caller's groups go before.
		 */
		(void)setgroups(0, NULL);
		r = clone_now(plan, fds, cgroupfd, CLONE_PARENT, &reply.pid, NULL, &reply.err);

		if (r == 1)
			return 1;
		(void)io_write_all(to, &reply, sizeof(reply));
		_exit(0);
	}
	fd_close(&to);
	if (io_read_all(from, &reply, sizeof(reply)) != (ssize_t)sizeof(reply))
		err_set(&reply.err, EPIPE, "linux.namespaces: the process in between died");
	while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
		;
	if (reply.err.code) {
		*e = reply.err;
		return -e->code;
	}
	*ret_pid = reply.pid;
	/* Our child, not waited for: the number is still its own. */
	*ret_pidfd = sys_pidfd_open(reply.pid, 0);
	return *ret_pidfd < 0 ? err_set(e, errno, "linux.namespaces: pidfd: %s", strerror(errno))
			      : 0;
}

int ns_clone(const struct ns_plan *plan, const int fds[static NS_N], int cgroupfd, pid_t *ret_pid,
	int *ret_pidfd, struct err *e)
{
	return plan->intermediate ? clone_between(plan, fds, cgroupfd, ret_pid, ret_pidfd, e)
				  : clone_now(plan, fds, cgroupfd, 0, ret_pid, ret_pidfd, e);
}

int ns_open_user(int host_proc, pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%d/ns/user", pid);
	fd = openat(host_proc, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
