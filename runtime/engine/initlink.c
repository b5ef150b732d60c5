#include "runtime/engine/initlink.h"

#include "lib/base/fd.h"
#include "lib/base/sock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

union message {
	struct init_header h;
	struct init_error error;
	struct init_exit exit;
	struct init_fd fd;
	struct init_service_info service;
	struct init_log_data log;
};

static int open_socket(const char *path, struct err *e)
{
	int fd = sock_connect_unix(path, SOCK_SEQPACKET);

	if (fd < 0)
		return err_set(e, -fd, "init does not answer at %s: %s", path, strerror(-fd));
	return fd;
}

/* Send @msg, with @fd unless it is -1. */
static int send_message(int sock, const void *msg, int fd)
{
	const struct init_header *h = msg;
	struct iovec iov = {.iov_len = h->len};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	memcpy(&iov.iov_base, &msg, sizeof(msg));
	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* @ret_fd: a descriptor that came along, or -1; NULL when none is expected */
static int receive_message(int sock, union message *ret, int *ret_fd, struct err *e)
{
	struct iovec iov = {.iov_base = ret, .iov_len = sizeof(*ret)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (ret_fd) {
		*ret_fd = -1;
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
	}
	do {
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return err_set(e, n ? errno : ECONNRESET, "init closed the connection");
	if (ret_fd && m.msg_controllen && control.header.cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(&control.header), sizeof(int));
	if (init_msg_check(ret, (size_t)n) || ret->h.type < INIT_OK)
		return err_set(e, EPROTO, "init's answer is not understood");
	if (ret->h.type == INIT_END)
		return -ENOENT;
	if (ret->h.type == INIT_ERROR) {
		ret->error.text[sizeof(ret->error.text) - 1] = '\0';
		return err_set(e, ret->error.errnum > 0 ? ret->error.errnum : EIO, "init: %s",
			ret->error.text);
	}
	return 0;
}

static int ask(
	struct initlink *l, const void *msg, int fd, union message *ret, int *ret_fd, struct err *e)
{
	int r;

	pthread_mutex_lock(&l->lock);
	r = send_message(l->fd, msg, fd);
	/* What init said when it closed the connection is still to be read. */
	if (r == 0 || r == -EPIPE)
		r = receive_message(l->fd, ret, ret_fd, e);
	else
		err_set(e, -r, "ask init: %s", strerror(-r));
	pthread_mutex_unlock(&l->lock);
	return r;
}

int initlink_open(struct initlink *l, const char *path, struct err *e)
{
	*l = (struct initlink){.path = path, .fd = open_socket(path, e)};
	pthread_mutex_init(&l->lock, NULL);
	return l->fd < 0 ? l->fd : 0;
}

int initlink_adopt(struct initlink *l, const char *id, int pid, int pidfd, struct err *e)
{
	struct init_adopt msg;
	union message answer;

	init_msg_begin(&msg, INIT_ADOPT, id);
	msg.pid = pid;
	return ask(l, &msg, pidfd, &answer, NULL, e);
}

int initlink_ack(struct initlink *l, const char *id, struct err *e)
{
	struct init_header msg;
	union message answer;

	init_msg_begin(&msg, INIT_ACK, id);
	return ask(l, &msg, -1, &answer, NULL, e);
}

int initlink_keep_fd(struct initlink *l, const char *id, const char *name, int fd, struct err *e)
{
	struct init_fd msg;
	union message answer;

	init_msg_begin(&msg, INIT_KEEP_FD, id);
	(void)snprintf(msg.name, sizeof(msg.name), "%s", name);
	return ask(l, &msg, fd, &answer, NULL, e);
}

int initlink_give_fd(struct initlink *l, const char *id, unsigned index,
	char ret_name[static INIT_FD_NAME_BYTES], struct err *e)
{
	struct init_index msg;
	union message answer;
	int fd = -1;
	int r;

	init_msg_begin(&msg, INIT_GIVE_FD, id);
	msg.index = index;
	r = ask(l, &msg, -1, &answer, &fd, e);
	if (r < 0)
		return r;
	if (fd < 0 || answer.h.type != INIT_FD)
		return err_set(e, EPROTO, "init's answer has no descriptor");
	memcpy(ret_name, answer.fd.name, INIT_FD_NAME_BYTES);
	ret_name[INIT_FD_NAME_BYTES - 1] = '\0';
	return fd;
}

int initlink_drop_fds(struct initlink *l, const char *id, const char *name, struct err *e)
{
	struct init_fd msg;
	union message answer;

	init_msg_begin(&msg, INIT_DROP_FDS, id);
	(void)snprintf(msg.name, sizeof(msg.name), "%s", name ? name : "");
	return ask(l, &msg, -1, &answer, NULL, e);
}

int initlink_adopted(struct initlink *l, unsigned index, struct init_exit *ret, struct err *e)
{
	struct init_index msg;
	union message answer;
	int r;

	init_msg_begin(&msg, INIT_ADOPTED, NULL);
	msg.index = index;
	r = ask(l, &msg, -1, &answer, NULL, e);
	if (r == 0)
		*ret = answer.exit;
	return r;
}

int initlink_service(struct initlink *l, const char *name, unsigned index,
	struct init_service_info *ret, struct err *e)
{
	struct init_index msg;
	union message answer;
	int r;

	init_msg_begin(&msg, INIT_STATUS, name);
	msg.index = index;
	r = ask(l, &msg, -1, &answer, NULL, e);
	if (r < 0)
		return r;
	*ret = answer.service;
	ret->state[sizeof(ret->state) - 1] = '\0';
	ret->bundle[sizeof(ret->bundle) - 1] = '\0';
	return 0;
}

int initlink_command(
	const struct initlink *l, enum init_msg_type type, const char *name, struct err *e)
{
	AUTO_CLOSE int fd = open_socket(l->path, e);
	struct init_header msg;
	union message answer;
	int r;

	if (fd < 0)
		return fd;
	init_msg_begin(&msg, type, name);
	r = send_message(fd, &msg, -1);
	return r < 0 ? err_set(e, -r, "ask init: %s", strerror(-r))
		     : receive_message(fd, &answer, NULL, e);
}

int initlink_logs_open(const struct initlink *l, struct err *e)
{
	return open_socket(l->path, e);
}

int initlink_logs_ask(int fd, const char *name, uint64_t cursor, bool follow, struct err *e)
{
	struct init_logs msg;
	int r;

	init_msg_begin(&msg, INIT_LOGS, name);
	msg.cursor = cursor;
	msg.follow = follow;
	r = send_message(fd, &msg, -1);
	return r < 0 ? err_set(e, -r, "ask init: %s", strerror(-r)) : 0;
}

int initlink_logs_read(int fd, struct init_log_data *ret, struct err *e)
{
	union message answer;
	int r = receive_message(fd, &answer, NULL, e);

	if (r < 0)
		return r;
	if (answer.h.type != INIT_LOG_DATA || answer.log.len > sizeof(answer.log.data))
		return err_set(e, EPROTO, "init's answer is no log");
	*ret = answer.log;
	return 0;
}

int initlink_exits(const struct initlink *l, void (*on_exit)(void *arg, const struct init_exit *x),
	void *arg, struct err *e)
{
	AUTO_CLOSE int fd = open_socket(l->path, e);
	struct init_header subscribe;
	union message msg;
	int r;

	if (fd < 0)
		return fd;
	init_msg_begin(&subscribe, INIT_SUBSCRIBE, NULL);
	r = send_message(fd, &subscribe, -1);
	if (r < 0)
		return err_set(e, -r, "subscribe to init: %s", strerror(-r));
	for (;;) {
		r = receive_message(fd, &msg, NULL, e);
		if (r < 0)
			return r;
		if (msg.h.type == INIT_EXITED)
			on_exit(arg, &msg.exit);
	}
}
