/* What is fetched: manifests and blobs. */
#include "lib/base/num.h"
#include "runtime/image/limits.h"
#include "runtime/image/manifest.h"
#include "runtime/registry/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const manifest_headers[] = {
	"Accept: application/vnd.docker.distribution.manifest.v2+json",
	"Accept: application/vnd.docker.distribution.manifest.list.v2+json",
	"Accept: application/vnd.oci.image.index.v1+json",
	"Accept: application/vnd.oci.image.manifest.v1+json",
	NULL,
};

static int take_manifest(
	struct transfer_answer *a, const char *ref, struct registry_manifest *ret, struct err *e)
{
	struct digest want;
	int n;

	if (digest_parse(ref, &want) == 0) {
		if (digest_matches(&want, a->body.v, a->body.len) != 1)
			return err_set(e, EBADMSG, "manifest verification failed for digest %.80s",
				want.text);
		ret->digest = want;
	} else {
		n = digest_of(a->body.v ? a->body.v : "", a->body.len, &ret->digest);
		if (n < 0)
			return err_set(e, -n, "out of memory");
		/* A registry that says another digest than its content has is not to be trusted. */
		if (digest_parse(a->digest, &want) == 0 &&
			digest_matches(&want, a->body.v, a->body.len) != 1)
			return err_set(e, EBADMSG, "manifest verification failed for digest %.80s",
				want.text);
	}
	(void)snprintf(ret->media_type, sizeof(ret->media_type), "%s", a->content_type);
	ret->text = a->body;
	a->body = (struct buf){0};
	return 0;
}

int registry_get_manifest(struct registry *r, struct transfer *t, const char *ref,
	struct registry_manifest *ret, enum registry_code *ret_code, struct err *e)
{
	char url[1024];
	struct transfer_request q = {.method = "GET",
		.url = url,
		.headers = manifest_headers,
		.body_max = IMAGE_JSON_BYTES_MAX};
	struct transfer_answer a = {0};
	int n;

	*ret = (struct registry_manifest){0};
	*ret_code = REGISTRY_OTHER;
	(void)snprintf(url, sizeof(url), "/v2/%s/manifests/%s", r->path, ref);
	n = registry_ask(r, t, &q, &a, e);
	if (n == 0 && a.status != 200)
		n = registry_refusal(&a, ret_code, e);
	if (n == 0)
		n = take_manifest(&a, ref, ret, e);
	transfer_answer_free(&a);
	return n;
}

int registry_put_manifest(struct registry *r, struct transfer *t, const char *ref,
	const char *media_type, const void *text, size_t len, struct err *e)
{
	char url[1024];
	char type[300];
	const char *const headers[] = {type, NULL};
	struct transfer_request q = {
		.method = "PUT", .url = url, .headers = headers, .body = text, .body_len = len};
	struct transfer_answer a = {0};
	int n;

	(void)snprintf(url, sizeof(url), "/v2/%s/manifests/%s", r->path, ref);
	(void)snprintf(type, sizeof(type), "Content-Type: %s", media_type);
	n = registry_ask(r, t, &q, &a, e);
	if (n == 0 && a.status / 100 != 2)
		n = registry_refusal(&a, NULL, e);
	transfer_answer_free(&a);
	return n;
}

/* A blob on its way. */
struct fetch {
	const struct registry_sink *sink;
	uint64_t size;
	uint64_t got;
	uint64_t skip; /* bytes that come again, because the registry does not know Range */
	uint64_t from; /* where this attempt began */
	bool begun;
	bool endless; /* it may be a large one */
};

static int take_bytes(void *arg, long status, const void *buf, size_t len, struct err *e)
{
	struct fetch *f = arg;
	const char *at = buf;
	int n;

	if (!f->begun && f->from && status != 206)
		f->skip = f->from;
	f->begun = true;
	if (f->skip) {
		size_t old = len < f->skip ? len : (size_t)f->skip;

		f->skip -= old;
		at += old;
		len -= old;
	}
	if (len == 0)
		return 0;
	if (len > f->size - f->got)
		return err_set(e, EBADMSG,
			"the registry sends more than the %llu bytes that the "
			"manifest says",
			(unsigned long long)f->size);
	n = f->sink->take(f->sink->arg, at, len, e);
	if (n == 0)
		f->got += len;
	return n;
}

/* One attempt. Returns 0 when all is there, -EAGAIN for another one, otherwise -errno. */
static int fetch_part(struct registry *r, struct transfer *t, const char *url, struct fetch *f,
	unsigned *ret_wait_s, struct err *e)
{
	struct transfer_request q = {.method = "GET",
		.url = url,
		.from = f->got,
		.sink = take_bytes,
		.arg = f,
		.endless = f->endless};
	struct transfer_answer a = {0};
	int n;

	f->from = f->got;
	f->begun = false;
	f->skip = 0;
	n = registry_request(r, t, &q, &a, e);
	*ret_wait_s = a.retry_after_s;
	if (n < 0)
		n = transfer_may_retry(n) ? -EAGAIN : n;
	else if (a.status / 100 == 5 || a.status == 429)
		n = err_set(e, EAGAIN, "received unexpected HTTP status: %d", a.status);
	else if (a.status / 100 != 2)
		n = registry_refusal(&a, NULL, e);
	else if (f->got < f->size)
		n = err_set(e, EAGAIN, "unexpected EOF: %llu of %llu bytes came",
			(unsigned long long)f->got, (unsigned long long)f->size);
	transfer_answer_free(&a);
	return n;
}

static int fetch_all(struct registry *r, struct transfer *t, const struct digest *digest,
	struct fetch *f, struct err *e)
{
	const struct registry_sink *sink = f->sink;
	unsigned attempt = 1;
	char url[512];

	(void)snprintf(url, sizeof(url), "/v2/%s/blobs/%s", r->path, digest->text);
	for (;;) {
		uint64_t before = f->got;
		unsigned wait_s = 0;
		int n = fetch_part(r, t, url, f, &wait_s, e);

		if (n != -EAGAIN)
			return n;
		if (f->got - before >= REGISTRY_PROGRESS_BYTES)
			attempt = 1;
		if (attempt == REGISTRY_ATTEMPTS_MAX) {
			e->code = EIO;
			return -EIO;
		}
		if (sink->retrying)
			sink->retrying(sink->arg, transfer_back_off_ms(attempt, wait_s) / 1000);
		n = transfer_back_off(t, attempt, wait_s, e);
		if (n < 0)
			return n;
		attempt++;
	}
}

int registry_get_blob(struct registry *r, struct transfer *t, const struct digest *digest,
	uint64_t size, const struct registry_sink *sink, struct err *e)
{
	struct fetch f = {.sink = sink, .size = size, .endless = true};

	return fetch_all(r, t, digest, &f, e);
}

static int keep_bytes(void *arg, const void *buf, size_t len, struct err *e)
{
	return buf_add(arg, buf, len) < 0 ? err_set(e, ENOMEM, "out of memory") : 0;
}

int registry_read_blob(struct registry *r, struct transfer *t, const struct digest *digest,
	uint64_t size, struct buf *ret, struct err *e)
{
	const struct registry_sink sink = {.take = keep_bytes, .arg = ret};
	struct fetch f = {.sink = &sink, .size = size};
	int n;

	if (size > IMAGE_JSON_BYTES_MAX)
		return err_set(e, EFBIG, "blob %.19s: %llu bytes, at most %u are read",
			digest->text, (unsigned long long)size, IMAGE_JSON_BYTES_MAX);
	n = fetch_all(r, t, digest, &f, e);
	if (n == 0 && digest_matches(digest, ret->v ? ret->v : "", ret->len) != 1)
		n = err_set(
			e, EBADMSG, "blob %.80s: content does not match its digest", digest->text);
	return n < 0 ? n : 0;
}
