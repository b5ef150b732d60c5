/* The files of a container: `cp` both ways, `diff`, `export`. */
#include "runtime/api/routes.h"

#include "lib/base/fd.h"
#include "runtime/engine/changes.h"
#include "runtime/engine/files.h"
#include "runtime/engine/logfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Go's os.FileMode: the permissions below, these above. */
static const struct {
	mode_t mode, mask;
	uint32_t go;
} go_modes[] = {
	{S_IFDIR, S_IFMT, 1u << 31},
	{S_IFLNK, S_IFMT, 1u << 27},
	{S_IFBLK, S_IFMT, 1u << 26},
	{S_IFCHR, S_IFMT, 1u << 26 | 1u << 21},
	{S_IFIFO, S_IFMT, 1u << 25},
	{S_IFSOCK, S_IFMT, 1u << 24},
	{S_ISUID, S_ISUID, 1u << 23},
	{S_ISGID, S_ISGID, 1u << 22},
	{S_ISVTX, S_ISVTX, 1u << 20},
};

static uint32_t go_mode(mode_t mode)
{
	uint32_t go = mode & 0777;

	for (size_t i = 0; i < sizeof(go_modes) / sizeof(go_modes[0]); i++)
		if ((mode & go_modes[i].mask) == go_modes[i].mode)
			go |= go_modes[i].go;
	return go;
}

/* Base 64 with padding. Source: RFC 4648, section 4. */
static char *base64(const char *bytes, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *out = malloc((len + 2) / 3 * 4 + 1);
	size_t n = 0;

	for (size_t i = 0; out && i < len; i += 3) {
		uint32_t three = (uint32_t)(unsigned char)bytes[i] << 16;

		three |= i + 1 < len ? (uint32_t)(unsigned char)bytes[i + 1] << 8 : 0;
		three |= i + 2 < len ? (uint32_t)(unsigned char)bytes[i + 2] : 0;
		out[n++] = digits[three >> 18];
		out[n++] = digits[three >> 12 & 63];
		out[n++] = i + 1 < len ? digits[three >> 6 & 63] : '=';
		out[n++] = i + 2 < len ? digits[three & 63] : '=';
	}
	if (out)
		out[n] = '\0';
	return out;
}

/* X-Docker-Container-Path-Stat */
static int add_stat(struct call *c, const struct file_found *found, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	char time[40];
	char *json, *text;
	size_t len = 0;
	int r = -ENOMEM;

	time_print((int64_t)found->st.st_mtim.tv_sec * 1000000000 + found->st.st_mtim.tv_nsec, time,
		sizeof(time));
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, "name", found->name);
	yyjson_mut_obj_add_int(doc, top, "size", found->st.st_size);
	yyjson_mut_obj_add_uint(doc, top, "mode", go_mode(found->st.st_mode));
	yyjson_mut_obj_add_str(doc, top, "mtime", time);
	yyjson_mut_obj_add_str(doc, top, "linkTarget", found->target);
	/* A name need not be UTF-8. */
	json = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &len);
	text = json ? base64(json, len) : NULL;
	if (text)
		r = http_add_header(c->conn, "X-Docker-Container-Path-Stat", text);
	free(text);
	free(json);
	yyjson_mut_doc_free(doc);
	return r < 0 ? err_set(e, ENOMEM, "out of memory") : 0;
}

/* The container of the route and its files; close_files when done. */
static int open_files(struct call *c, enum files_view view, struct files *f, struct err *e)
{
	struct container *one;
	int r = container_get(c->engine, c->params[0], &one, e);

	if (r < 0)
		return r;
	r = files_open(c->engine, one, view, f, e);
	if (r < 0)
		container_put(one);
	return r;
}

static void close_files(struct files *f)
{
	struct container *one = f->c;

	files_close(f);
	container_put(one);
}

static int asked_path(struct call *c, const char **ret, struct err *e)
{
	*ret = query_str(&c->query, "path");
	return *ret && **ret ? 0 : err_set(e, EINVAL, "bad parameter: path cannot be empty");
}

int api_archive_stat(struct call *c, struct err *e)
{
	struct file_found *found;
	struct files f;
	const char *path;
	int r = asked_path(c, &path, e);

	if (r == 0)
		r = open_files(c, FILES_SEEN, &f, e);
	if (r < 0)
		return r;
	found = malloc(sizeof(*found));
	r = found ? files_find(&f, path, found, e) : err_set(e, ENOMEM, "out of memory");
	if (r == 0) {
		r = add_stat(c, found, e);
		fd_close(&found->fd);
	}
	free(found);
	close_files(&f);
	return r < 0 ? r : call_reply_empty(c, 200);
}

static int send_bytes(void *arg, const void *buf, size_t len)
{
	struct call *c = arg;

	return http_stream_write(c->conn, buf, len);
}

/* An answer that breaks off must not look whole. */
static void end_archive(struct call *c, int r)
{
	if (r == 0)
		(void)http_stream_end(c->conn);
	else
		c->conn->close = true;
}

int api_archive_get(struct call *c, struct err *e)
{
	struct tar_writer w = {.write = send_bytes, .arg = c};
	struct file_found *found;
	struct files f;
	const char *path;
	int r = asked_path(c, &path, e);

	if (r == 0)
		r = open_files(c, FILES_SEEN, &f, e);
	if (r < 0)
		return r;
	found = malloc(sizeof(*found));
	r = found ? files_find(&f, path, found, e) : err_set(e, ENOMEM, "out of memory");
	if (r == 0) {
		r = add_stat(c, found, e);
		if (r == 0)
			r = http_stream_begin(c->conn, 200, "application/x-tar");
		if (r == 0)
			r = files_archive(found, &w, e);
		fd_close(&found->fd);
	}
	if (c->conn->answer != HTTP_ANSWER_NONE) {
		container_tell(c->engine, f.c, "archive-path", NULL);
		end_archive(c, r);
		r = 0;
	}
	free(found);
	close_files(&f);
	return r;
}

struct body {
	struct call *c;
	char buf[API_IO_BYTES];
};

static ssize_t next_of_body(void *arg, const void **ret_buf, struct err *e)
{
	struct body *b = arg;

	*ret_buf = b->buf;
	return http_read_body(b->c->conn, b->buf, sizeof(b->buf), e);
}

int api_archive_put(struct call *c, struct err *e)
{
	const struct files_put how = {
		.keep_kind = query_bool(&c->query, "noOverwriteDirNonDir", false),
		.own = query_bool(&c->query, "copyUIDGID", false),
	};
	struct tar_input in = {.next = next_of_body, .packed = 1};
	struct body *b;
	struct files f;
	const char *path;
	int r = asked_path(c, &path, e);

	if (r == 0)
		r = open_files(c, FILES_SEEN, &f, e);
	if (r < 0)
		return r;
	b = malloc(sizeof(*b));
	if (b)
		b->c = c;
	in.arg = b;
	r = b ? files_put(&f, path, &how, &in, e) : err_set(e, ENOMEM, "out of memory");
	free(b);
	if (r == 0)
		container_tell(c->engine, f.c, "extract-to-dir", NULL);
	close_files(&f);
	return r < 0 ? r : call_reply_empty(c, 200);
}

int api_container_export(struct call *c, struct err *e)
{
	struct tar_writer w = {.write = send_bytes, .arg = c};
	struct files f;
	int r = open_files(c, FILES_ROOT, &f, e);

	if (r < 0)
		return r;
	r = http_stream_begin(c->conn, 200, "application/octet-stream");
	if (r == 0)
		r = files_archive_all(&f, &w, e);
	/* before the client has the end of it, so that it finds the event */
	if (r == 0)
		container_tell(c->engine, f.c, "export", NULL);
	end_archive(c, r);
	close_files(&f);
	return 0;
}

int api_container_changes(struct call *c, struct err *e)
{
	struct container *one;
	struct changes changes;
	yyjson_mut_doc *doc;
	yyjson_mut_val *arr;
	int r = container_get(c->engine, c->params[0], &one, e);

	if (r < 0)
		return r;
	r = container_changes(c->engine, one, &changes, e);
	container_put(one);
	if (r < 0)
		return r;
	doc = yyjson_mut_doc_new(NULL);
	arr = yyjson_mut_arr(doc);
	/* Docker says null, and not an empty list, where there are none. */
	yyjson_mut_doc_set_root(doc, changes.n ? arr : yyjson_mut_null(doc));
	for (size_t i = 0; i < changes.n; i++) {
		yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, arr);

		yyjson_mut_obj_add_int(doc, o, "Kind", changes.v[i].kind);
		yyjson_mut_obj_add_strcpy(doc, o, "Path", changes.v[i].path);
	}
	changes_free(&changes);
	return call_reply(c, 200, doc, e);
}
