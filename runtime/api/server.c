#include "runtime/api/server.h"

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/sock.h"
#include "runtime/api/routes.h"
#include "runtime/api/tls.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct connection {
	struct engine *engine;
	struct http_conn http;
};

static atomic_int connections;

int server_listen_unix(const char *path, unsigned mode, struct err *e)
{
	mode_t mask = umask(0777 & ~mode);
	int fd = sock_listen_unix(path, SOCK_STREAM, 128);

	umask(mask);
	return fd < 0 ? err_set(e, -fd, "listen on %s: %s", path, strerror(-fd)) : fd;
}

static void *serve(void *arg)
{
	struct connection *conn = arg;
	struct http_conn *http = &conn->http;

	while (!http->close) {
		struct call c = {.engine = conn->engine, .conn = http};

		if (http_read_head(http) <= 0)
			break;
		route_call(api_routes, api_routes_n, &c);
		http_drain(http);
	}
	http_conn_free(http);
	/* What was sent gets to the client before the end does. */
	(void)shutdown(http->fd, SHUT_WR);
	close(http->fd);
	free(conn);
	atomic_fetch_sub(&connections, 1);
	return NULL;
}

/* Start a thread for @fd, which is taken over. */
static void start_connection(struct engine *engine, pthread_attr_t *attr, int fd)
{
	struct connection *conn = NULL;
	pthread_t thread;
	bool fits = atomic_fetch_add(&connections, 1) < API_CONNECTIONS_MAX;

	if (fits)
		conn = calloc(1, sizeof(*conn));
	if (conn) {
		conn->engine = engine;
		http_conn_init(&conn->http, fd);
		if (pthread_create(&thread, attr, serve, conn) == 0)
			return;
	}
	{
		static const char full[] =
			"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
			"Content-Type: application/json\r\nContent-Length: 36\r\n\r\n"
			"{\"message\":\"too many connections\"}\n";

		(void)send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	free(conn);
	close(fd);
	atomic_fetch_sub(&connections, 1);
}

static void accept_one(struct engine *engine, pthread_attr_t *attr,
	const struct server_listener *from, int stop_fd)
{
	struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
	int fd = accept4(from->fd, NULL, NULL, SOCK_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && from->tls) {
		fd = tls_accept(from->tls, fd);
		r = fd < 0 ? fd : 0;
	}
	if (r == 0) {
		start_connection(engine, attr, fd);
	} else if (r != -EAGAIN && r != -EINTR && r != -ECONNABORTED) {
		log_error("accept: %s", strerror(-r));
		/* Out of descriptors: wait for one to come free, not in a busy loop. */
		(void)poll(&stop, 1, 100);
	}
}

int server_run(struct engine *engine, const struct server_listener *listeners, size_t n,
	int stop_fd, struct err *e)
{
	struct pollfd fds[SERVER_LISTENERS_MAX + 1] = {{.fd = stop_fd, .events = POLLIN}};
	pthread_attr_t attr;

	for (size_t i = 0; i < n; i++)
		fds[1 + i] = (struct pollfd){.fd = listeners[i].fd, .events = POLLIN};
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, API_STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (;;) {
		if (poll(fds, 1 + n, -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_set(e, errno, "wait for connections: %s", strerror(errno));
		}
		if (fds[0].revents)
			break;
		for (size_t i = 0; i < n; i++)
			if (fds[1 + i].revents)
				accept_one(engine, &attr, &listeners[i], stop_fd);
	}
	pthread_attr_destroy(&attr);
	return 0;
}
