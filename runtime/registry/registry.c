#include "runtime/registry/registry.h"

#include "lib/base/time.h"
#include "runtime/registry/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int whole_url(const struct registry *r, const char *url, struct buf *to)
{
	return buf_printf(to, "%s%s", url[0] == '/' ? r->ep.base : "", url);
}

/* See that there is a token. With r->lock. */
static int have_token(struct registry *r, struct err *e)
{
	struct token_grant grant;
	int n;

	if (r->token && time_now_ms() < r->token_ends_ms)
		return 0;
	free(r->token);
	r->token = NULL;
	n = token_fetch(r, false, &grant, e);
	if (n == 0) {
		r->token = strdup(grant.token);
		/* A little early: the request is still to travel. */
		r->token_ends_ms = time_now_ms() + grant.lasts_s * 900ULL;
		n = r->token ? 0 : err_set(e, ENOMEM, "out of memory");
	}
	free(grant.token);
	free(grant.refresh);
	return n;
}

/* What goes into the Authorization header. *@ret is to be freed; NULL for nothing. With r->lock. */
static int authorize(
	struct registry *r, const struct transfer_request *q, char **ret, struct err *e)
{
	const char *token = NULL;
	size_t len;
	int n;

	*ret = NULL;
	switch (r->challenge.scheme) {
	case CHALLENGE_NONE:
		return 0;
	case CHALLENGE_BASIC:
		if (!r->creds || !r->creds->username[0])
			return err_set(e, EACCES, "%s \"%.300s\": no basic auth credentials",
				strcmp(q->method, "HEAD") == 0 ? "Head" : "Get", q->url);
		*ret = token_basic(r->creds);
		return *ret ? 0 : err_set(e, ENOMEM, "out of memory");
	case CHALLENGE_BEARER:
		break;
	}
	if (r->creds && r->creds->registry_token[0]) {
		token = r->creds->registry_token;
	} else {
		n = have_token(r, e);
		if (n < 0)
			return n;
		token = r->token;
	}
	len = strlen(token) + sizeof("Bearer ");
	*ret = malloc(len);
	if (!*ret)
		return err_set(e, ENOMEM, "out of memory");
	(void)snprintf(*ret, len, "Bearer %s", token);
	return 0;
}

/* The registry said 401: whether another attempt with what it asks for makes sense. */
static bool learn(struct registry *r, const struct transfer_answer *a, const char *used)
{
	bool again;

	if (a->challenge.scheme == CHALLENGE_NONE)
		return false;
	pthread_mutex_lock(&r->lock);
	again = a->challenge.scheme == CHALLENGE_BEARER || !used;
	r->challenge = a->challenge;
	/* Another thread may have got a new one meanwhile. */
	if (r->token && used && strcmp(used + strlen("Bearer "), r->token) == 0) {
		free(r->token);
		r->token = NULL;
	}
	pthread_mutex_unlock(&r->lock);
	return again;
}

int registry_request(struct registry *r, struct transfer *t, struct transfer_request *q,
	struct transfer_answer *a, struct err *e)
{
	AUTO_BUF struct buf url = {0};
	const char *path = q->url;
	int n = whole_url(r, path, &url);

	if (n < 0)
		return err_set(e, -n, "out of memory");
	q->url = url.v;
	for (unsigned tries = 0;; tries++) {
		char *auth;
		bool again;

		pthread_mutex_lock(&r->lock);
		n = authorize(r, q, &auth, e);
		pthread_mutex_unlock(&r->lock);
		if (n < 0)
			break;
		q->authorization = auth;
		n = transfer_perform(t, q, a, e);
		/* What was read from a source cannot be sent twice. */
		again = n == 0 && a->status == 401 && tries == 0 && learn(r, a, auth) && !q->source;
		if (auth)
			explicit_bzero(auth, strlen(auth));
		free(auth);
		q->authorization = NULL;
		if (!again)
			break;
	}
	q->url = path;
	return n;
}

int registry_ask(struct registry *r, struct transfer *t, struct transfer_request *q,
	struct transfer_answer *a, struct err *e)
{
	for (unsigned attempt = 1;; attempt++) {
		int n = registry_request(r, t, q, a, e);

		if (attempt == REGISTRY_ATTEMPTS_MAX ||
			!(n < 0 ? transfer_may_retry(n) : a->status / 100 == 5 || a->status == 429))
			return n;
		n = transfer_back_off(t, attempt, a->retry_after_s, e);
		if (n < 0)
			return n;
	}
}

/* Whether a registry lives there. */
static int ping(struct registry *r, struct err *e)
{
	struct transfer_request q = {.method = "GET"};
	struct transfer_answer a = {0};
	AUTO_BUF struct buf url = {0};
	int n = whole_url(r, "/v2/", &url);

	if (n < 0)
		return err_set(e, -n, "out of memory");
	q.url = url.v;
	for (unsigned attempt = 1;; attempt++) {
		n = transfer_perform(&r->tokens, &q, &a, e);
		if (n < 0 || a.status / 100 != 5 || attempt == REGISTRY_ATTEMPTS_MAX)
			break;
		n = transfer_back_off(&r->tokens, attempt, a.retry_after_s, e);
		if (n < 0)
			break;
	}
	if (n == 0 && a.status == 401)
		r->challenge = a.challenge;
	else if (n == 0 && a.status / 100 != 2)
		n = registry_refusal(&a, NULL, e);
	transfer_answer_free(&a);
	return n;
}

int registry_open(struct registry *r, struct endpoint *ep, const char *path, const char *actions,
	const struct credentials *creds, const atomic_bool *cancel, struct err *e)
{
	int n;

	*r = (struct registry){.ep = *ep, .creds = creds};
	*ep = (struct endpoint){0};
	/* A mirror is another host: it is not told what is meant for the registry. */
	if (r->ep.mirror)
		r->creds = NULL;
	r->ep.host.cancel = cancel;
	(void)snprintf(r->path, sizeof(r->path), "%s", path);
	(void)snprintf(r->actions, sizeof(r->actions), "%s", actions);
	pthread_mutex_init(&r->lock, NULL);
	n = transfer_open(&r->tokens, &r->ep.host, e);
	if (n == 0)
		n = ping(r, e);
	if (n < 0)
		registry_close(r);
	return n;
}

void registry_close(struct registry *r)
{
	transfer_close(&r->tokens);
	free(r->token);
	endpoint_free(&r->ep);
	pthread_mutex_destroy(&r->lock);
	*r = (struct registry){0};
}

int registry_login(struct registry *r, char **ret_token, struct err *e)
{
	struct transfer_request q = {.method = "GET", .url = "/v2/"};
	struct token_grant grant = {0};
	struct transfer_answer a = {0};
	int n = 0;

	*ret_token = NULL;
	pthread_mutex_lock(&r->lock);
	if (r->challenge.scheme == CHALLENGE_BEARER) {
		n = token_fetch(r, true, &grant, e);
		if (n == 0) {
			r->token = strdup(grant.token);
			r->token_ends_ms = time_now_ms() + grant.lasts_s * 900ULL;
		}
	}
	pthread_mutex_unlock(&r->lock);
	if (n < 0) {
		err_wrap(e, "Get \"%.300s/v2/\"", r->ep.base);
	} else {
		n = registry_request(r, &r->tokens, &q, &a, e);
		if (n == 0 && a.status / 100 != 2)
			n = err_set(e, a.status == 401 ? EACCES : EIO,
				"login attempt to %.300s/v2/ failed with status: %d%s", r->ep.base,
				a.status, a.status == 401 ? " Unauthorized" : "");
	}
	transfer_answer_free(&a);
	free(grant.token);
	if (n == 0)
		*ret_token = grant.refresh ? grant.refresh : strdup("");
	else
		free(grant.refresh);
	return n < 0 ? n : *ret_token ? 0 : err_set(e, ENOMEM, "out of memory");
}
