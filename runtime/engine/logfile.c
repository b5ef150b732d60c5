#include "runtime/engine/logfile.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/util/utf8.h"
#include "runtime/engine/events.h"
#include "runtime/engine/limits.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const char *const stream_names[LOG_STREAMS] = {"stdout", "stderr"};

void time_print(int64_t ns, char *buf, size_t size)
{
	time_t secs = (time_t)(ns / 1000000000);
	long nanos = (long)(ns % 1000000000);
	struct tm tm;
	size_t len;

	gmtime_r(&secs, &tm);
	len = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	if (nanos) {
		len += (size_t)snprintf(buf + len, size - len, ".%09ld", nanos);
		while (buf[len - 1] == '0')
			len--;
	}
	(void)snprintf(buf + len, size - len, "Z");
}

static int escape_byte(struct buf *b, unsigned char c)
{
	switch (c) {
	case '"':
		return buf_add_str(b, "\\\"");
	case '\\':
		return buf_add_str(b, "\\\\");
	case '\n':
		return buf_add_str(b, "\\n");
	case '\r':
		return buf_add_str(b, "\\r");
	case '\t':
		return buf_add_str(b, "\\t");
	default:
		return buf_printf(b, "\\u%04x", c);
	}
}

int json_escape(struct buf *b, const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;
	size_t start = 0;
	size_t i = 0;
	int r = 0;

	while (i < len && r == 0) {
		unsigned char c = s[i];
		size_t n = 1;

		if (c >= 0x80) {
			n = utf8_len(s + i, len - i);
			/* U+2028 and U+2029 end lines in JavaScript. */
			if (n && !(n == 3 && c == 0xe2 && s[i + 1] == 0x80 &&
					 (s[i + 2] & 0xfe) == 0xa8)) {
				i += n;
				continue;
			}
		} else if (c >= 0x20 && !strchr("\"\\<>&", c)) {
			i++;
			continue;
		}
		r = buf_add(b, s + start, i - start);
		if (r == 0 && c < 0x80)
			r = escape_byte(b, c);
		else if (r == 0)
			r = n ? buf_printf(b, "\\u202%d", s[i + 2] & 0xf)
			      : buf_add_str(b, "\\ufffd");
		i += n ? n : 1;
		start = i;
	}
	return r < 0 ? r : buf_add(b, s + start, len - start);
}

static int add_record(const struct logfile *l, struct buf *out, enum log_stream stream,
	const char *text, size_t len, const char *time)
{
	int r = buf_add_str(out, "{\"log\":\"");

	if (r == 0)
		r = json_escape(out, text, len);
	if (r == 0)
		r = buf_printf(out, "\",\"stream\":\"%s\"", stream_names[stream]);
	if (r == 0 && l->attrs)
		r = buf_printf(out, ",\"attrs\":%s", l->attrs);
	return r < 0 ? r : buf_printf(out, ",\"time\":\"%s\"}\n", time);
}

int logfile_open(struct logfile *l, const char *path, uint64_t size_max, unsigned files,
	const char *attrs, struct err *e)
{
	struct stat st;

	*l = (struct logfile){.size_max = size_max, .files = files ? files : 1};
	l->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (l->fd < 0 || fstat(l->fd, &st) < 0)
		return err_set(e, errno, "open the log %s: %s", path, strerror(errno));
	l->size = (uint64_t)st.st_size;
	l->path = strdup(path);
	l->attrs = attrs && attrs[0] ? strdup(attrs) : NULL;
	return l->path && (l->attrs || !attrs || !attrs[0]) ? 0
							    : err_set(e, ENOMEM, "out of memory");
}

void logfile_close(struct logfile *l)
{
	fd_close(&l->fd);
	free(l->path);
	free(l->attrs);
	for (int i = 0; i < LOG_STREAMS; i++)
		buf_free(&l->partial[i]);
	l->path = NULL;
	l->attrs = NULL;
}

/* log → log.1 → log.2 …; the last one goes. */
static int rotate(struct logfile *l)
{
	char from[4096];
	char to[4096];
	int fd;

	for (unsigned i = l->files - 1; i > 0; i--) {
		(void)snprintf(to, sizeof(to), "%s.%u", l->path, i);
		if (i > 1)
			(void)snprintf(from, sizeof(from), "%s.%u", l->path, i - 1);
		else
			(void)snprintf(from, sizeof(from), "%s", l->path);
		if (rename(from, to) < 0 && errno != ENOENT)
			return -errno;
	}
	fd = open(l->path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	close(l->fd);
	l->fd = fd;
	l->size = 0;
	return 0;
}

static int write_records(struct logfile *l, const char *records, size_t len)
{
	int r = io_write_all(l->fd, records, len);

	/* A full disk may have taken a part of a line: readers must not see it. */
	if (r < 0 && ftruncate(l->fd, (off_t)l->size) < 0)
		return r;
	if (r == 0)
		l->size += len;
	return r;
}

/* Bytes of the whole records at the start of @records that fit into @room; at least one's. */
static size_t records_that_fit(const char *records, size_t len, uint64_t room)
{
	const char *end;

	if (room >= len)
		return len;
	end = memrchr(records, '\n', (size_t)room);
	if (!end)
		end = memchr(records, '\n', len);
	return end ? (size_t)(end - records) + 1 : len;
}

static int write_out(struct logfile *l, const struct buf *out)
{
	size_t done = 0;
	int r = 0;

	while (done < out->len && r == 0) {
		const char *records = out->v + done;
		size_t len = out->len - done;

		if (l->size_max) {
			len = records_that_fit(
				records, len, l->size_max > l->size ? l->size_max - l->size : 0);
			if (l->size && l->size + len > l->size_max) {
				r = rotate(l);
				continue;
			}
		}
		r = write_records(l, records, len);
		done += len;
	}
	return r;
}

/* Put the lines of @bytes into @out; a part of a line goes into the stream's partial buffer. */
static int split_lines(struct logfile *l, struct buf *out, enum log_stream stream,
	const char *bytes, size_t len, const char *time)
{
	struct buf *partial = &l->partial[stream];
	int r = 0;

	while (len && r == 0) {
		const char *end = memchr(bytes, '\n', len);
		size_t room = LOG_LINE_BYTES_MAX - partial->len;
		size_t part = end ? (size_t)(end - bytes) + 1 : len;
		bool whole = end != NULL;

		if (part > room) {
			part = room;
			whole = false;
		}
		if (whole && partial->len == 0) {
			r = add_record(l, out, stream, bytes, part, time);
		} else {
			r = buf_add(partial, bytes, part);
			if (r == 0 && (whole || partial->len == LOG_LINE_BYTES_MAX)) {
				r = add_record(l, out, stream, partial->v, partial->len, time);
				buf_consume(partial, partial->len);
			}
		}
		bytes += part;
		len -= part;
	}
	return r;
}

int logfile_add(struct logfile *l, enum log_stream stream, const char *bytes, size_t len)
{
	AUTO_BUF struct buf out = {0};
	char time[40];
	int r;

	if (l->fd < 0)
		return 0;
	time_print(realtime_ns(), time, sizeof(time));
	r = split_lines(l, &out, stream, bytes, len, time);
	return r < 0 ? r : write_out(l, &out);
}

int logfile_flush(struct logfile *l, enum log_stream stream)
{
	struct buf *partial = &l->partial[stream];
	AUTO_BUF struct buf out = {0};
	char time[40];
	int r;

	if (l->fd < 0 || partial->len == 0)
		return 0;
	time_print(realtime_ns(), time, sizeof(time));
	r = add_record(l, &out, stream, partial->v, partial->len, time);
	buf_consume(partial, partial->len);
	return r < 0 ? r : write_out(l, &out);
}
