#include "runtime/cli/engine.h"

#include <stdlib.h>
#include <string.h>

/* bytes of an answer that is read whole; of a line of a stream */
#define ANSWER_BYTES_MAX (64 << 20)
#define LINE_BYTES_MAX (16 << 20)

static int read_whole(struct http *h, struct buf *out, struct err *e)
{
	const char *piece;
	ssize_t n;

	while ((n = http_read(h, &piece, e)) > 0) {
		if (out->len + (size_t)n > ANSWER_BYTES_MAX)
			return err_set(e, EFBIG, "the engine's answer is too long");
		if (buf_add(out, piece, (size_t)n) < 0)
			return err_set(e, ENOMEM, "no memory");
	}
	return (int)n;
}

static int errno_of(unsigned status)
{
	return status == 404 ? ENOENT : status == 409 ? EEXIST : EIO;
}

int engine_check(struct http *h, struct err *e)
{
	AUTO_BUF struct buf body = {0};
	AUTO_DOC yyjson_doc *doc = NULL;
	const char *message;
	int r;

	if (h->status < 400)
		return 0;
	r = read_whole(h, &body, e);
	if (r < 0)
		return r;
	doc = yyjson_read(body.v ? body.v : "", body.len, 0);
	message = field_text(yyjson_doc_get_root(doc), "message");
	if (!message[0])
		return err_set(
			e, errno_of(h->status), "Error response from daemon: status %u", h->status);
	return err_set(e, errno_of(h->status), "Error response from daemon: %s", message);
}

int engine_open(struct http *h, const char *method, const char *target, yyjson_mut_doc *body,
	bool upgrade, struct err *e)
{
	size_t len = 0;
	char *text = NULL;
	int r;

	if (body) {
		text = yyjson_mut_write(body, 0, &len);
		if (!text)
			return err_set(e, EINVAL, "a word is no UTF-8");
	}
	r = http_send(h, method, target, text, len, upgrade, e);
	free(text);
	if (r == 0)
		r = http_head(h, e);
	return r < 0 ? r : engine_check(h, e);
}

static int read_answer(struct http *h, yyjson_doc **ret, struct err *e)
{
	AUTO_BUF struct buf answer = {0};
	int r = read_whole(h, &answer, e);

	if (r < 0 || !ret || answer.len == 0)
		return r;
	*ret = yyjson_read(answer.v, answer.len, 0);
	return *ret ? 0 : err_set(e, EPROTO, "the engine's answer is no JSON");
}

int engine_answer(struct http *h, yyjson_doc **ret, struct err *e)
{
	*ret = NULL;
	return read_answer(h, ret, e);
}

int engine_ask(const char *method, const char *target, yyjson_mut_doc *body, yyjson_doc **ret,
	struct err *e)
{
	AUTO_HTTP struct http h = HTTP_NONE;
	int r = engine_open(&h, method, target, body, false, e);

	if (ret)
		*ret = NULL;
	if (r == 0)
		r = read_answer(&h, ret, e);
	return r < 0 ? r : (int)h.status;
}

yyjson_doc *engine_get(const char *target, struct err *e)
{
	yyjson_doc *doc = NULL;
	int r = engine_ask("GET", target, NULL, &doc, e);

	if (r >= 0 && !doc)
		(void)err_set(e, EPROTO, "the engine's answer is empty");
	return doc;
}

int engine_target(struct buf *url, const char *before, const char *id, const char *behind)
{
	int r = buf_add_str(url, before);

	if (r == 0)
		r = url_add(url, id);
	return r < 0 ? r : buf_add_str(url, behind);
}

/* Hand on the complete lines of @in and drop them. */
static int hand_on(struct buf *in, int (*line)(void *arg, yyjson_val *val, struct err *e),
	void *arg, struct err *e)
{
	size_t done = 0;
	int r = 0;

	while (r >= 0 && done < in->len) {
		const char *at = in->v + done;
		const char *end = memchr(at, '\n', in->len - done);
		AUTO_DOC yyjson_doc *doc = NULL;

		if (!end)
			break;
		done += (size_t)(end + 1 - at);
		if (end == at || (end == at + 1 && *at == '\r'))
			continue;
		doc = yyjson_read(at, (size_t)(end - at), 0);
		r = doc ? line(arg, yyjson_doc_get_root(doc), e)
			: err_set(e, EPROTO, "the engine's answer is no JSON");
	}
	buf_consume(in, done);
	return r;
}

int engine_lines(struct http *h, int (*line)(void *arg, yyjson_val *val, struct err *e), void *arg,
	struct err *e)
{
	AUTO_BUF struct buf in = {0};
	const char *piece;
	ssize_t n;
	int r;

	while ((n = http_read(h, &piece, e)) > 0) {
		if (in.len + (size_t)n > LINE_BYTES_MAX)
			return err_set(e, EFBIG, "a line of the engine's answer is too long");
		if (buf_add(&in, piece, (size_t)n) < 0)
			return err_set(e, ENOMEM, "no memory");
		r = hand_on(&in, line, arg, e);
		if (r < 0)
			return r;
	}
	if (n < 0)
		return (int)n;
	if (in.len == 0)
		return 0;
	if (buf_add(&in, "\n", 1) < 0)
		return err_set(e, ENOMEM, "no memory");
	return hand_on(&in, line, arg, e);
}

const char *field_text(yyjson_val *obj, const char *key)
{
	const char *text = yyjson_get_str(yyjson_obj_get(obj, key));

	return text ? text : "";
}

int64_t field_int(yyjson_val *obj, const char *key)
{
	return yyjson_get_sint(yyjson_obj_get(obj, key));
}

bool field_bool(yyjson_val *obj, const char *key)
{
	return yyjson_get_bool(yyjson_obj_get(obj, key));
}
