#include "runtime/cli/http.h"

#include "lib/base/fd.h"
#include "lib/base/sock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define API_PREFIX "/v1.51"

static const char *given_host;

static int on_name(struct http_parser *p, const char *at, size_t len)
{
	struct http *h = p->data;

	h->in_type = len == 12 && strncasecmp(at, "Content-Type", len) == 0;
	return 0;
}

static int on_value(struct http_parser *p, const char *at, size_t len)
{
	struct http *h = p->data;

	if (h->in_type)
		snprintf(h->type, sizeof(h->type), "%.*s", (int)len, at);
	return 0;
}

static int on_head(struct http_parser *p)
{
	struct http *h = p->data;

	/* an answer of "100 Continue" is not the one that is waited for */
	if (p->status_code == 100)
		return 0;
	h->head_done = true;
	h->status = p->status_code;
	http_parser_pause(p, 1);
	return 0;
}

static int on_body(struct http_parser *p, const char *at, size_t len)
{
	struct http *h = p->data;

	h->body = at;
	h->body_len = len;
	http_parser_pause(p, 1);
	return 0;
}

static int on_end(struct http_parser *p)
{
	struct http *h = p->data;

	if (h->head_done)
		h->over = true;
	http_parser_pause(p, 1);
	return 0;
}

static const struct http_parser_settings settings = {
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_message_complete = on_end,
};

void http_set_host(const char *host)
{
	given_host = host;
}

const char *http_socket(struct err *e)
{
	const char *host = given_host ? given_host : getenv("DOCKER_HOST");

	if (!host || !host[0]) {
		host = getenv("SAMPAN_ENGINE_SOCKET");
		return host ? host : "/run/docker.sock";
	}
	if (strncmp(host, "unix://", 7) != 0) {
		(void)err_set(e, EPROTONOSUPPORT,
			"only unix:// is spoken here, not %s: use the docker client of another "
			"machine for the rest",
			host);
		return NULL;
	}
	return host + 7;
}

static int connect_engine(struct http *h, struct err *e)
{
	const char *path = http_socket(e);

	if (!path)
		return -EPROTONOSUPPORT;
	http_parser_init(&h->parser, HTTP_RESPONSE);
	h->parser.data = h;
	h->fd = sock_connect_unix(path, SOCK_STREAM);
	if (h->fd == -EACCES)
		return err_set(e, EACCES,
			"permission denied while trying to connect to the Docker daemon socket at "
			"unix://%s",
			path);
	if (h->fd < 0)
		return err_set(e, -h->fd,
			"Cannot connect to the Docker daemon at unix://%s. Is the docker daemon "
			"running?",
			path);
	return 0;
}

static int send_all(struct http *h, const void *bytes, size_t len, struct err *e)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = send(h->fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "send to the engine: %s", strerror(errno));
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int http_send(struct http *h, const char *method, const char *target, const char *body, size_t len,
	bool upgrade, struct err *e)
{
	AUTO_BUF struct buf out = {0};
	int r = connect_engine(h, e);

	if (r < 0)
		return r;
	r = buf_printf(&out, "%s " API_PREFIX "%s HTTP/1.1\r\nHost: engine\r\n", method, target);
	if (r == 0 && upgrade)
		r = buf_add_str(&out, "Connection: Upgrade\r\nUpgrade: tcp\r\n");
	if (r == 0 && body)
		r = buf_add_str(&out, "Content-Type: application/json\r\n");
	if (r == 0 && (body || strcmp(method, "POST") == 0))
		r = buf_printf(&out, "Content-Length: %zu\r\n", body ? len : 0);
	if (r == 0)
		r = buf_add_str(&out, "\r\n");
	if (r == 0 && body)
		r = buf_add(&out, body, len);
	return r < 0 ? err_set(e, ENOMEM, "no memory") : send_all(h, out.v, out.len, e);
}

int http_send_stream(
	struct http *h, const char *method, const char *target, const char *type, struct err *e)
{
	AUTO_BUF struct buf out = {0};
	int r = connect_engine(h, e);

	if (r < 0)
		return r;
	r = buf_printf(&out,
		"%s " API_PREFIX "%s HTTP/1.1\r\nHost: engine\r\nContent-Type: %s\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		method, target, type);
	return r < 0 ? err_set(e, ENOMEM, "no memory") : send_all(h, out.v, out.len, e);
}

int http_send_piece(struct http *h, const void *bytes, size_t len, struct err *e)
{
	char size[32];
	int n = snprintf(size, sizeof(size), "%zx\r\n", len);
	int r = send_all(h, size, (size_t)n, e);

	if (r == 0)
		r = send_all(h, bytes, len, e);
	return r < 0 ? r : send_all(h, "\r\n", 2, e);
}

/* Parse what was received up to the next event. */
static int step(struct http *h, struct err *e)
{
	enum http_errno why;
	size_t n;

	http_parser_pause(&h->parser, 0);
	n = http_parser_execute(
		&h->parser, &settings, h->in.v + h->consumed, h->in.len - h->consumed);
	why = HTTP_PARSER_ERRNO(&h->parser);
	h->consumed += n;
	if (why != HPE_OK && why != HPE_PAUSED)
		return err_set(e, EBADMSG, "the engine's answer is no HTTP: %s",
			http_errno_description(why));
	return 0;
}

/* Receive more. Returns bytes, 0 at the end, or -errno. */
static ssize_t receive(struct http *h, struct err *e)
{
	char *to;
	ssize_t n;

	buf_consume(&h->in, h->consumed);
	h->consumed = 0;
	to = buf_reserve(&h->in, HTTP_IO_BYTES);
	if (!to)
		return err_set(e, ENOMEM, "no memory");
	do {
		n = recv(h->fd, to, HTTP_IO_BYTES, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(e, errno, "the engine's answer: %s", strerror(errno));
	h->in.len += (size_t)n;
	return n;
}

int http_head(struct http *h, struct err *e)
{
	while (!h->head_done) {
		int r = 0;

		if (h->consumed == h->in.len) {
			ssize_t n = receive(h, e);

			if (n < 0)
				return (int)n;
			if (n == 0)
				return err_set(e, ECONNRESET, "the engine closed the connection");
		}
		r = step(h, e);
		if (r < 0)
			return r;
	}
	h->raw = h->status == 101;
	/* the parser keeps the last byte of a head for the moment after the pause */
	if (h->raw)
		(void)step(h, NULL);
	return 0;
}

bool http_pending(const struct http *h)
{
	return (h->over && !h->raw) || h->in.len > h->consumed;
}

static ssize_t read_raw(struct http *h, const char **ret, struct err *e)
{
	ssize_t n = (ssize_t)(h->in.len - h->consumed);

	if (n == 0)
		n = receive(h, e);
	if (n <= 0)
		return n;
	*ret = h->in.v + h->consumed;
	h->consumed = h->in.len;
	return n;
}

ssize_t http_read(struct http *h, const char **ret, struct err *e)
{
	if (h->raw)
		return read_raw(h, ret, e);
	h->body_len = 0;
	while (!h->over && h->body_len == 0) {
		int r;

		if (h->consumed == h->in.len) {
			ssize_t n = receive(h, e);

			if (n < 0)
				return n;
			/* The end of the connection may be the body's. */
			if (n == 0 && http_body_is_final(&h->parser) == 0 &&
				h->parser.flags & F_CHUNKED)
				return err_set(e, ECONNRESET, "the engine closed the connection");
			if (n == 0)
				return 0;
		}
		r = step(h, e);
		if (r < 0)
			return r;
	}
	*ret = h->body;
	return (ssize_t)h->body_len;
}

void http_close(struct http *h)
{
	fd_close(&h->fd);
	buf_free(&h->in);
}

int url_add(struct buf *url, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	int r = 0;

	for (; *text && r == 0; text++) {
		unsigned char c = (unsigned char)*text;
		char coded[3] = {'%', hex[c >> 4], hex[c & 15]};
		bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			     (c >= 'A' && c <= 'Z') || strchr("-_.~/:@", c);

		r = plain ? buf_add(url, text, 1) : buf_add(url, coded, sizeof(coded));
	}
	return r;
}

int url_param(struct buf *url, const char *key, const char *value)
{
	int r = buf_printf(url, "%c%s=", url->v && strchr(url->v, '?') ? '&' : '?', key);

	return r < 0 ? r : url_add(url, value);
}
