#include "runtime/oci/container.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "lib/util/path.h"
#include "runtime/oci/sync.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* linux/ioctl's name; musl 1.2.5 does not have it. */
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

/* Bind the terminal over /dev/console, which is made if it is not there and never followed. */
static int bind_to_console(int root, int peer)
{
	AUTO_CLOSE int dev = path_open_in_root(root, "/dev", O_PATH | O_DIRECTORY, 0);
	AUTO_CLOSE int from = -1;
	AUTO_CLOSE int to = -1;
	struct stat st;

	if (dev < 0)
		return dev;
	to = openat(dev, "console", O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0620);
	if (to < 0 && errno != EEXIST)
		return -errno;
	fd_close(&to);
	to = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0 || fstat(to, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return -EEXIST;
	from = sys_open_tree(peer, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	return from < 0 ? -errno : mount_attach(from, to);
}

int console_open(int root, const struct config_process *p, bool bind_console, int *ret_master,
	int *ret_peer, struct err *e)
{
	AUTO_CLOSE int pts = path_open_in_root(root, "/dev/pts", O_PATH | O_DIRECTORY, 0);
	AUTO_CLOSE int master = -1;
	AUTO_CLOSE int peer = -1;
	struct winsize size = {
		.ws_row = (unsigned short)p->rows.v, .ws_col = (unsigned short)p->columns.v};
	struct statfs fs;
	int unlock = 0;
	int r;

	if (pts < 0)
		return err_set(e, -pts, "process.terminal: open /dev/pts: %s", strerror(-pts));
	/* An image may have put anything there, and to open it may have an effect. In a devpts
	 * there are terminals and ptmx, nothing else. */
	if (fstatfs(pts, &fs) < 0)
		return err_set(e, errno, "process.terminal: /dev/pts: %s", strerror(errno));
	if (fs.f_type != DEVPTS_SUPER_MAGIC)
		return err_set(e, ENODEV, "process.terminal: /dev/pts is not a devpts");
	master = openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (master < 0)
		return err_set(
			e, errno, "process.terminal: open /dev/pts/ptmx: %s", strerror(errno));
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_set(e, errno, "process.terminal: unlock: %s", strerror(errno));
	/* The other end by ioctl and not by its name: no path can be in the way. Linux 4.13. */
	peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (peer < 0)
		return err_set(e, errno, "process.terminal: open its end: %s", strerror(errno));
	if (p->rows.v && ioctl(peer, TIOCSWINSZ, &size) < 0)
		return err_set(e, errno, "process.consoleSize: %s", strerror(errno));
	if (bind_console) {
		r = bind_to_console(root, peer);
		if (r < 0)
			return err_set(
				e, -r, "process.terminal: bind to /dev/console: %s", strerror(-r));
	}
	if (fchown(peer, p->uid, (gid_t)-1) < 0)
		return err_set(
			e, errno, "process.terminal: give to uid %u: %s", p->uid, strerror(errno));
	*ret_master = TAKE_FD(master);
	*ret_peer = TAKE_FD(peer);
	return 0;
}

int console_send(int sock, int fd)
{
	/* The name is what the receivers of other runtimes expect to read. */
	char name[] = "/dev/ptmx";
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = name, .iov_len = sizeof(name) - 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int console_receive(int sock)
{
	char name[64];
	int fd;
	ssize_t n = sync_recv_fd(sock, name, sizeof(name), &fd);

	if (n <= 0)
		return n < 0 ? (int)n : -EPIPE;
	return fd < 0 ? -EBADMSG : fd;
}

int console_become(int peer, struct err *e)
{
	if (ioctl(peer, TIOCSCTTY, 0) < 0)
		return err_set(e, errno, "process.terminal: make it the controlling one: %s",
			strerror(errno));
	for (int i = 0; i < 3; i++) {
		if (dup2(peer, i) < 0)
			return err_set(e, errno, "process.terminal: %s", strerror(errno));
	}
	return 0;
}
