/* What a container is doing: its process, and the socket on which it waits to be started. */
#include "runtime/oci/state.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"
#include "runtime/oci/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int process_start_time(pid_t pid, uint64_t *ret_time, bool *ret_zombie)
{
	char path[64];
	char buf[1024];
	const char *p;
	unsigned long long time;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	r = io_read_file_at(AT_FDCWD, path, buf, sizeof(buf));
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	/* The name in field 2 may hold anything, ")" too: the last one closes it. */
	p = strrchr(buf, ')');
	if (!p || p[1] != ' ')
		return -ESRCH;
	*ret_zombie = p[2] == 'Z' || p[2] == 'X';
	p += 2;
	for (int field = 3; field < 22 && p; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (!p || sscanf(p, "%llu", &time) != 1)
		return -ESRCH;
	*ret_time = time;
	return 0;
}

int state_open_process(const struct state *s)
{
	struct pollfd p = {.events = POLLIN};
	AUTO_CLOSE int fd = -1;
	uint64_t time;
	bool zombie;
	int r;

	if (s->pid.v <= 0)
		return -ESRCH;
	/* The descriptor first: after it is open the number cannot change hands unnoticed. */
	p.fd = fd = sys_pidfd_open((pid_t)s->pid.v, 0);
	if (fd < 0)
		return -errno;
	r = process_start_time((pid_t)s->pid.v, &time, &zombie);
	if (r < 0)
		return r;
	if (time != s->start_time.v)
		return -ESRCH;
	/* A process whose first thread has ended is shown as a zombie while others of it run. The
	 * descriptor tells the end of the last. */
	r = zombie ? poll(&p, 1, 0) : 0;
	if (r < 0)
		return -errno;
	return r > 0 ? -ESRCH : TAKE_FD(fd);
}

static int start_address(int dirfd, struct sockaddr_un *addr, int flags)
{
	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	/* Through the descriptor: ROOT/ID may be longer than the 108 bytes an address has. */
	snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/start", dirfd);
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
}

static int connect_start(int dirfd, int flags)
{
	struct sockaddr_un addr;
	AUTO_CLOSE int fd = start_address(dirfd, &addr, flags);

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int state_connect_start(int dirfd)
{
	return connect_start(dirfd, 0);
}

int state_listen_start(int dirfd)
{
	struct sockaddr_un addr;
	AUTO_CLOSE int fd = start_address(dirfd, &addr, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 8) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* 1, 0 or -errno. */
static int is_frozen(const struct state *s)
{
	AUTO_CLOSE int root = -1;
	AUTO_CLOSE int fd = -1;

	if (!s->cgroup || !s->cgroup[0])
		return 0;
	root = cgroup_open_root();
	if (root >= 0)
		fd = openat(root, s->cgroup + 1, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root == -ENOENT || (root >= 0 && fd < 0 && errno == ENOENT))
		return 0;
	if (fd < 0)
		return root < 0 ? root : -errno;
	return cgroup_frozen(fd);
}

int state_status(const struct state *s, int dirfd)
{
	AUTO_CLOSE int process = -1;
	AUTO_CLOSE int start = -1;
	int r;

	if (s->pid.v == 0)
		return STATUS_CREATING;
	process = state_open_process(s);
	if (process < 0)
		return process == -ESRCH ? STATUS_STOPPED : process;
	/* The waiting process drops a connection that asks for nothing. One that is frozen or
	 * stopped does not: its queue fills up, and must not keep us. */
	start = connect_start(dirfd, SOCK_NONBLOCK);
	if (start >= 0 || start == -EAGAIN)
		return STATUS_CREATED;
	if (start != -ECONNREFUSED && start != -ENOENT)
		return start;
	r = is_frozen(s);
	/* It ended while we looked. */
	if (r == -ENODEV)
		return STATUS_STOPPED;
	return r < 0 ? r : r ? STATUS_PAUSED : STATUS_RUNNING;
}
