#include "runtime/oci/sync.h"

#include "lib/base/fd.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

static int send_msg(int fd, const struct sync_msg *msg, size_t len)
{
	ssize_t n;

	do {
		n = send(fd, msg, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int sync_send(int fd, enum sync_type type, int32_t value)
{
	struct sync_msg msg = {.type = type, .value = value};

	return send_msg(fd, &msg, offsetof(struct sync_msg, err));
}

int sync_send_error(int fd, const struct err *err)
{
	struct sync_msg msg = {.type = SYNC_ERROR, .err = *err};

	return send_msg(fd, &msg, sizeof(msg));
}

int sync_recv(int fd, struct sync_msg *msg, struct err *e)
{
	ssize_t n;

	do {
		n = recv(fd, msg, sizeof(*msg), 0);
	} while (n < 0 && errno == EINTR);
	/* A process that is killed with data unread resets the connection: gone is gone. */
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return 0;
	if (n < 0)
		return err_set(e, errno, "wait for the container's process: %s", strerror(errno));
	if (msg->type == SYNC_ERROR && n == (ssize_t)sizeof(*msg) && msg->err.code > 0) {
		msg->err.msg[sizeof(msg->err.msg) - 1] = '\0';
		return err_set(e, msg->err.code, "%s", msg->err.msg);
	}
	if (msg->type == SYNC_ERROR || n != (ssize_t)offsetof(struct sync_msg, err))
		return err_set(
			e, EBADMSG, "the container's process sent a message of %zd bytes", n);
	return (int)msg->type;
}

ssize_t sync_recv_fd(int fd, void *buf, size_t size, int *ret_fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c;
	ssize_t n;

	*ret_fd = -1;
	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
	if (msg.msg_flags & MSG_TRUNC) {
		fd_close(ret_fd);
		return -EMSGSIZE;
	}
	return n;
}
