/* What the requests on init.sock do. */
#include "init/client.h"

#include "init/adopt.h"
#include "init/kept.h"
#include "init/logs.h"
#include "init/server.h"
#include "init/shutdown.h"
#include "lib/base/fd.h"

#include <signal.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* An answer. A client asks again only when it has the last one, so there is room for it. */
static void answer(struct client *c, const void *msg, int fd)
{
	int r = client_send(c, msg, fd);

	c->waits = WAITS_NOT;
	if (r == -EPIPE || r == -ECONNRESET)
		client_drop(c, NULL);
	else if (r < 0)
		client_drop(c, r == -EAGAIN ? "it does not read its answers" : strerror(-r));
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
	snprintf(msg.bundle, sizeof(msg.bundle), "%s", svc->cfg.container);
	msg.exit_code = svc->exit.code == CLD_EXITED || !svc->exit.code ? svc->exit.status
									: 128 + svc->exit.status;
	answer(c, &msg, -1);
}

/* Answer a client that waits for a service if there is something to say. */
void request_check_service(struct client *c)
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
	request_check_service(c);
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

void request_send_log(struct client *c, bool at_end_too)
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
	request_send_log(c, !req->logs.follow);
}

static void do_shutdown(struct client *c, const union request *req, int *fd)
{
	(void)fd;
	if (req->shutdown.how < INIT_POWEROFF || req->shutdown.how > INIT_HALT) {
		client_drop(c, "unknown way to shut down");
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

void request_send_exits(struct client *c)
{
	struct init_exit msg;
	int r = 0;

	while (r == 0 && adopt_next_exit(&msg)) {
		r = client_send(c, &msg, -1);
		if (r == 0)
			adopt_mark_sent(msg.h.id);
	}
	if (r == -EAGAIN)
		client_watch_room(c, true);
	else if (r < 0)
		client_drop(c, r == -EPIPE || r == -ECONNRESET ? NULL : strerror(-r));
}

static void do_subscribe(struct client *c, const union request *req, int *fd)
{
	struct client *old = client_engine();

	(void)req;
	(void)fd;
	/* The last one may hang; whoever comes now was started in its place. */
	if (old && old != c)
		client_drop(old, "another engine subscribed");
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
		client_drop(c, "name not terminated");
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
		client_drop(c, "name not terminated");
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

bool request_takes_fd(uint32_t type)
{
	return requests[type].takes_fd;
}

void request_handle(struct client *c, const union request *req, int *fd)
{
	requests[req->h.type].handle(c, req, fd);
}
