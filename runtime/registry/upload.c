/* What is sent: blobs. Manifests are in content.c. */
#include "runtime/registry/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int registry_has_blob(
	struct registry *r, struct transfer *t, const struct digest *digest, struct err *e)
{
	char url[512];
	struct transfer_request q = {.method = "HEAD", .url = url};
	struct transfer_answer a = {0};
	int n;

	(void)snprintf(url, sizeof(url), "/v2/%s/blobs/%s", r->path, digest->text);
	n = registry_ask(r, t, &q, &a, e);
	if (n == 0)
		n = a.status == 200 ? 1 : a.status == 404 ? 0 : registry_refusal(&a, NULL, e);
	transfer_answer_free(&a);
	return n;
}

/* Begin an upload. Returns 201 when the blob was mounted, 202 with the place to send it to. */
static int begin(struct registry *r, struct transfer *t, const char *query,
	char location[static REGISTRY_URL_BYTES], struct err *e)
{
	char url[1024];
	struct transfer_request q = {.method = "POST", .url = url, .body = ""};
	struct transfer_answer a = {0};
	int n;

	(void)snprintf(url, sizeof(url), "/v2/%s/blobs/uploads/%s", r->path, query);
	n = registry_ask(r, t, &q, &a, e);
	if (n == 0 && a.status != 201 && a.status != 202)
		n = registry_refusal(&a, NULL, e);
	if (n == 0 && a.status == 202 && !a.location[0])
		n = err_set(e, EPROTO, "the registry does not say where to send a blob");
	if (n == 0) {
		n = a.status;
		memcpy(location, a.location, REGISTRY_URL_BYTES);
	}
	transfer_answer_free(&a);
	return n;
}

/* "/v2/…" is of the registry; a whole URL may be of another host. */
static int check_location(const struct registry *r, const char *location, struct err *e)
{
	size_t len = strlen(r->ep.base);

	/* Credentials go along with what is sent. */
	if (location[0] == '/' || (strncmp(location, r->ep.base, len) == 0 && location[len] == '/'))
		return 0;
	return err_set(
		e, EPROTO, "the registry wants blobs sent to another host: %.200s", location);
}

/* A token that was given before does not speak of @from. */
static void want_mount(struct registry *r, const char *from)
{
	pthread_mutex_lock(&r->lock);
	if (strcmp(r->mount, from) != 0) {
		(void)snprintf(r->mount, sizeof(r->mount), "%s", from);
		free(r->token);
		r->token = NULL;
	}
	pthread_mutex_unlock(&r->lock);
}

int registry_mount_blob(struct registry *r, struct transfer *t, const struct digest *digest,
	const char *from, struct err *e)
{
	char location[REGISTRY_URL_BYTES];
	struct transfer_request q = {.method = "DELETE", .url = location, .body = ""};
	struct transfer_answer a = {0};
	struct err ignored = {0};
	char query[512];
	int n;

	want_mount(r, from);
	(void)snprintf(query, sizeof(query), "?mount=%s&from=%s", digest->text, from);
	n = begin(r, t, query, location, e);
	if (n != 202)
		return n < 0 ? n : 1;
	/* It began an upload instead, which nobody will use. */
	if (check_location(r, location, &ignored) == 0)
		(void)registry_request(r, t, &q, &a, &ignored);
	transfer_answer_free(&a);
	return 0;
}

static int send_once(struct registry *r, struct transfer *t, const struct digest *digest,
	const struct registry_source *source, struct err *e)
{
	static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
	char location[REGISTRY_URL_BYTES];
	char url[REGISTRY_URL_BYTES + DIGEST_TEXT_BYTES + 16];
	struct transfer_request q = {.method = "PUT",
		.url = url,
		.headers = headers,
		.body_len = source->size,
		.source = source->read,
		.arg = source->arg,
		.endless = true};
	struct transfer_answer a = {0};
	int n = source->rewind(source->arg);

	if (n < 0)
		return err_set(e, -n, "read a blob: %s", strerror(-n));
	n = begin(r, t, "", location, e);
	if (n == 201)
		return 0;
	if (n < 0)
		return n;
	n = check_location(r, location, e);
	if (n < 0)
		return n;
	/* All at once: what a registry that wants it in parts is asked about in PATCH. */
	(void)snprintf(url, sizeof(url), "%s%sdigest=%s", location,
		strchr(location, '?') ? "&" : "?", digest->text);
	n = registry_request(r, t, &q, &a, e);
	if (n == 0 && a.status / 100 != 2) {
		n = registry_refusal(&a, NULL, e);
		/* A bad moment, or a token that has run out since the upload began: once more, from
		 * there. */
		if (a.status / 100 == 5 || a.status == 429 || a.status == 401)
			n = -(e->code = ECONNRESET);
	}
	transfer_answer_free(&a);
	return n;
}

int registry_put_blob(struct registry *r, struct transfer *t, const struct digest *digest,
	const struct registry_source *source, struct err *e)
{
	for (unsigned attempt = 1;; attempt++) {
		int n = send_once(r, t, digest, source, e);

		if (n >= 0 || !transfer_may_retry(n) || attempt == REGISTRY_ATTEMPTS_MAX)
			return n;
		n = transfer_back_off(t, attempt, 0, e);
		if (n < 0)
			return n;
	}
}
