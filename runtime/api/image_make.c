/* New images: `commit`, `import`. */
#include "runtime/api/routes.h"
#include "runtime/api/shape.h"

#include "lib/base/fd.h"
#include "runtime/engine/commit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* instructions of one request */
#define CHANGES_MAX 512

struct changes_asked {
	char *text; /* all of them, each terminated */
	const char *v[CHANGES_MAX];
	size_t n;
};

/* Each "changes" parameter is one or more lines. */
static int read_changes(struct call *c, struct changes_asked *ret, struct err *e)
{
	AUTO_BUF struct buf all = {0};
	char *line;

	*ret = (struct changes_asked){0};
	for (size_t i = 0; i < c->query.n; i++)
		if (strcmp(c->query.params[i].key, "changes") == 0 &&
			buf_printf(&all, "%s\n", c->query.params[i].value) < 0)
			return err_set(e, ENOMEM, "out of memory");
	ret->text = all.v;
	all = (struct buf){0};
	for (line = ret->text; line && *line;) {
		char *end = strchr(line, '\n');

		*end = '\0';
		line += strspn(line, " \t");
		if (*line && *line != '#') {
			if (ret->n == CHANGES_MAX) {
				free(ret->text);
				return err_set(
					e, EINVAL, "changes: more than %d of them", CHANGES_MAX);
			}
			ret->v[ret->n++] = line;
		}
		line = end + 1;
	}
	return 0;
}

/* "repo" and "tag" as one name; "" when there is none. */
static int read_name(struct call *c, char *buf, size_t size, struct err *e)
{
	const char *repo = query_str(&c->query, "repo");
	const char *tag = query_str(&c->query, "tag");
	char shorter[REFERENCE_BYTES_MAX];

	buf[0] = '\0';
	if (!repo || !repo[0])
		return 0;
	(void)snprintf(buf, size, "%s%s%s", repo, tag && tag[0] ? ":" : "", tag ? tag : "");
	if (reference_shorten(buf, shorter, sizeof(shorter)) < 0)
		return err_set(e, EINVAL, "invalid reference format");
	(void)snprintf(buf, size, "%s", shorter);
	return 0;
}

/* A ContainerConfig with every field in its place. @given: NULL or null: all defaults */
static int whole_config(yyjson_val *given, yyjson_doc **ret, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *shaped = shape_apply(doc, given, &shape_config, "", e);

	if (shaped)
		yyjson_mut_doc_set_root(doc, shaped);
	*ret = shaped ? yyjson_mut_doc_imut_copy(doc, NULL) : NULL;
	yyjson_mut_doc_free(doc);
	if (*ret)
		return 0;
	return e->code ? -e->code : err_set(e, ENOMEM, "out of memory");
}

/* The body, a ContainerConfig, empty or null, as a whole object. */
static int read_config(struct call *c, yyjson_doc **ret, struct err *e)
{
	AUTO_BUF struct buf body = {0};
	yyjson_doc *given = NULL;
	int r = http_read_whole_body(c->conn, API_JSON_BYTES_MAX, &body, e);

	if (r < 0)
		return r;
	if (body.len) {
		given = yyjson_read(body.v, body.len, 0);
		if (!given)
			return err_set(e, EINVAL, "invalid JSON");
	}
	r = whole_config(yyjson_doc_get_root(given), ret, e);
	yyjson_doc_free(given);
	return r;
}

static int reply_id(struct call *c, const char *id, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);

	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_strcpy(doc, top, "Id", id);
	return call_reply(c, 201, doc, e);
}

int api_commit(struct call *c, struct err *e)
{
	const char *ref = query_str(&c->query, "container");
	struct commit how = {
		.comment = query_str(&c->query, "comment"),
		.author = query_str(&c->query, "author"),
		.pause = query_bool(&c->query, "pause", true),
	};
	struct changes_asked *changes = malloc(sizeof(*changes));
	char name[REFERENCE_BYTES_MAX];
	char id[IMAGE_ID_BYTES];
	struct container *one = NULL;
	yyjson_doc *config = NULL;
	int r = changes ? read_changes(c, changes, e) : err_set(e, ENOMEM, "out of memory");

	if (!changes || r < 0) {
		free(changes);
		return r;
	}
	how.instructions = changes->v;
	how.n_instructions = changes->n;
	r = read_name(c, name, sizeof(name), e);
	if (r == 0)
		r = read_config(c, &config, e);
	if (r == 0)
		r = container_get(c->engine, ref ? ref : "", &one, e);
	how.name = name[0] ? name : NULL;
	how.config = yyjson_doc_get_root(config);
	if (r == 0)
		r = container_commit(c->engine, one, &how, id, e);
	if (r == 0 && how.name)
		image_tell(c->engine, "tag", id, how.name);
	if (one)
		container_put(one);
	yyjson_doc_free(config);
	free(changes->text);
	free(changes);
	return r < 0 ? r : reply_id(c, id, e);
}

/* Which platform the new image is for: this machine's, unless another is named. */
static int read_platform(struct call *c, struct platform *ret, struct err *e)
{
	const char *text = query_str(&c->query, "platform");

	*ret = platform_native();
	if (text && text[0] && platform_parse(text, ret) < 0)
		return err_set(e, EINVAL,
			"platform: \"%.64s\" is neither linux/amd64 nor linux/arm64", text);
	return 0;
}

static int import(struct call *c, const struct commit *how, char *ret_id, struct err *e)
{
	struct platform platform;
	int fd;
	int r = read_platform(c, &platform, e);

	if (r < 0)
		return r;
	fd = call_spool_body(c, e);
	return fd < 0 ? fd : image_import(c->engine, fd, &platform, how, ret_id, e);
}

static int api_image_import(struct call *c, struct err *e)
{
	struct changes_asked *changes = malloc(sizeof(*changes));
	struct commit how = {.comment = query_str(&c->query, "message")};
	char name[REFERENCE_BYTES_MAX];
	char id[IMAGE_ID_BYTES];
	yyjson_mut_doc *doc;
	yyjson_mut_val *top;
	yyjson_doc *config = NULL;
	int r = changes ? read_changes(c, changes, e) : err_set(e, ENOMEM, "out of memory");

	if (!changes || r < 0) {
		free(changes);
		return r;
	}
	how.instructions = changes->v;
	how.n_instructions = changes->n;
	if (strcmp(query_str(&c->query, "fromSrc"), "-") != 0)
		r = err_set(e, ENOTSUP, "fromSrc: only \"-\", the request's body, is served");
	if (r == 0)
		r = read_name(c, name, sizeof(name), e);
	if (r == 0)
		r = whole_config(NULL, &config, e);
	if (r == 0) {
		how.name = name[0] ? name : NULL;
		how.config = yyjson_doc_get_root(config);
		r = import(c, &how, id, e);
	}
	yyjson_doc_free(config);
	free(changes->text);
	free(changes);
	if (r < 0)
		return r;
	image_tell(c->engine, "import", id, NULL);
	if (name[0])
		image_tell(c->engine, "tag", id, name);
	(void)http_stream_begin(c->conn, 200, "application/json");
	doc = yyjson_mut_doc_new(NULL);
	top = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_strcpy(doc, top, "status", id);
	(void)call_stream_json(c, doc);
	(void)http_stream_end(c->conn);
	return 0;
}

int api_image_create(struct call *c, struct err *e)
{
	const char *source = query_str(&c->query, "fromSrc");

	if (source && source[0])
		return api_image_import(c, e);
	return api_image_pull(c, e);
}
