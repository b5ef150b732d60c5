#include "runtime/oci/cgroup.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/num.h"
#include "lib/base/sys.h"
#include "lib/base/time.h"
#include "runtime/oci/limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Deeper trees are no container's. */
#define CGROUP_DEPTH_MAX 64

int cgroup_path(const char *base, const char *cgroups_path, const char *id,
	char buf[static CGROUP_PATH_MAX], struct err *e)
{
	const char *path = id;
	bool absolute;
	const char *p;
	int n;

	if (cgroups_path && cgroups_path[0]) {
		path = cgroups_path;
		if (strchr(path, ':') && !strchr(path, '/'))
			return err_set(e, ENOTSUP,
				"linux.cgroupsPath: \"%s\" is systemd's form, expected a path",
				path);
	}
	absolute = path[0] == '/';
	n = snprintf(buf, CGROUP_PATH_MAX, "%s%s%s", absolute ? "" : base,
		absolute ? "" : "/containers/", path);
	if (n < 0 || n >= CGROUP_PATH_MAX)
		return err_set(e, ENAMETOOLONG, "linux.cgroupsPath: longer than %d bytes",
			CGROUP_PATH_MAX - 1);
	p = buf;
	do {
		if (strcspn(p + 1, "/") == 2 && p[1] == '.' && p[2] == '.')
			return err_set(e, EINVAL, "linux.cgroupsPath: \"..\" is not allowed");
		p = strchr(p + 1, '/');
	} while (p);
	/* One slash in front: what is behind it is a path below the mount for openat(2). */
	memmove(buf, buf + strspn(buf, "/") - 1, strlen(buf) - strspn(buf, "/") + 2);
	if (buf[1] == '\0')
		return err_set(
			e, EINVAL, "linux.cgroupsPath: the root cgroup is not a container's");
	return 0;
}

/* The first file that tells whether a controller is on, and who asks for it. */
struct need {
	const char *controller;
	const char *file;
	bool wanted;
	const char *field;
};

enum { NEED_N = 7 };

static void list_needs(const struct config_resources *r, struct need needs[static NEED_N])
{
	bool io = r->io_weight.v || r->io_weights.n;
	bool cpu = r->cpu_shares.v || r->cpu_quota.v || r->cpu_period.v || r->cpu_burst.set ||
		   r->cpu_idle.set;
	bool cpuset = (r->cpu_cpus && r->cpu_cpus[0]) || (r->cpu_mems && r->cpu_mems[0]);
	bool memory = r->memory_limit.v || r->memory_reservation.v || r->memory_swap.v;

	for (int k = 0; k < IO_RATE_N; k++)
		io |= r->io_rates[k].n > 0;
	needs[0] = (struct need){"memory", "memory.max", memory, "memory"};
	needs[1] = (struct need){"cpu", "cpu.max", cpu, "cpu"};
	needs[2] = (struct need){"cpuset", "cpuset.cpus", cpuset, "cpu.cpus"};
	needs[3] = (struct need){"pids", "pids.max", r->pids_limit.v != 0, "pids.limit"};
	needs[4] = (struct need){"io", "io.max", io, "blockIO"};
	needs[5] =
		(struct need){"hugetlb", "hugetlb.2MB.max", r->n_hugepages > 0, "hugepageLimits"};
	needs[6] = (struct need){"rdma", "rdma.max", r->n_rdma > 0, "rdma"};
	/* A file of "unified" belongs to the controller its name starts with. */
	for (size_t i = 0; i < r->unified.n; i++) {
		for (int k = 0; k < NEED_N; k++) {
			size_t len = strlen(needs[k].controller);

			if (strncmp(r->unified.v[i].key, needs[k].controller, len) == 0 &&
				r->unified.v[i].key[len] == '.')
				needs[k].wanted = true;
		}
	}
}

const char *cgroup_needed_by(const struct config_resources *res)
{
	struct need needs[NEED_N];

	list_needs(res, needs);
	for (int i = 0; i < NEED_N; i++) {
		if (needs[i].wanted)
			return needs[i].field;
	}
	if (res->unified.n)
		return "unified";
	return res->n_devices ? "devices" : NULL;
}

static int switch_on(int dir, const char *path, int path_len, const struct need *n, struct err *e)
{
	char word[64];

	snprintf(word, sizeof(word), "+%s", n->controller);
	if (io_write_file_at(dir, "cgroup.subtree_control", word) != -EBUSY)
		return 0;
	return err_set(e, EBUSY,
		"linux.resources.%s: cgroup %.*s/ hands no controllers down while it holds "
		"processes itself: move them into a cgroup below it",
		n->field, path_len, path);
}

/* Make the components of @path that are missing. With @enable: switch on in each directory on the
 * way the controllers that are wanted and not there; one that cannot be switched on is told when
 * its limit is written, with the field's name. */
static int make_path(int rootfd, const char *path, const struct need *enable, struct err *e)
{
	AUTO_CLOSE int dir = openat(rootfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *rest = path;

	while (dir >= 0) {
		const char *start = rest + strspn(rest, "/");
		size_t len = strcspn(start, "/");
		char name[256];
		bool made;
		int next;

		if (len == 0)
			return TAKE_FD(dir);
		if (len >= sizeof(name))
			return err_set(e, ENAMETOOLONG, "make cgroup %s: a name is too long", path);
		memcpy(name, start, len);
		name[len] = '\0';
		for (int i = 0; enable && i < NEED_N; i++) {
			if (enable[i].wanted &&
				switch_on(dir, path, (int)(rest - path), &enable[i], e) < 0)
				return -e->code;
		}
		rest = start + len;
		made = mkdirat(dir, name, 0755) == 0;
		if (!made && errno != EEXIST)
			break;
		next = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 && made) {
			int why = errno;

			/* The caller may go on without: nobody would remove it. */
			(void)unlinkat(dir, name, AT_REMOVEDIR);
			errno = why;
		}
		fd_close(&dir);
		dir = next;
	}
	return err_set(e, errno, "make cgroup %s: %s", path, strerror(errno));
}

int cgroup_make(int rootfd, const char *path, const struct config_resources *res, struct err *e)
{
	struct need needs[NEED_N];
	bool missing = false;
	int fd = make_path(rootfd, path, NULL, e);

	if (fd < 0)
		return fd;
	list_needs(res, needs);
	for (int i = 0; i < NEED_N; i++) {
		if (needs[i].wanted && faccessat(fd, needs[i].file, F_OK, 0) < 0)
			missing = true;
	}
	if (!missing)
		return fd;
	/* The slow way, for a host that did not delegate its controllers beforehand. */
	fd_close(&fd);
	return make_path(rootfd, path, needs, e);
}

/* Call @fn for every cgroup of the tree, children first. */
static int walk(int fd, int depth, int (*fn)(int cgroupfd, void *arg), void *arg)
{
	int dup = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = dup < 0 ? NULL : fdopendir(dup);
	struct dirent *d;
	int r = 0;

	if (!dir) {
		r = -errno;
		fd_close(&dup);
		return r;
	}
	while (r == 0) {
		AUTO_CLOSE int child = -1;

		errno = 0;
		d = readdir(dir);
		if (!d) {
			r = -errno;
			break;
		}
		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		child = openat(fd, d->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child < 0 || depth >= CGROUP_DEPTH_MAX)
			continue;
		r = walk(child, depth + 1, fn, arg);
	}
	closedir(dir);
	return r < 0 ? r : fn(fd, arg);
}

struct pid_list {
	pid_t *v;
	size_t n;
	size_t room;
};

static int add_pids(int fd, void *arg)
{
	AUTO_CLOSE int procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	struct pid_list *list = arg;
	char line[32];
	FILE *f = procs < 0 ? NULL : fdopen(procs, "re");

	if (!f)
		return -errno;
	(void)TAKE_FD(procs); /* the stream's now */
	while (fgets(line, sizeof(line), f)) {
		uint64_t pid;

		/* 0 stands for a process that our pid namespace does not have, and would mean to
		 * kill(2) our own process group. */
		if (num_parse_u64(line, strcspn(line, "\n"), INT32_MAX, &pid) < 0 || pid == 0)
			continue;
		if (list->n == list->room) {
			size_t room = list->room ? list->room * 2 : 64;
			pid_t *more = realloc(list->v, room * sizeof(*more));

			if (!more) {
				fclose(f);
				return -ENOMEM;
			}
			list->v = more;
			list->room = room;
		}
		list->v[list->n++] = (pid_t)pid;
	}
	fclose(f);
	return 0;
}

int cgroup_pids(int cgroupfd, pid_t **ret_pids, size_t *ret_n)
{
	struct pid_list list = {0};
	int r = walk(cgroupfd, 0, add_pids, &list);

	if (r < 0) {
		free(list.v);
		return r;
	}
	*ret_pids = list.v;
	*ret_n = list.n;
	return 0;
}

int cgroup_signal_all(int cgroupfd, int sig)
{
	pid_t *pids = NULL;
	size_t n = 0;
	int r = cgroup_pids(cgroupfd, &pids, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		/* Between the list and the signal a process may end: that is no failure. */
		if (kill(pids[i], sig) < 0 && errno != ESRCH)
			r = -errno;
	}
	free(pids);
	return r;
}

/* 1 if "NAME 1" stands in the cgroup's cgroup.events, 0 if "NAME 0". */
static int event_state(int eventsfd, const char *name)
{
	char buf[128];
	const char *p;
	ssize_t n = pread(eventsfd, buf, sizeof(buf) - 1, 0);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	p = strstr(buf, name);
	return p && p[strlen(name)] == ' ' ? p[strlen(name) + 1] == '1' : -EBADMSG;
}

/* cgroup.events is pollable: POLLPRI on every change. */
static int wait_event(int cgroupfd, const char *name, int state, unsigned timeout_ms)
{
	AUTO_CLOSE int events = openat(cgroupfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	uint64_t end = time_now_ms() + timeout_ms;
	int r;

	if (events < 0)
		return -errno;
	while ((r = event_state(events, name)) != state) {
		struct pollfd p = {.fd = events, .events = POLLPRI};
		uint64_t now = time_now_ms();

		if (r < 0)
			return r;
		if (now >= end)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)(end - now)) < 0 && errno != EINTR)
			return -errno;
	}
	return 0;
}

int cgroup_populated(int rootfd, const char *path)
{
	AUTO_CLOSE int fd =
		openat(rootfd, path + strspn(path, "/"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int events = -1;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	events = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	return events < 0 ? -errno : event_state(events, "populated");
}

int cgroup_kill_all(int cgroupfd, unsigned timeout_ms)
{
	int r = io_write_file_at(cgroupfd, "cgroup.kill", "1");

	/* cgroup.kill is there since Linux 5.14. */
	if (r == -ENOENT)
		r = cgroup_signal_all(cgroupfd, SIGKILL);
	return r < 0 ? r : wait_event(cgroupfd, "populated", 0, timeout_ms);
}

static int remove_tree(int parentfd, const char *name, int depth)
{
	AUTO_CLOSE int fd = -1;
	struct dirent *d;
	DIR *dir;
	int dup;

	if (unlinkat(parentfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	fd = openat(parentfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dup = fd < 0 || depth >= CGROUP_DEPTH_MAX ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	dir = dup < 0 ? NULL : fdopendir(dup);
	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		if (d->d_type == DT_DIR && d->d_name[0] != '.')
			(void)remove_tree(fd, d->d_name, depth + 1);
	}
	closedir(dir);
	return unlinkat(parentfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_remove(int rootfd, const char *path)
{
	return remove_tree(rootfd, path + strspn(path, "/"), 0);
}

int cgroup_frozen(int cgroupfd)
{
	AUTO_CLOSE int events = openat(cgroupfd, "cgroup.events", O_RDONLY | O_CLOEXEC);

	return events < 0 ? -errno : event_state(events, "frozen");
}

int cgroup_freeze(int cgroupfd, bool freeze)
{
	int r = io_write_file_at(cgroupfd, "cgroup.freeze", freeze ? "1" : "0");

	if (r == 0)
		r = wait_event(cgroupfd, "frozen", freeze, OCI_FREEZE_WAIT_MS);
	/* A process in the kernel may not come to the point; then the others must go on. */
	if (r < 0 && freeze)
		(void)io_write_file_at(cgroupfd, "cgroup.freeze", "0");
	return r;
}
