#include "runtime/api/http.h"

#include "lib/base/time.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

const char *http_common_headers = "";

enum { PART_NONE, PART_TARGET, PART_NAME, PART_VALUE };

/* Append to the part of the head that is at hand. */
static int add_part(struct http_conn *c, int part, const char *at, size_t len)
{
	bool is_new = c->last_part != part;

	if (is_new && part == PART_NAME && c->n_headers == API_HEADERS_MAX) {
		c->too_many = true;
		return 1;
	}
	if (is_new && c->last_part != PART_NONE && buf_add(&c->head, "", 1) < 0)
		return 1;
	if (is_new && part == PART_NAME)
		c->offsets[2 * c->n_headers] = c->head.len;
	/* An empty value has no callback of its own. */
	if (is_new && part == PART_VALUE)
		c->offsets[2 * c->n_headers++ + 1] = c->head.len;
	c->last_part = part;
	return buf_add(&c->head, at, len) < 0;
}

static int on_url(struct http_parser *p, const char *at, size_t len)
{
	return add_part(p->data, PART_TARGET, at, len);
}

static int on_name(struct http_parser *p, const char *at, size_t len)
{
	return add_part(p->data, PART_NAME, at, len);
}

static int on_value(struct http_parser *p, const char *at, size_t len)
{
	return add_part(p->data, PART_VALUE, at, len);
}

static int on_head(struct http_parser *p)
{
	struct http_conn *c = p->data;

	if (buf_add(&c->head, "", 1) < 0)
		return -1;
	c->target = c->head.v;
	for (size_t i = 0; i < c->n_headers; i++) {
		c->headers[i].name = c->head.v + c->offsets[2 * i];
		c->headers[i].value = c->head.v + c->offsets[2 * i + 1];
	}
	c->head_done = true;
	http_parser_pause(p, 1);
	return 0;
}

static int on_body(struct http_parser *p, const char *at, size_t len)
{
	struct http_conn *c = p->data;

	c->body = at;
	c->body_len = len;
	http_parser_pause(p, 1);
	return 0;
}

static int on_end(struct http_parser *p)
{
	struct http_conn *c = p->data;

	c->body_done = true;
	http_parser_pause(p, 1);
	return 0;
}

static const struct http_parser_settings settings = {
	.on_url = on_url,
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_message_complete = on_end,
};

void http_conn_init(struct http_conn *c, int fd)
{
	*c = (struct http_conn){.fd = fd};
	http_parser_init(&c->parser, HTTP_REQUEST);
	c->parser.data = c;
}

void http_conn_free(struct http_conn *c)
{
	buf_free(&c->in);
	buf_free(&c->head);
	buf_free(&c->more);
}

int http_add_header(struct http_conn *c, const char *name, const char *value)
{
	return buf_printf(&c->more, "%s: %s\r\n", name, value);
}

/* Wait until @fd is ready. Returns 0, -ETIMEDOUT or -errno. */
static int wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int r;

	do {
		r = poll(&p, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r == 0 ? -ETIMEDOUT : 0;
}

/* Receive more into c->in. Returns bytes, 0 at the end, or -errno. */
static ssize_t receive(struct http_conn *c, int timeout_ms)
{
	char *to = buf_reserve(&c->in, API_IO_BYTES);
	ssize_t n;
	int r;

	if (!to)
		return -ENOMEM;
	r = wait_for(c->fd, POLLIN, timeout_ms);
	if (r < 0)
		return r;
	do {
		n = recv(c->fd, to, API_IO_BYTES, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	c->in.len += (size_t)n;
	return n;
}

/* Parse what was received up to the next event. Returns 0, or -EBADMSG. */
static int step(struct http_conn *c)
{
	enum http_errno why;
	size_t n;

	if (HTTP_PARSER_ERRNO(&c->parser) == HPE_PAUSED)
		http_parser_pause(&c->parser, 0);
	c->body_len = 0;
	n = http_parser_execute(&c->parser, &settings, c->in.v, c->in.len);
	why = HTTP_PARSER_ERRNO(&c->parser);
	if (why != HPE_OK && why != HPE_PAUSED)
		return -EBADMSG;
	/* A part of the body lies in c->in: that stays as it is until the part was copied. */
	c->parsed = n;
	if (!c->body_len)
		buf_consume(&c->in, n);
	return 0;
}

static void start_request(struct http_conn *c)
{
	c->head.len = 0;
	c->more.len = 0;
	c->n_headers = 0;
	c->last_part = PART_NONE;
	c->target = NULL;
	c->head_done = c->body_done = c->continue_wanted = c->too_many = false;
	c->body_total = 0;
	c->answer = HTTP_ANSWER_NONE;
	c->head_only = false;
}

const char *http_header(const struct http_conn *c, const char *name)
{
	for (size_t i = 0; i < c->n_headers; i++)
		if (strcasecmp(c->headers[i].name, name) == 0)
			return c->headers[i].value;
	return NULL;
}

static int refuse(struct http_conn *c, int status, const char *why)
{
	char body[128];
	int n = snprintf(body, sizeof(body), "{\"message\":\"%s\"}\n", why);

	c->close = true;
	(void)http_send(c, status, "application/json", body, (size_t)n);
	return -EBADMSG;
}

int http_read_head(struct http_conn *c)
{
	uint64_t end = 0;
	const char *expect;

	start_request(c);
	for (;;) {
		int left = -1;
		ssize_t n;

		if (c->in.len && step(c) < 0)
			return refuse(c, c->too_many ? 431 : 400,
				c->too_many ? "too many request headers"
					    : "malformed HTTP request");
		if (c->head_done)
			break;
		/* Between requests a client may be silent for as long as it likes. */
		if (end == 0 && c->parser.nread)
			end = time_now_ms() + API_IO_TIMEOUT_MS;
		if (end) {
			uint64_t now = time_now_ms();

			left = now >= end ? 0 : (int)(end - now);
		}
		n = receive(c, left);
		if (n == 0)
			return c->parser.nread ? -ECONNRESET : 0;
		if (n < 0)
			return (int)n;
	}
	c->head_only = c->parser.method == HTTP_HEAD;
	c->close = !http_should_keep_alive(&c->parser);
	expect = http_header(c, "Expect");
	c->continue_wanted = expect && strcasecmp(expect, "100-continue") == 0;
	return 1;
}

static int too_slow(struct err *e)
{
	return err_set(e, ETIME, "the request's body did not arrive in time");
}

/* Bytes of the body that are still to come, as its length says; 0 when it does not. */
static uint64_t announced(const struct http_conn *c)
{
	uint64_t left = c->parser.content_length;

	return c->body_done || left == ULLONG_MAX ? 0 : left;
}

/* Get on in the message until there is a part of the body or its end. */
static int next_part(struct http_conn *c, struct err *e)
{
	if (c->continue_wanted) {
		static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
		int r;

		c->continue_wanted = false;
		r = http_write_raw(c, go_on, sizeof(go_on) - 1, API_IO_TIMEOUT_MS);
		if (r < 0)
			return err_set(e, -r, "the client went away");
	}
	while (!c->body_done) {
		ssize_t n;

		if (c->in.len) {
			if (step(c) < 0)
				return err_set(e, EBADMSG, "malformed body");
			if (c->body_len)
				return 0;
			continue;
		}
		n = receive(c, API_IO_TIMEOUT_MS);
		if (n == -ETIMEDOUT) {
			c->close = true;
			return too_slow(e);
		}
		if (n <= 0)
			return err_set(e, n ? (int)-n : ECONNRESET, "unexpected end of the body");
	}
	return 0;
}

ssize_t http_read_body(struct http_conn *c, void *buf, size_t size, struct err *e)
{
	size_t part;
	int r;

	if (c->body_done && !c->body_len)
		return 0;
	if (!c->body_len) {
		r = next_part(c, e);
		if (r < 0 || !c->body_len)
			return r;
	}
	part = c->body_len < size ? c->body_len : size;
	memcpy(buf, c->body, part);
	c->body += part;
	c->body_len -= part;
	c->body_total += part;
	if (!c->body_len)
		buf_consume(&c->in, c->parsed);
	return (ssize_t)part;
}

int http_read_whole_body(struct http_conn *c, size_t max, struct buf *ret, struct err *e)
{
	uint64_t end = time_now_ms() + API_BODY_TIMEOUT_MS;

	for (;;) {
		char *to;
		ssize_t n;

		if (announced(c) > max || ret->len > max)
			return err_set(
				e, EFBIG, "the request's body is larger than %zu bytes", max);
		if (time_now_ms() > end) {
			c->close = true;
			return too_slow(e);
		}
		to = buf_reserve(ret, API_IO_BYTES);
		if (!to)
			return err_set(e, ENOMEM, "out of memory");
		n = http_read_body(c, to, API_IO_BYTES, e);
		if (n < 0)
			return (int)n;
		ret->len += (size_t)n;
		ret->v[ret->len] = '\0';
		if (n == 0)
			return 0;
	}
}

void http_drain(struct http_conn *c)
{
	struct err ignored = {0};
	char dropped[4096];
	uint64_t end = c->body_total + API_DRAIN_BYTES_MAX;

	/* A client that waits for "100 Continue" has sent nothing and will not; and what would be
	 * too much is not begun. */
	if (c->continue_wanted || announced(c) > API_DRAIN_BYTES_MAX)
		c->close = true;
	while (!c->close) {
		ssize_t n = http_read_body(c, dropped, sizeof(dropped), &ignored);

		if (n == 0)
			return;
		if (n < 0 || c->body_total > end)
			c->close = true;
	}
}

int http_write_raw(struct http_conn *c, const void *bytes, size_t len, int timeout_ms)
{
	const char *at = bytes;

	while (len && !c->broken) {
		ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		int r = 0;

		if (n >= 0) {
			at += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			r = wait_for(c->fd, POLLOUT, timeout_ms);
		} else if (errno != EINTR) {
			r = -errno;
		}
		if (r < 0) {
			c->broken = true;
			c->close = true;
			return r;
		}
	}
	return c->broken ? -EPIPE : 0;
}

bool http_peer_gone(const struct http_conn *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};

	return c->broken || (poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR | POLLRDHUP)));
}

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *words;
	} reasons[] = {
		{101, "UPGRADED"},
		{200, "OK"},
		{201, "Created"},
		{204, "No Content"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{413, "Request Entity Too Large"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].words;
	return "Unknown";
}

/* Write the head of an answer and what follows it in one go. */
static int send_head(struct http_conn *c, int status, const char *type, const char *more,
	const void *body, size_t len)
{
	AUTO_BUF struct buf out = {0};
	char typed[160] = "";
	int r;

	if (type)
		(void)snprintf(typed, sizeof(typed), "Content-Type: %s\r\n", type);
	r = buf_printf(&out, "HTTP/1.1 %d %s\r\n%s%s%s%s%s\r\n", status, reason(status),
		http_common_headers, typed, c->more.len ? c->more.v : "", more,
		c->close && status != 101 ? "Connection: close\r\n" : "");
	if (r == 0 && len && !c->head_only)
		r = buf_add(&out, body, len);
	if (r == 0)
		r = http_write_raw(c, out.v, out.len, API_IO_TIMEOUT_MS);
	if (r < 0)
		c->close = c->broken = true;
	return r;
}

int http_send(struct http_conn *c, int status, const char *type, const void *body, size_t len)
{
	char length[64] = "";

	c->answer = HTTP_ANSWER_DONE;
	if (status != 204 && status != 304)
		(void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n", len);
	return send_head(c, status, len ? type : NULL, length, body, len);
}

int http_stream_begin(struct http_conn *c, int status, const char *type)
{
	c->answer = HTTP_ANSWER_STREAM;
	return send_head(c, status, type, "Transfer-Encoding: chunked\r\n", NULL, 0);
}

int http_stream_write(struct http_conn *c, const void *bytes, size_t len)
{
	char size[24];
	int n = snprintf(size, sizeof(size), "%zx\r\n", len);
	int r;

	/* A chunk of no bytes would be the end. */
	if (len == 0 || c->head_only)
		return 0;
	r = http_write_raw(c, size, (size_t)n, API_IO_TIMEOUT_MS);
	if (r == 0)
		r = http_write_raw(c, bytes, len, API_IO_TIMEOUT_MS);
	return r < 0 ? r : http_write_raw(c, "\r\n", 2, API_IO_TIMEOUT_MS);
}

int http_stream_end(struct http_conn *c)
{
	c->answer = HTTP_ANSWER_DONE;
	return c->head_only ? 0 : http_write_raw(c, "0\r\n\r\n", 5, API_IO_TIMEOUT_MS);
}

int http_hijack(struct http_conn *c, const char *type)
{
	struct err ignored = {0};
	bool upgrade = c->parser.upgrade;
	char none[1];

	/* The parser must have seen the request's end: what follows is the stream's. */
	while (!c->body_done && http_read_body(c, none, sizeof(none), &ignored) > 0)
		;
	c->answer = HTTP_ANSWER_RAW;
	c->close = true;
	return send_head(c, upgrade ? 101 : 200, type,
		upgrade ? "Connection: Upgrade\r\nUpgrade: tcp\r\n" : "", NULL, 0);
}
