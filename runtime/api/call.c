#include "runtime/api/call.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/engine/engine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int call_status(int errnum)
{
	switch (errnum) {
	case ENOENT:
		return 404;
	case EEXIST:
	case EBUSY:
		return 409;
	case EINVAL:
	case ERANGE:
	case EBADMSG:
		return 400;
	case ETIME:
		return 408;
	case EFBIG:
		return 413;
	case EPERM:
		return 403;
	case ENOTSUP:
		return 501;
	case EALREADY:
		return 304;
	case ECONNREFUSED:
		return 503;
	default:
		return 500;
	}
}

/* Print @doc with a newline behind it, as Docker does. Returns a text to be freed, or NULL. */
static char *print(yyjson_mut_doc *doc, size_t *ret_len)
{
	char *text = doc ? yyjson_mut_write(doc, YYJSON_WRITE_NEWLINE_AT_END, ret_len) : NULL;

	yyjson_mut_doc_free(doc);
	return text;
}

int call_reply(struct call *c, int status, yyjson_mut_doc *doc, struct err *e)
{
	size_t len = 0;
	char *text = print(doc, &len);

	if (!text)
		return err_set(e, ENOMEM, "out of memory");
	(void)http_send(c->conn, status, "application/json", text, len);
	free(text);
	return 0;
}

int call_reply_empty(struct call *c, int status)
{
	(void)http_send(c->conn, status, NULL, NULL, 0);
	return 0;
}

int call_reply_error(struct call *c, const struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	struct err again = {0};
	int status = call_status(e->code);

	if (status == 304)
		return call_reply_empty(c, status);
	if (doc) {
		yyjson_mut_val *top = yyjson_mut_obj(doc);

		yyjson_mut_doc_set_root(doc, top);
		yyjson_mut_obj_add_str(doc, top, "message", e->msg);
	}
	if (call_reply(c, status, doc, &again) < 0)
		c->conn->close = true;
	return 0;
}

int call_read_json(struct call *c, bool optional, yyjson_doc **ret_doc, struct err *e)
{
	AUTO_BUF struct buf body = {0};
	yyjson_read_err why;
	int r = http_read_whole_body(c->conn, API_JSON_BYTES_MAX, &body, e);

	*ret_doc = NULL;
	if (r < 0)
		return r;
	if (body.len == 0)
		return optional ? 0
				: err_set(e, EINVAL,
					  "invalid JSON: got EOF while reading request body");
	*ret_doc = yyjson_read_opts(body.v, body.len, YYJSON_READ_NOFLAG, NULL, &why);
	if (!*ret_doc)
		return err_set(e, EINVAL, "invalid JSON: byte %zu: %s", why.pos, why.msg);
	if (!yyjson_is_obj(yyjson_doc_get_root(*ret_doc))) {
		yyjson_doc_free(*ret_doc);
		*ret_doc = NULL;
		return err_set(e, EINVAL, "invalid JSON: expected an object");
	}
	return 0;
}

int call_stream_json(struct call *c, yyjson_mut_doc *doc)
{
	size_t len = 0;
	char *text = print(doc, &len);
	int r;

	if (!text)
		return -ENOMEM;
	r = http_stream_write(c->conn, text, len);
	free(text);
	return r;
}

int call_spool_body(struct call *c, struct err *e)
{
	AUTO_CLOSE int fd =
		openat(c->engine->images.spool, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char *buf = malloc(API_IO_BYTES);
	ssize_t n = -1;
	int r = 0;

	if (fd < 0 || !buf)
		r = err_set(e, fd < 0 ? errno : ENOMEM, "keep the archive: %s",
			strerror(fd < 0 ? errno : ENOMEM));
	while (r == 0 && (n = http_read_body(c->conn, buf, API_IO_BYTES, e)) > 0) {
		r = io_write_all(fd, buf, (size_t)n);
		if (r < 0)
			err_set(e, -r, "keep the archive: %s", strerror(-r));
	}
	free(buf);
	if (r == 0 && n < 0)
		r = (int)n;
	return r < 0 ? r : TAKE_FD(fd);
}
