#include "runtime/api/logs.h"

#include "lib/base/fd.h"
#include "lib/base/time.h"
#include "runtime/api/routes.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/spec.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* bytes of one line of a json-file: an output line of 16 KiB, every byte escaped, and the rest */
#define RECORD_BYTES_MAX (16384 * 6 + 4096)

/* json-file generations that are looked for */
#define FILES_MAX 1000

struct reader {
	struct call *c;
	bool raw; /* hijacked: written as it is, not in chunks */
	bool tty;
	bool streams[LOG_STREAMS];
	bool timestamps;
	bool details; /* labels, variables and tag that the log's options ask for, before the line
		       */
	int64_t since_ns;
	int64_t until_ns; /* 0: none */
	int64_t skip;	  /* records to leave out before the first */
};

/* "2024-05-01T12:00:00.123456789Z" in nanoseconds. */
static int64_t parse_time(const char *text)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ns = 0;

	if (!rest)
		return 0;
	if (*rest == '.') {
		int64_t unit = 100000000;

		for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
			ns += (*rest - '0') * unit;
	}
	return (int64_t)timegm(&tm) * 1000000000 + ns;
}

static int put(const struct reader *rd, const void *bytes, size_t len)
{
	return rd->raw ? http_write_raw(rd->c->conn, bytes, len, API_IO_TIMEOUT_MS)
		       : http_stream_write(rd->c->conn, bytes, len);
}

/* As a query is escaped: what Docker does with details. */
static int add_escaped(struct buf *b, const char *text)
{
	int r = 0;

	for (; *text && r == 0; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c) || strchr("-_.~", c))
			r = buf_add(b, text, 1);
		else
			r = c == ' ' ? buf_add_str(b, "+") : buf_printf(b, "%%%02X", c);
	}
	return r;
}

/* "key=value,key=value " */
static int add_details(struct buf *b, yyjson_val *attrs)
{
	yyjson_val *key, *value;
	size_t i, n;
	int r = 0;

	if (attrs)
		yyjson_obj_foreach (attrs, i, n, key, value) {
			if (r == 0 && i)
				r = buf_add_str(b, ",");
			if (r == 0)
				r = add_escaped(b, yyjson_get_str(key));
			if (r == 0)
				r = buf_add_str(b, "=");
			if (r == 0)
				r = add_escaped(b, yyjson_get_str(value));
		}
	return r < 0 ? r : buf_add_str(b, " ");
}

/*
 * @time: RFC 3339, as it is in the file; shown with all nine digits of the nanoseconds
 * @attrs: of the record; NULL: none
 */
static int put_record(const struct reader *rd, enum log_stream stream, const char *text, size_t len,
	const char *time, yyjson_val *attrs)
{
	AUTO_BUF struct buf out = {0};
	unsigned char head[8] = {(unsigned char)(stream + 1)};
	size_t start = rd->tty ? 0 : sizeof(head);
	size_t digits = strcspn(time, "Z");
	int r = buf_add(&out, head, start);

	if (r == 0 && rd->timestamps && time[0])
		r = buf_printf(&out, "%.*s%.*sZ ", (int)digits, time,
			digits == 19  ? 10
			: digits < 29 ? (int)(29 - digits)
				      : 0,
			digits == 19 ? ".000000000" : "000000000");
	if (r == 0 && rd->details)
		r = add_details(&out, attrs);
	if (r == 0)
		r = buf_add(&out, text, len);
	if (r < 0)
		return r;
	if (start)
		for (size_t i = 0; i < 4; i++)
			out.v[4 + i] = (char)((out.len - start) >> (24 - 8 * i));
	return put(rd, out.v, out.len);
}

/* One line of the file. Returns 0, 1 when the rest is too new, or -errno. */
static int on_line(struct reader *rd, char *line, size_t len)
{
	yyjson_doc *doc;
	yyjson_val *top;
	const char *time;
	enum log_stream stream;
	int64_t at;
	int r = 0;

	if (rd->skip > 0) {
		rd->skip--;
		return 0;
	}
	doc = yyjson_read(line, len, 0);
	top = yyjson_doc_get_root(doc);
	time = spec_str(top, "time");
	stream = strcmp(spec_str(top, "stream"), "stderr") == 0 ? LOG_STDERR : LOG_STDOUT;
	at = parse_time(time);
	if (rd->until_ns && at > rd->until_ns)
		r = 1;
	else if (doc && rd->streams[stream] && at >= rd->since_ns)
		r = put_record(rd, stream, spec_str(top, "log"),
			yyjson_get_len(yyjson_obj_get(top, "log")), time,
			yyjson_obj_get(top, "attrs"));
	yyjson_doc_free(doc);
	return r;
}

/* Read whole lines from @fd to its end as it is now. @rest: a line that is not whole yet */
static int read_lines(struct reader *rd, int fd, struct buf *rest)
{
	for (;;) {
		char *to = buf_reserve(rest, API_IO_BYTES);
		ssize_t n = to ? read(fd, to, API_IO_BYTES) : -1;
		size_t start = 0;
		char *end;

		if (n <= 0)
			return n == 0 ? 0 : to ? -errno : -ENOMEM;
		rest->len += (size_t)n;
		rest->v[rest->len] = '\0';
		while ((end = memchr(rest->v + start, '\n', rest->len - start))) {
			size_t len = (size_t)(end - rest->v) - start;
			int r = on_line(rd, rest->v + start, len);

			if (r)
				return r;
			start += len + 1;
		}
		buf_consume(rest, start);
		/* No record of ours is as long. */
		if (rest->len > RECORD_BYTES_MAX)
			return -EBADMSG;
	}
}

static int64_t count_lines(int fd)
{
	char buf[8192];
	int64_t lines = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += buf[i] == '\n';
	(void)lseek(fd, 0, SEEK_SET);
	return lines;
}

static int open_generation(struct engine *en, const struct container *one, unsigned i)
{
	char path[4096];

	container_log_path(en, one, i, path, sizeof(path));
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* All generations of the log, the oldest first. @ret_fd: the newest stays open, at its end */
static int read_all(
	struct reader *rd, const struct container *one, int64_t tail, struct buf *rest, int *ret_fd)
{
	struct engine *en = rd->c->engine;
	unsigned files = 0;
	int64_t lines = 0;
	int r = 0;
	int fd;

	while (files < FILES_MAX && (fd = open_generation(en, one, files)) >= 0) {
		if (tail >= 0)
			lines += count_lines(fd);
		close(fd);
		files++;
		/* Older ones have nothing that is asked for. */
		if (tail >= 0 && lines >= tail)
			break;
	}
	rd->skip = tail >= 0 && lines > tail ? lines - tail : 0;
	while (files-- && r == 0) {
		fd = open_generation(en, one, files);
		if (fd < 0)
			continue;
		r = read_lines(rd, fd, rest);
		if (files == 0 && r == 0)
			*ret_fd = fd;
		else
			close(fd);
	}
	return r;
}

/* Whether the log has a new file by now, because it was rotated. */
static bool was_rotated(struct engine *en, const struct container *one, int fd)
{
	struct stat now, then;
	AUTO_CLOSE int current = open_generation(en, one, 0);

	return current >= 0 && fstat(current, &now) == 0 && fstat(fd, &then) == 0 &&
	       now.st_ino != then.st_ino;
}

/* Wait until there is more than @seen bytes of output. Returns false when there will be none. */
static bool wait_more(struct reader *rd, struct stdio *io, uint64_t *seen)
{
	bool more;

	pthread_mutex_lock(&io->lock);
	while (io->written == *seen && !io->ended) {
		struct timespec until = time_in_ms(1000);

		(void)pthread_cond_timedwait(&io->changed, &io->lock, &until);
		if (io->written == *seen && !io->ended) {
			pthread_mutex_unlock(&io->lock);
			if (http_peer_gone(rd->c->conn) ||
				(rd->until_ns && realtime_ns() > rd->until_ns))
				return false;
			pthread_mutex_lock(&io->lock);
		}
	}
	more = io->written != *seen;
	*seen = io->written;
	pthread_mutex_unlock(&io->lock);
	return more;
}

static int follow(struct reader *rd, struct container *one, struct stdio *io, struct buf *rest,
	int fd, uint64_t seen)
{
	int r = 0;

	while (r == 0) {
		bool more = wait_more(rd, io, &seen);

		if (fd < 0)
			fd = open_generation(rd->c->engine, one, 0);
		if (fd >= 0)
			r = read_lines(rd, fd, rest);
		if (r == 0 && fd >= 0 && was_rotated(rd->c->engine, one, fd)) {
			close(fd);
			fd = open_generation(rd->c->engine, one, 0);
			r = fd < 0 ? -errno : read_lines(rd, fd, rest);
		}
		if (!more)
			break;
	}
	fd_close(&fd);
	return r;
}

int api_logs_write(struct call *c, struct container *one)
{
	struct reader rd = {.c = c,
		.raw = true,
		.tty = yyjson_get_bool(yyjson_obj_get(container_config(one), "Tty")),
		.streams = {true, true}};
	AUTO_BUF struct buf rest = {0};
	AUTO_CLOSE int fd = -1;

	return read_all(&rd, one, -1, &rest, &fd);
}

static int read_options(struct call *c, struct reader *rd, int64_t *ret_tail, struct err *e)
{
	const char *tail = query_str(&c->query, "tail");
	const char *const keys[] = {"since", "until"};
	int64_t *const to[] = {&rd->since_ns, &rd->until_ns};

	*ret_tail = -1;
	if (tail && tail[0] && strcmp(tail, "all") != 0) {
		char *end;

		*ret_tail = strtoll(tail, &end, 10);
		if (*end)
			*ret_tail = -1;
	}
	for (size_t i = 0; i < 2; i++) {
		const char *text = query_str(&c->query, keys[i]);
		char *end;

		if (!text || !text[0])
			continue;
		*to[i] = (int64_t)strtoll(text, &end, 10) * 1000000000;
		if (*end == '.')
			*to[i] += (int64_t)(strtod(end, &end) * 1e9);
		if (*end)
			return err_set(
				e, EINVAL, "invalid value for \"%s\": \"%.64s\"", keys[i], text);
	}
	rd->streams[LOG_STDOUT] = query_bool(&c->query, "stdout", false);
	rd->streams[LOG_STDERR] = query_bool(&c->query, "stderr", false);
	rd->timestamps = query_bool(&c->query, "timestamps", false);
	rd->details = query_bool(&c->query, "details", false);
	if (!rd->streams[LOG_STDOUT] && !rd->streams[LOG_STDERR])
		return err_set(e, EINVAL, "Bad parameters: you must choose at least one stream");
	return 0;
}

/* Wait for init's answer. Returns false when the client is gone before. */
static bool wait_for_init(const struct reader *rd, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (poll(&p, 1, 1000) == 0)
		if (http_peer_gone(rd->c->conn))
			return false;
	return true;
}

/* The part of @text that holds its last @lines lines. */
static const char *last_lines(const struct buf *text, int64_t lines)
{
	const char *at = text->v + text->len;

	while (at > text->v && (lines > 0 || at[-1] != '\n'))
		if (*--at == '\n' && at + 1 < text->v + text->len && --lines == 0)
			return at + 1;
	return at;
}

/*
 * What init has of a declared container's output: both streams in one, without times, and no more
 * than its ring holds.
 */
static int declared_logs(
	const struct reader *rd, struct container *one, int64_t tail, bool follow, struct err *e)
{
	const struct initlink *init = &rd->c->engine->init;
	AUTO_BUF struct buf text = {0};
	AUTO_CLOSE int fd = initlink_logs_open(init, e);
	struct init_log_data data = {0};
	int r = fd < 0 ? fd : 0;

	do {
		if (r == 0)
			r = initlink_logs_ask(fd, one->name, data.cursor, false, e);
		if (r == 0)
			r = initlink_logs_read(fd, &data, e);
		if (r == 0)
			r = buf_add(&text, data.data, data.len);
	} while (r == 0 && data.len > 0);
	if (r < 0)
		return r;
	(void)http_stream_begin(rd->c->conn, 200, "application/vnd.docker.multiplexed-stream");
	if (text.len > 0) {
		const char *from = tail < 0 ? text.v : last_lines(&text, tail);

		r = put_record(rd, LOG_STDOUT, from, (size_t)(text.v + text.len - from), "", NULL);
	}
	while (r == 0 && follow) {
		r = initlink_logs_ask(fd, one->name, data.cursor, true, e);
		if (r == 0 && !wait_for_init(rd, fd))
			break;
		if (r == 0)
			r = initlink_logs_read(fd, &data, e);
		if (r == 0)
			r = put_record(rd, LOG_STDOUT, data.data, data.len, "", NULL);
	}
	(void)http_stream_end(rd->c->conn);
	return 0;
}

int api_container_logs(struct call *c, struct err *e)
{
	struct reader rd = {.c = c};
	AUTO_BUF struct buf rest = {0};
	struct container_state state;
	struct container *one;
	struct stdio *io = NULL;
	uint64_t seen = 0;
	int64_t tail;
	int fd = -1;
	int r = read_options(c, &rd, &tail, e);

	if (r == 0)
		r = container_get_any(c->engine, c->params[0], &one, e);
	if (r < 0)
		return r;
	if (!container_keeps_log(one)) {
		container_put(one);
		return err_set(e, ENOTSUP, "configured logging driver does not support reading");
	}
	rd.tty = yyjson_get_bool(yyjson_obj_get(container_config(one), "Tty"));
	if (one->declared) {
		r = declared_logs(&rd, one, tail, query_bool(&c->query, "follow", false), e);
		container_put(one);
		return r;
	}
	state = container_state(c->engine, one);
	/* Before the file is read: what comes meanwhile is seen as more. */
	if (query_bool(&c->query, "follow", false) && container_runs(&state)) {
		io = container_io(c->engine, one);
		if (io) {
			pthread_mutex_lock(&io->lock);
			seen = io->written;
			pthread_mutex_unlock(&io->lock);
		}
	}
	(void)http_stream_begin(c->conn, 200,
		rd.tty || c->minor < 42 ? "application/vnd.docker.raw-stream"
					: "application/vnd.docker.multiplexed-stream");
	r = read_all(&rd, one, tail, &rest, &fd);
	if (r == 0 && io)
		(void)follow(&rd, one, io, &rest, fd, seen);
	else
		fd_close(&fd);
	stdio_unref(io);
	container_put(one);
	(void)http_stream_end(c->conn);
	return 0;
}
