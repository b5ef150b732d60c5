#include "runtime/registry/token.h"

#include "lib/util/json.h"

#include <curl/curl.h>
#include <mbedtls/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Append "&KEY=VALUE" ("?…" first in a URL, nothing before the first of a form). */
static int add_param(struct buf *b, const char *before, const char *key, const char *value)
{
	char *escaped;
	int r;

	if (!value[0])
		return 0;
	escaped = curl_easy_escape(NULL, value, 0);
	if (!escaped)
		return -ENOMEM;
	r = buf_printf(b, "%s%s=%s", before, key, escaped);
	curl_free(escaped);
	return r;
}

char *token_basic(const struct credentials *c)
{
	AUTO_BUF struct buf plain = {0};
	size_t room, n = 0;
	char *text;

	if (buf_printf(&plain, "%s:%s", c->username, c->password) < 0)
		return NULL;
	room = plain.len * 4 / 3 + 16;
	text = malloc(room);
	if (text) {
		memcpy(text, "Basic ", 6);
		(void)mbedtls_base64_encode((unsigned char *)text + 6, room - 6, &n,
			(const unsigned char *)plain.v, plain.len);
	}
	explicit_bzero(plain.v, plain.len);
	return text;
}

/* Which rights are asked for. */
static int add_scopes(const struct registry *r, const char *first, bool form, struct buf *to)
{
	char own[320] = "";
	char both[700];
	char mount[320] = "";
	int n;

	if (r->path[0])
		(void)snprintf(own, sizeof(own), "repository:%s:%s", r->path, r->actions);
	if (r->mount[0])
		(void)snprintf(mount, sizeof(mount), "repository:%s:pull", r->mount);
	if (form) {
		(void)snprintf(both, sizeof(both), "%s%s%s", own, mount[0] ? " " : "", mount);
		return add_param(to, first, "scope", both);
	}
	n = add_param(to, first, "scope", own);
	return n < 0 ? n : add_param(to, "&", "scope", mount);
}

static int make_form(const struct registry *r, struct buf *form)
{
	int n = add_param(form, "", "grant_type", "refresh_token");

	if (n == 0)
		n = add_param(form, "&", "service", r->challenge.service);
	if (n == 0)
		n = add_param(form, "&", "client_id", "docker");
	if (n == 0)
		n = add_scopes(r, "&", true, form);
	return n < 0 ? n : add_param(form, "&", "refresh_token", r->creds->identity_token);
}

static int make_url(const struct registry *r, bool login, struct buf *url)
{
	const char *realm = r->challenge.realm;
	int n = buf_printf(url, "%s%sclient_id=docker", realm, strchr(realm, '?') ? "&" : "?");

	if (n == 0)
		n = add_param(url, "&", "service", r->challenge.service);
	if (n == 0 && login)
		n = add_param(url, "&", "offline_token", "true");
	if (n == 0 && r->creds)
		n = add_param(url, "&", "account", r->creds->username);
	return n < 0 ? n : add_scopes(r, "&", false, url);
}

static int read_grant(const struct transfer_answer *a, struct token_grant *ret, struct err *e)
{
	yyjson_doc *doc = yyjson_read(a->body.v ? a->body.v : "", a->body.len, 0);
	yyjson_val *top = yyjson_doc_get_root(doc);
	const char *token = yyjson_get_str(yyjson_obj_get(top, "token"));
	const char *refresh = yyjson_get_str(yyjson_obj_get(top, "refresh_token"));
	yyjson_val *expires = yyjson_obj_get(top, "expires_in");
	uint64_t lasts = yyjson_is_uint(expires) ? yyjson_get_uint(expires) : 0;
	int r = 0;

	if (!token || !token[0])
		token = yyjson_get_str(yyjson_obj_get(top, "access_token"));
	if (!token || !token[0] || strlen(token) > REGISTRY_TOKEN_BYTES_MAX ||
		strpbrk(token, "\r\n"))
		r = err_set(e, EIO, "authorization server did not include a token in the response");
	if (r == 0) {
		*ret = (struct token_grant){strdup(token), strdup(refresh ? refresh : ""),
			lasts > REGISTRY_TOKEN_S && lasts < 86400 ? (unsigned)lasts
								  : REGISTRY_TOKEN_S};
		if (!ret->token || !ret->refresh)
			r = err_set(e, ENOMEM, "out of memory");
	}
	yyjson_doc_free(doc);
	return r;
}

int token_fetch(struct registry *r, bool login, struct token_grant *ret, struct err *e)
{
	static const char *const form_headers[] = {
		"Content-Type: application/x-www-form-urlencoded", NULL};
	bool refresh = r->creds && r->creds->identity_token[0];
	struct transfer_answer a = {0};
	AUTO_BUF struct buf url = {0};
	AUTO_BUF struct buf form = {0};
	struct transfer_request q = {.method = refresh ? "POST" : "GET"};
	char *basic = NULL;
	int n = refresh ? make_form(r, &form) : make_url(r, login, &url);

	*ret = (struct token_grant){0};
	if (n == 0 && !refresh && r->creds && r->creds->username[0]) {
		basic = token_basic(r->creds);
		n = basic ? 0 : -ENOMEM;
	}
	if (n < 0)
		return err_set(e, -n, "out of memory");
	q.url = refresh ? r->challenge.realm : url.v;
	q.authorization = basic;
	if (refresh) {
		q.headers = form_headers;
		q.body = form.v;
		q.body_len = form.len;
	}
	n = transfer_perform(&r->tokens, &q, &a, e);
	if (n == 0)
		n = a.status / 100 == 2 ? read_grant(&a, ret, e) : registry_refusal(&a, NULL, e);
	if (n < 0 && a.status / 100 == 4)
		/* Docker tells bad credentials of a token server like any refusal. */
		n = a.status == 401 || a.status == 403 ? -EACCES : n;
	if (n == -EACCES)
		e->code = EACCES;
	transfer_answer_free(&a);
	if (basic)
		explicit_bzero(basic, strlen(basic));
	free(basic);
	return n;
}
