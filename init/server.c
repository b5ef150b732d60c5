#include "init/server.h"

#include "init/adopt.h"
#include "init/kept.h"
#include "init/limits.h"
#include "init/logs.h"
#include "init/loop.h"
#include "init/options.h"
#include "init/protocol.h"
#include "init/shutdown.h"
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

enum waits_for { WAITS_NOT, WAITS_UP, WAITS_DOWN, WAITS_LOG };

struct client {
	int fd; /* 0: free, as static memory has it */
	enum waits_for waits;
	unsigned index; /* the service, or the log's slot */
	uint64_t cursor;
	bool engine; /* it subscribed to exits */
};

union request {
	struct init_header h;
	struct init_index index;
	struct init_logs logs;
	struct init_shutdown shutdown;
	struct init_adopt adopt;
	struct init_fd fd;
	char bytes[512]; /* more than any request, so that a longer one is seen as such */
};

static struct client clients[CLIENTS_MAX];
static int listen_fd = -1;
static uint64_t retry_ms = UINT64_MAX; /* when to listen again after running out of something */

static void pause_listening(bool pause)
{
	(void)loop_change(listen_fd, pause ? 0 : EPOLLIN, LOOP_LISTEN, 0);
	retry_ms = pause ? time_now_ms() + RETRY_MS : UINT64_MAX;
}

static void drop(struct client *c, const char *why)
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

/* Send one message, with a descriptor unless @fd is -1. Returns 0 or -errno. */
static int send_msg(const struct client *c, const void *msg, int fd)
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

/* An answer. A client asks again only when it has the last one, so there is room for it. */
static void answer(struct client *c, const void *msg, int fd)
{
	int r = send_msg(c, msg, fd);

	c->waits = WAITS_NOT;
	if (r == -EPIPE || r == -ECONNRESET)
		drop(c, NULL);
	else if (r < 0)
		drop(c, r == -EAGAIN ? "it does not read its answers" : strerror(-r));
}

static void answer_plain(struct client *c, uint32_t type)
{
	struct init_header msg;

	init_msg_begin(&msg, type, NULL);
	answer(c, &msg, -1);
}

static void answer_error(struct client *c, int errnum, const char *text)
{
	struct init_error msg;

	init_msg_begin(&msg, INIT_ERROR, NULL);
	msg.errnum = errnum;
	snprintf(msg.text, sizeof(msg.text), "%s", text);
	answer(c, &msg, -1);
}

static void answer_result(struct client *c, int r, const struct err *e)
{
	if (r < 0)
		answer_error(c, -r, e->msg);
	else
		answer_plain(c, INIT_OK);
}

static struct service *find_service(struct client *c, const char *id)
{
	struct service *svc = service_find(id);
	char text[INIT_TEXT_BYTES];

	if (!svc) {
		snprintf(text, sizeof(text), "%s: no such service", id);
		answer_error(c, ENOENT, text);
	}
	return svc;
}

static void do_status(struct client *c, const union request *req, int *fd)
{
	struct init_service_info msg;
	const struct service *svc;

	(void)fd;
	if (req->h.id[0]) {
		svc = find_service(c, req->h.id);
		if (!svc)
			return;
	} else if (req->index.index >= service_count()) {
		answer_plain(c, INIT_END);
		return;
	} else {
		svc = service_at(req->index.index);
	}
	init_msg_begin(&msg, INIT_SERVICE_INFO, svc->cfg.name);
	msg.pid = svc->pid;
	msg.restarts = svc->restarts;
	msg.since_ms = svc->since_ms;
	snprintf(msg.state, sizeof(msg.state), "%s", service_state_name(svc->state));
	snprintf(msg.what, sizeof(msg.what), "%s", svc->what);
	answer(c, &msg, -1);
}

/* Answer a client that waits for a service if there is something to say. */
static void check_service(struct client *c)
{
	const struct service *svc = service_at(c->index);
	char text[INIT_TEXT_BYTES + INIT_ID_BYTES + 16];
	bool up = svc->state == SVC_UP || svc->state == SVC_DONE;
	bool down = !service_is_active(svc);

	if ((c->waits == WAITS_UP && up) || (c->waits == WAITS_DOWN && down)) {
		answer_plain(c, INIT_OK);
	} else if (c->waits == WAITS_UP && (down || svc->state == SVC_BACKOFF)) {
		snprintf(text, sizeof(text), "%s: %s", svc->cfg.name, svc->what);
		answer_error(c, EIO, text);
	}
}

static void wait_for(struct client *c, const struct service *svc, enum waits_for what)
{
	c->waits = what;
	c->index = service_index(svc);
	check_service(c);
}

static void do_service(struct client *c, const union request *req, int *fd)
{
	static void (*const act[INIT_REQUESTS])(struct service *) = {
		[INIT_START] = service_start,
		[INIT_STOP] = service_stop,
		[INIT_RESTART] = service_restart,
	};
	struct service *svc = find_service(c, req->h.id);

	(void)fd;
	if (!svc)
		return;
	if (shutdown_running()) {
		answer_error(c, ESHUTDOWN, "the machine is shutting down");
		return;
	}
	act[req->h.type](svc);
	wait_for(c, svc, req->h.type == INIT_STOP ? WAITS_DOWN : WAITS_UP);
}

static void send_log(struct client *c, bool at_end_too)
{
	static struct init_log_data msg; /* 4 KiB; init's stack is small */

	init_msg_begin(&msg, INIT_LOG_DATA, NULL);
	msg.len = (uint32_t)logs_read(c->index, &c->cursor, msg.data, sizeof(msg.data));
	msg.cursor = c->cursor;
	if (msg.len > 0 || at_end_too)
		answer(c, &msg, -1);
}

static void do_logs(struct client *c, const union request *req, int *fd)
{
	const struct service *svc = NULL;
	bool own = strcmp(req->h.id, "init") == 0;

	(void)fd;
	if (!own) {
		svc = find_service(c, req->h.id);
		if (!svc)
			return;
	}
	c->index = own ? LOGS_OWN : service_index(svc);
	c->cursor = req->logs.cursor;
	c->waits = WAITS_LOG;
	send_log(c, !req->logs.follow);
}

static void do_shutdown(struct client *c, const union request *req, int *fd)
{
	(void)fd;
	if (req->shutdown.how < INIT_POWEROFF || req->shutdown.how > INIT_HALT) {
		drop(c, "unknown way to shut down");
		return;
	}
	answer_plain(c, INIT_OK);
	shutdown_begin((enum init_shutdown_how)req->shutdown.how, "asked on init.sock");
}

static void do_adopt(struct client *c, const union request *req, int *fd)
{
	struct err e = {0};
	int r = adopt_add(req->h.id, req->adopt.pid, TAKE_FD(*fd), &e);

	answer_result(c, r, &e);
}

static void send_exits(struct client *c)
{
	struct init_exit msg;
	int r = 0;

	while (r == 0 && adopt_next_exit(&msg)) {
		r = send_msg(c, &msg, -1);
		if (r == 0)
			adopt_mark_sent(msg.h.id);
	}
	if (r == -EAGAIN)
		(void)loop_change(c->fd, EPOLLIN | EPOLLOUT, LOOP_CLIENT, (unsigned)(c - clients));
	else if (r < 0)
		drop(c, r == -EPIPE || r == -ECONNRESET ? NULL : strerror(-r));
}

static struct client *engine(void)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (clients[i].fd > 0 && clients[i].engine)
			return &clients[i];
	return NULL;
}

static void do_subscribe(struct client *c, const union request *req, int *fd)
{
	struct client *old = engine();

	(void)req;
	(void)fd;
	/* The last one may hang; whoever comes now was started in its place. */
	if (old && old != c)
		drop(old, "another engine subscribed");
	c->engine = true;
	adopt_unsend_all();
	answer_plain(c, INIT_OK);
	server_exits_changed();
}

static void do_ack(struct client *c, const union request *req, int *fd)
{
	struct err e = {0};

	(void)fd;
	answer_result(c, adopt_ack(req->h.id, &e), &e);
}

static void do_adopted(struct client *c, const union request *req, int *fd)
{
	struct init_exit msg;

	(void)fd;
	if (adopt_get(req->index.index, &msg))
		answer(c, &msg, -1);
	else
		answer_plain(c, INIT_END);
}

static void do_keep_fd(struct client *c, const union request *req, int *fd)
{
	struct err e = {0};
	int r;

	if (!memchr(req->fd.name, '\0', sizeof(req->fd.name))) {
		drop(c, "name not terminated");
		return;
	}
	r = kept_add(req->h.id, req->fd.name, TAKE_FD(*fd), &e);
	answer_result(c, r, &e);
}

static void do_give_fd(struct client *c, const union request *req, int *fd)
{
	struct init_fd msg;
	int kept;

	(void)fd;
	init_msg_begin(&msg, INIT_FD, req->h.id);
	kept = kept_get(req->h.id, req->index.index, msg.name);
	if (kept < 0)
		answer_plain(c, INIT_END);
	else
		answer(c, &msg, kept);
}

static void do_drop_fds(struct client *c, const union request *req, int *fd)
{
	struct err e = {0};

	(void)fd;
	if (!memchr(req->fd.name, '\0', sizeof(req->fd.name))) {
		drop(c, "name not terminated");
		return;
	}
	answer_result(c, kept_drop(req->h.id, req->fd.name, &e), &e);
}

static const struct {
	void (*handle)(struct client *c, const union request *req, int *fd);
	bool takes_fd;
} requests[INIT_REQUESTS] = {
	[INIT_STATUS] = {do_status, false},
	[INIT_START] = {do_service, false},
	[INIT_STOP] = {do_service, false},
	[INIT_RESTART] = {do_service, false},
	[INIT_LOGS] = {do_logs, false},
	[INIT_SHUTDOWN] = {do_shutdown, false},
	[INIT_ADOPT] = {do_adopt, true},
	[INIT_SUBSCRIBE] = {do_subscribe, false},
	[INIT_ACK] = {do_ack, false},
	[INIT_ADOPTED] = {do_adopted, false},
	[INIT_KEEP_FD] = {do_keep_fd, true},
	[INIT_GIVE_FD] = {do_give_fd, false},
	[INIT_DROP_FDS] = {do_drop_fds, false},
};

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
	if (flags & MSG_CTRUNC || (fd >= 0 && !requests[req->h.type].takes_fd))
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
		(void)loop_change(c->fd, EPOLLIN, LOOP_CLIENT, index);
		if (c->engine)
			send_exits(c);
		return;
	}
	if (n <= 0) {
		drop(c, NULL);
		return;
	}
	wrong = check_request(c, &req, n, fd, flags);
	if (wrong)
		drop(c, wrong);
	else
		requests[req.h.type].handle(c, &req, &fd);
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
		(void)send_msg(&stranger, &msg, -1);
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
			check_service(&clients[i]);
}

void server_log_grew(unsigned slot)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (clients[i].fd > 0 && clients[i].waits == WAITS_LOG && clients[i].index == slot)
			send_log(&clients[i], false);
}

void server_exits_changed(void)
{
	struct client *c = engine();

	if (c)
		send_exits(c);
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
