#include "init/server.h"

#include "init/client.h"
#include "init/limits.h"
#include "init/loop.h"
#include "init/options.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static struct client clients[CLIENTS_MAX];
static int listen_fd = -1;
static uint64_t retry_ms = UINT64_MAX; /* when to listen again after running out of something */

static void pause_listening(bool pause)
{
	(void)loop_change(listen_fd, pause ? 0 : EPOLLIN, LOOP_LISTEN, 0);
	retry_ms = pause ? time_now_ms() + RETRY_MS : UINT64_MAX;
}

void client_drop(struct client *c, const char *why)
{
	int fd = c->fd;

	/* first of all free: what follows may want to send it something */
	*c = (struct client){0};
	loop_remove(fd);
	close(fd);
	if (retry_ms != UINT64_MAX)
		pause_listening(false);
	if (why)
		log_warn("init.sock: connection closed: %s", why);
}

int client_send(const struct client *c, const void *msg, int fd)
{
	const struct init_header *h = msg;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)msg, .iov_len = h->len};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	}
	return sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void client_watch_room(struct client *c, bool on)
{
	(void)loop_change(
		c->fd, on ? EPOLLIN | EPOLLOUT : EPOLLIN, LOOP_CLIENT, (unsigned)(c - clients));
}

struct client *client_engine(void)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (clients[i].fd > 0 && clients[i].engine)
			return &clients[i];
	return NULL;
}

/* Receive one packet. Returns its length, 0 at the end, -EAGAIN, or -errno. */
static ssize_t receive(int socket, union request *req, int *ret_fd, int *ret_flags)
{
	struct iovec iov = {.iov_base = req, .iov_len = sizeof(*req)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* CMSG_LEN, not the padded CMSG_SPACE: there must be no room for a second one */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *header;

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	header = CMSG_FIRSTHDR(&m);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
		header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
	*ret_flags = m.msg_flags;
	return n;
}

static const char *check_request(
	const struct client *c, const union request *req, ssize_t len, int fd, int flags)
{
	const char *wrong;

	if (flags & MSG_TRUNC)
		return "bad message: longer than any request";
	wrong = init_msg_check(req, (size_t)len);
	if (wrong)
		return wrong;
	if (req->h.type >= INIT_REQUESTS)
		return "bad message: not a request";
	if (flags & MSG_CTRUNC || (fd >= 0 && !request_takes_fd(req->h.type)))
		return "bad message: a descriptor too many";
	if (c->waits != WAITS_NOT)
		return "bad message: a request before the last one was answered";
	return NULL;
}

static void on_client(unsigned index)
{
	struct client *c = &clients[index];
	AUTO_CLOSE int fd = -1;
	union request req;
	const char *wrong;
	int flags = 0;
	ssize_t n;

	if (c->fd <= 0)
		return;
	n = receive(c->fd, &req, &fd, &flags);
	if (n == -EAGAIN) {
		/* so it is room for exits */
		client_watch_room(c, false);
		if (c->engine)
			request_send_exits(c);
		return;
	}
	if (n <= 0) {
		client_drop(c, NULL);
		return;
	}
	wrong = check_request(c, &req, n, fd, flags);
	if (wrong)
		client_drop(c, wrong);
	else
		request_handle(c, &req, &fd);
}

static void on_connection(unsigned index)
{
	AUTO_CLOSE int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer = {0};
	socklen_t len = sizeof(peer);
	struct client stranger;
	unsigned i;

	(void)index;
	if (fd < 0) {
		/* Out of descriptors or memory: not to be asked again at once, and all the time. */
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
			log_error("init.sock: accept: %s", strerror(errno));
			pause_listening(true);
		}
		return;
	}
	stranger = (struct client){.fd = fd};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
		(peer.uid != 0 && peer.uid != geteuid())) {
		log_warn("init.sock: user %u refused", (unsigned)peer.uid);
		return;
	}
	for (i = 0; i < CLIENTS_MAX && clients[i].fd > 0; i++)
		;
	if (i == CLIENTS_MAX || loop_add(fd, EPOLLIN, LOOP_CLIENT, i) < 0) {
		struct init_error msg;

		init_msg_begin(&msg, INIT_ERROR, NULL);
		msg.errnum = EMFILE;
		snprintf(msg.text, sizeof(msg.text), "%d connections are open, no more fit",
			CLIENTS_MAX);
		(void)client_send(&stranger, &msg, -1);
		return;
	}
	clients[i] = (struct client){.fd = TAKE_FD(fd)};
}

int server_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO_CLOSE int fd = -1;
	mode_t mask;
	int n, r;

	n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" INIT_SOCKET_NAME,
		options.run_dir);
	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	(void)unlink(address.sun_path);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r < 0)
		return r;
	if (listen(fd, CLIENTS_MAX) < 0)
		return -errno;
	loop_on(LOOP_LISTEN, on_connection);
	loop_on(LOOP_CLIENT, on_client);
	r = loop_add(fd, EPOLLIN, LOOP_LISTEN, 0);
	if (r < 0)
		return r;
	listen_fd = TAKE_FD(fd);
	return 0;
}

void server_service_changed(const struct service *svc)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (clients[i].fd > 0 && clients[i].index == service_index(svc) &&
			(clients[i].waits == WAITS_UP || clients[i].waits == WAITS_DOWN))
			request_check_service(&clients[i]);
}

void server_log_grew(unsigned slot)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (clients[i].fd > 0 && clients[i].waits == WAITS_LOG && clients[i].index == slot)
			request_send_log(&clients[i], false);
}

void server_exits_changed(void)
{
	struct client *c = client_engine();

	if (c)
		request_send_exits(c);
}

uint64_t server_deadline(void)
{
	return retry_ms;
}

void server_tick(uint64_t now_ms)
{
	if (retry_ms <= now_ms)
		pause_listening(false);
}
