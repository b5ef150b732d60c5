/* Registries: pull, push, login, and what they say of an image. */
#include "runtime/api/routes.h"

#include "runtime/engine/pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* columns of the bar in "progress", and of each number beside it; Docker's */
#define BAR_COLUMNS 50

/* A stream of progress, begun with its first line: before that an error has a status of its own. */
struct telling {
	struct call *call;
	bool begun;
};

static void tell(struct telling *t, yyjson_mut_doc *doc)
{
	if (!t->begun)
		(void)http_stream_begin(t->call->conn, 200, "application/json");
	t->begun = true;
	(void)call_stream_json(t->call, doc);
}

static void tell_message(void *arg, const char *id, const char *text)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);

	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_strcpy(doc, top, "status", text);
	if (id)
		yyjson_mut_obj_add_strcpy(doc, top, "id", id);
	tell(arg, doc);
}

/* "12.34MB": four digits that count, a thousand to a kB */
static void print_size(double bytes, char *buf, size_t size)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	size_t i = 0;

	for (; bytes >= 1000 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		bytes /= 1000;
	(void)snprintf(buf, size, "%.4g%s", bytes, units[i]);
}

/* "[=====>    ]  12.34MB/56.78MB" */
static void print_bar(uint64_t current, uint64_t total, char *buf, size_t size)
{
	static const char full[] = "==================================================";
	uint64_t part = total ? current * BAR_COLUMNS / total : 0;
	int n = part > BAR_COLUMNS ? BAR_COLUMNS : (int)part;
	char now[32], all[32];

	print_size((double)current, now, sizeof(now));
	print_size((double)total, all, sizeof(all));
	if (current > total)
		(void)snprintf(buf, size, "[%.*s>%*s] %8s", n, full, BAR_COLUMNS - n, "", now);
	else
		(void)snprintf(
			buf, size, "[%.*s>%*s] %8s/%s", n, full, BAR_COLUMNS - n, "", now, all);
}

static void tell_update(
	void *arg, const char *id, const char *action, uint64_t current, uint64_t total)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *detail = yyjson_mut_obj(doc);
	char bar[160];

	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, "status", action);
	yyjson_mut_obj_add_val(doc, top, "progressDetail", detail);
	if (total) {
		yyjson_mut_obj_add_uint(doc, detail, "current", current);
		yyjson_mut_obj_add_uint(doc, detail, "total", total);
		print_bar(current, total, bar, sizeof(bar));
		yyjson_mut_obj_add_str(doc, top, "progress", bar);
	}
	yyjson_mut_obj_add_strcpy(doc, top, "id", id);
	tell(arg, doc);
}

static void tell_pushed(void *arg, const char *tag, const char *digest, uint64_t size)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *aux = yyjson_mut_obj(doc);

	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_val(doc, top, "progressDetail", yyjson_mut_obj(doc));
	yyjson_mut_obj_add_str(doc, aux, "Tag", tag);
	yyjson_mut_obj_add_str(doc, aux, "Digest", digest);
	yyjson_mut_obj_add_uint(doc, aux, "Size", size);
	yyjson_mut_obj_add_val(doc, top, "aux", aux);
	tell(arg, doc);
}

static bool is_gone(void *arg)
{
	const struct telling *t = arg;

	return http_peer_gone(t->call->conn);
}

static struct progress progress_to(struct telling *t)
{
	return (struct progress){tell_message, tell_update, tell_pushed, is_gone, t};
}

/* End the stream: with the error, if there was one after it had begun. */
static int end_telling(struct telling *t, int r, const struct err *e)
{
	yyjson_mut_doc *doc;
	yyjson_mut_val *top, *detail;

	if (!t->begun && r < 0)
		return r;
	if (r < 0) {
		doc = yyjson_mut_doc_new(NULL);
		top = yyjson_mut_obj(doc);
		detail = yyjson_mut_obj(doc);
		yyjson_mut_doc_set_root(doc, top);
		yyjson_mut_obj_add_str(doc, detail, "message", e->msg);
		yyjson_mut_obj_add_val(doc, top, "errorDetail", detail);
		yyjson_mut_obj_add_str(doc, top, "error", e->msg);
		tell(t, doc);
	}
	if (!t->begun)
		(void)http_stream_begin(t->call->conn, 200, "application/json");
	(void)http_stream_end(t->call->conn);
	return 0;
}

/* What the client says of itself. As with Docker, a header that cannot be read counts as none. */
static const struct credentials *read_credentials(struct call *c, struct credentials *creds)
{
	const char *header = http_header(c->conn, "X-Registry-Auth");
	struct err ignored = {0};

	*creds = (struct credentials){0};
	if (!header || !header[0] || credentials_decode(creds, header, &ignored) < 0)
		return NULL;
	return creds;
}

/* A refusal for want of credentials has no status in call_status: to Docker it is a plain failure
 * of pull and push, and 401 of what is about credentials. */
static int answer_denied(struct call *c, const struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	struct err again = {0};

	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, "message", e->msg);
	return call_reply(c, 401, doc, &again);
}

static int read_reference(struct call *c, struct reference *ref, struct err *e)
{
	const char *image = query_str(&c->query, "fromImage");
	const char *tag = query_str(&c->query, "tag");
	char name[REFERENCE_BYTES_MAX];
	int n = snprintf(name, sizeof(name), "%s%s%s", image,
		tag && tag[0] ? strchr(tag, ':') ? "@" : ":" : "", tag ? tag : "");

	if (n >= (int)sizeof(name))
		return err_set(e, EINVAL, "invalid reference format");
	n = reference_parse(name, ref, e);
	if (n < 0)
		return n;
	if (!ref->tag[0] && !ref->digest[0])
		return err_set(e, ENOTSUP, "pulling all tags of %s is not served: name one", image);
	return 0;
}

int api_image_pull(struct call *c, struct err *e)
{
	const char *wanted = query_str(&c->query, "platform");
	struct platform platform = platform_native();
	struct telling t = {.call = c};
	const struct progress progress = progress_to(&t);
	struct credentials creds;
	struct reference ref;
	int r;

	if (!query_str(&c->query, "fromImage"))
		return err_set(e, EINVAL, "fromImage: a name is missing");
	r = read_reference(c, &ref, e);
	if (r < 0)
		return r;
	if (wanted && wanted[0] && platform_parse(wanted, &platform) < 0)
		return err_set(e, EINVAL,
			"\"%.64s\": unknown operating system or architecture: invalid argument",
			wanted);
	r = image_pull(c->engine, &ref, &platform, read_credentials(c, &creds), &progress, e);
	credentials_free(&creds);
	return end_telling(&t, r, e);
}

int api_image_push(struct call *c, struct err *e)
{
	const char *tag = query_str(&c->query, "tag");
	struct telling t = {.call = c};
	const struct progress progress = progress_to(&t);
	char name[REFERENCE_BYTES_MAX];
	struct credentials creds;
	struct reference ref;
	int r;

	(void)snprintf(name, sizeof(name), "%s%s%s", c->params[0], tag && tag[0] ? ":" : "",
		tag ? tag : "");
	r = reference_parse(name, &ref, e);
	if (r < 0)
		return r;
	if (ref.digest[0])
		return err_set(e, EINVAL, "cannot push a digest reference");
	r = image_push(c->engine, &ref, read_credentials(c, &creds), &progress, e);
	credentials_free(&creds);
	return end_telling(&t, r, e);
}

/* "https://index.docker.io/v1/" and "registry:5000/" → the domain */
static void server_domain(const char *server, char *buf, size_t size)
{
	const char *host = strstr(server, "://");

	host = host ? host + 3 : server;
	(void)snprintf(buf, size, "%.*s", (int)strcspn(host, "/"), host);
	if (!buf[0] || strcmp(buf, "index.docker.io") == 0 ||
		strcmp(buf, "registry-1.docker.io") == 0)
		(void)snprintf(buf, size, "docker.io");
}

static int login(struct call *c, const struct credentials *creds, char **ret_token, struct err *e)
{
	char domain[256];
	int r = err_set(e, EIO, "no endpoint");

	server_domain(creds->server, domain, sizeof(domain));
	if (!reference_is_domain(domain))
		return err_set(e, EINVAL, "invalid serveraddress: \"%.200s\" is no registry",
			creds->server);
	for (unsigned i = 0;; i++) {
		struct registry reg;
		struct endpoint ep;
		struct err last = {0};
		int got = endpoint_get(&c->engine->registries, domain, false, i, &ep, &last);

		if (got <= 0) {
			if (got < 0)
				*e = last;
			return got < 0 ? got : r;
		}
		r = registry_open(&reg, &ep, "", "", creds, NULL, &last);
		*e = last;
		if (r < 0)
			continue;
		r = registry_login(&reg, ret_token, e);
		registry_close(&reg);
		return r;
	}
}

int api_auth(struct call *c, struct err *e)
{
	AUTO_BUF struct buf body = {0};
	struct credentials creds;
	yyjson_mut_doc *doc;
	yyjson_mut_val *top;
	char *token = NULL;
	int r = http_read_whole_body(c->conn, API_JSON_BYTES_MAX, &body, e);

	if (r == 0)
		r = credentials_parse(&creds, body.v ? body.v : "", body.len, e);
	if (r < 0)
		return r;
	r = login(c, &creds, &token, e);
	credentials_free(&creds);
	if (r == -EACCES)
		return answer_denied(c, e);
	if (r < 0)
		return r;
	doc = yyjson_mut_doc_new(NULL);
	top = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_strcpy(doc, top, "IdentityToken", token);
	yyjson_mut_obj_add_str(doc, top, "Status", "Login Succeeded");
	free(token);
	return call_reply(c, 200, doc, e);
}

static void add_platform(yyjson_mut_doc *doc, yyjson_mut_val *arr, yyjson_val *platform)
{
	if (yyjson_is_obj(platform))
		(void)yyjson_mut_arr_append(arr, yyjson_val_mut_copy(doc, platform));
}

/* The platforms of an index, or none that can be told of a manifest alone. */
static yyjson_mut_val *platforms_of(yyjson_mut_doc *doc, const struct registry_manifest *m)
{
	yyjson_doc *text = yyjson_read(m->text.v ? m->text.v : "", m->text.len, 0);
	yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(text), "manifests");
	yyjson_mut_val *arr = yyjson_mut_arr(doc);
	yyjson_val *one;
	size_t i, n;

	if (yyjson_is_arr(list)) {
		yyjson_arr_foreach (list, i, n, one) {
			add_platform(doc, arr, yyjson_obj_get(one, "platform"));
		}
	}
	yyjson_doc_free(text);
	return arr;
}

int api_distribution(struct call *c, struct err *e)
{
	struct registry_manifest m = {0};
	struct credentials creds;
	struct reference ref;
	yyjson_mut_doc *doc;
	yyjson_mut_val *top, *descriptor;
	int r = reference_parse(c->params[0], &ref, e);

	if (r < 0)
		return r;
	r = image_lookup(c->engine, &ref, read_credentials(c, &creds), &m, e);
	credentials_free(&creds);
	if (r == -EACCES)
		return answer_denied(c, e);
	if (r < 0)
		return r;
	doc = yyjson_mut_doc_new(NULL);
	top = yyjson_mut_obj(doc);
	descriptor = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, descriptor, "mediaType", m.media_type);
	yyjson_mut_obj_add_str(doc, descriptor, "digest", m.digest.text);
	yyjson_mut_obj_add_uint(doc, descriptor, "size", m.text.len);
	yyjson_mut_obj_add_val(doc, top, "Descriptor", descriptor);
	yyjson_mut_obj_add_val(doc, top, "Platforms", platforms_of(doc, &m));
	r = call_reply(c, 200, doc, e);
	buf_free(&m.text);
	return r;
}
