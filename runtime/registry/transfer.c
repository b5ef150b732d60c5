#include "runtime/registry/transfer.h"

#include "lib/base/num.h"
#include "lib/base/time.h"

#include <ctype.h>
#include <curl/curl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* milliseconds between two looks at whether somebody cancelled */
#define CANCEL_POLL_MS 100

#define USER_AGENT "sampan/0.1"

/* One request under way. */
struct exchange {
	struct transfer *t;
	const struct transfer_request *q;
	struct transfer_answer *a;
	struct err *e;
	uint64_t head_bytes;
	uint64_t sent;
	bool enough; /* of an answer whose beginning says all */
	int failed;  /* -errno of the sink, of the source, or of an answer that is too large */
	char why[CURL_ERROR_SIZE];
};

static void init_curl(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

int transfer_open(struct transfer *t, const struct transfer_host *host, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, init_curl);
	*t = (struct transfer){curl_easy_init(), host};
	return t->curl ? 0 : err_set(e, ENOMEM, "out of memory");
}

void transfer_close(struct transfer *t)
{
	if (t->curl)
		curl_easy_cleanup(t->curl);
	*t = (struct transfer){0};
}

void transfer_answer_free(struct transfer_answer *a)
{
	buf_free(&a->body);
}

bool transfer_is_loopback(const char *host)
{
	size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

	if (len == strlen("localhost") && strncasecmp(host, "localhost", len) == 0)
		return true;
	if (strncmp(host, "[::1]", len) == 0 && len == 5)
		return true;
	return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len;
}

static bool is_canceled(const struct transfer *t)
{
	return t->host->cancel && atomic_load(t->host->cancel);
}

static int on_progress(
	void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
	const struct exchange *x = arg;

	(void)down_all;
	(void)down;
	(void)up_all;
	(void)up;
	return is_canceled(x->t);
}

static void copy_value(char *to, size_t size, const char *value, size_t len)
{
	/* One that does not fit counts as none: a part of it would mean something else. */
	(void)snprintf(to, size, "%.*s", len < size ? (int)len : 0, value);
}

static void take_challenge(struct transfer_answer *a, const char *value, size_t len)
{
	char text[REGISTRY_HEADER_BYTES];
	struct challenge one;

	copy_value(text, sizeof(text), value, len);
	if (challenge_parse(text, &one) == 0 && one.scheme > a->challenge.scheme)
		a->challenge = one;
}

static void take_header(
	struct transfer_answer *a, const char *name, size_t name_len, const char *value, size_t len)
{
	const struct {
		const char *name;
		char *to;
		size_t size;
	} texts[] = {
		{"content-type", a->content_type, sizeof(a->content_type)},
		{"docker-content-digest", a->digest, sizeof(a->digest)},
		{"location", a->location, sizeof(a->location)},
	};
	uint64_t n;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (strlen(texts[i].name) == name_len &&
			strncasecmp(texts[i].name, name, name_len) == 0) {
			copy_value(texts[i].to, texts[i].size, value,
				i == 0 ? strcspn(value, "; \r\n") : len);
			return;
		}
	}
	if (name_len == strlen("www-authenticate") &&
		strncasecmp(name, "www-authenticate", name_len) == 0)
		take_challenge(a, value, len);
	else if (name_len == strlen("retry-after") &&
		 strncasecmp(name, "retry-after", name_len) == 0 &&
		 num_parse_u64(value, len, 3600, &n) == 0)
		a->retry_after_s = (unsigned)n;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;
	const char *colon = memchr(line, ':', len);
	const char *value = colon ? colon + 1 : NULL;
	const char *end = line + len;

	x->head_bytes += len;
	if (x->head_bytes > REGISTRY_HEAD_BYTES_MAX) {
		x->failed = err_set(
			x->e, EFBIG, "more than %u bytes of headers", REGISTRY_HEAD_BYTES_MAX);
		return 0;
	}
	/* libcurl ends a line with CR LF or LF, and terminates it. */
	if (colon) {
		while (value < end && (*value == ' ' || *value == '\t'))
			value++;
		while (end > value && isspace((unsigned char)end[-1]))
			end--;
		take_header(x->a, line, (size_t)(colon - line), value, (size_t)(end - value));
	}
	return len;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	const size_t max = x->q->body_max ? x->q->body_max : REGISTRY_ANSWER_BYTES_MAX;
	size_t len = size * n;
	long status = 0;
	bool good;

	curl_easy_getinfo(x->t->curl, CURLINFO_RESPONSE_CODE, &status);
	good = status >= 200 && status < 300;
	if (good && x->q->sink) {
		x->failed = x->q->sink(x->q->arg, status, bytes, len, x->e);
		return x->failed < 0 ? 0 : len;
	}
	if (len > max - x->a->body.len) {
		/* Of an error's text the beginning is enough; the rest may have no end. */
		x->enough = !good;
		if (!good)
			return 0;
		x->failed = err_set(x->e, EFBIG, "an answer of more than %zu bytes", max);
		return 0;
	}
	if (buf_add(&x->a->body, bytes, len) < 0) {
		x->failed = err_set(x->e, ENOMEM, "out of memory");
		return 0;
	}
	return len;
}

static size_t on_send(char *buf, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	uint64_t left = x->q->body_len - x->sent;
	size_t len = size * n < left ? size * n : (size_t)left;
	ssize_t got = (ssize_t)len;

	if (x->q->source)
		got = len ? x->q->source(x->q->arg, buf, len) : 0;
	else
		memcpy(buf, (const char *)x->q->body + x->sent, len);
	if (got < 0) {
		x->failed = err_set(
			x->e, (int)-got, "read what is to be sent: %s", strerror((int)-got));
		return CURL_READFUNC_ABORT;
	}
	x->sent += (uint64_t)got;
	return (size_t)got;
}

static void set_tls(CURL *c, const struct transfer_host *h, bool foreign)
{
	struct curl_blob ca = {h->ca.v, h->ca.len, CURL_BLOB_NOCOPY};

	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, h->insecure ? 0L : 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, h->insecure ? 0L : 2L);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (h->ca.len)
		curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca);
	else if (h->ca_file)
		curl_easy_setopt(c, CURLOPT_CAINFO, h->ca_file);
	if (h->cert[0] && !foreign) {
		curl_easy_setopt(c, CURLOPT_SSLCERT, h->cert);
		curl_easy_setopt(c, CURLOPT_SSLKEY, h->key);
	}
}

static void set_sending(CURL *c, struct exchange *x)
{
	const struct transfer_request *q = x->q;

	if (strcmp(q->method, "HEAD") == 0) {
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	} else if (strcmp(q->method, "GET") != 0) {
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body_len);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, on_send);
		curl_easy_setopt(c, CURLOPT_READDATA, x);
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
	}
	if (q->from) {
		char range[32];

		(void)snprintf(range, sizeof(range), "%llu-", (unsigned long long)q->from);
		curl_easy_setopt(c, CURLOPT_RANGE, range);
	}
}

/* @url's host with its port, as it stands there. */
static const char *host_of(const char *url, size_t *ret_len)
{
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	*ret_len = strcspn(host, "/?#");
	return host;
}

static struct curl_slist *make_headers(const struct transfer_request *q, bool foreign)
{
	struct curl_slist *list = NULL;
	AUTO_BUF struct buf line = {0};

	/* libcurl would wait a second for "100 Continue", which registries do not send. */
	list = curl_slist_append(list, "Expect:");
	for (size_t i = 0; q->headers && q->headers[i]; i++)
		list = curl_slist_append(list, q->headers[i]);
	if (q->authorization && !foreign &&
		buf_printf(&line, "Authorization: %s", q->authorization) == 0)
		list = curl_slist_append(list, line.v);
	return list;
}

static void set_options(CURL *c, struct exchange *x, const char *url, bool foreign)
{
	const struct transfer_host *h = x->t->host;
	bool plain = strncmp(url, "http://", 7) == 0;
	size_t len;

	curl_easy_reset(c);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, plain && h->insecure ? "http,https" : "https");
	curl_easy_setopt(c, CURLOPT_USERAGENT, USER_AGENT);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->why);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)REGISTRY_CONNECT_S);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)h->stall_s);
	if (!x->q->endless)
		curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)h->stall_s * REGISTRY_ANSWER_STALLS);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, REGISTRY_READ_BYTES);
	curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, REGISTRY_READ_BYTES);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	if (transfer_is_loopback(host_of(url, &len)))
		curl_easy_setopt(c, CURLOPT_PROXY, "");
	set_tls(c, h, foreign);
	set_sending(c, x);
}

static int name_failure(struct exchange *x, CURLcode code, const char *url)
{
	static const struct {
		CURLcode code;
		int errnum;
	} known[] = {
		{CURLE_OUT_OF_MEMORY, ENOMEM},
		{CURLE_URL_MALFORMAT, EINVAL},
		{CURLE_UNSUPPORTED_PROTOCOL, EPROTONOSUPPORT},
		{CURLE_COULDNT_RESOLVE_HOST, EHOSTUNREACH},
		{CURLE_COULDNT_RESOLVE_PROXY, EHOSTUNREACH},
		{CURLE_COULDNT_CONNECT, EHOSTUNREACH},
		{CURLE_OPERATION_TIMEDOUT, ETIMEDOUT},
		{CURLE_SSL_CONNECT_ERROR, EPROTO},
		{CURLE_PEER_FAILED_VERIFICATION, EPROTO},
		{CURLE_SSL_CERTPROBLEM, EPROTO},
		{CURLE_SSL_CACERT_BADFILE, EPROTO},
	};
	const char *why = x->why[0] ? x->why : curl_easy_strerror(code);
	int errnum = ECONNRESET;
	char method[16];

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].code == code)
			errnum = known[i].errnum;
	}
	if (x->failed < 0)
		return x->failed;
	if (is_canceled(x->t))
		return err_set(x->e, ECANCELED, "context canceled");
	/* "Get", as Go's clients write it */
	(void)snprintf(method, sizeof(method), "%s", x->q->method);
	for (size_t i = 1; method[i]; i++)
		method[i] = (char)tolower((unsigned char)method[i]);
	return err_set(x->e, errnum, "%s \"%.300s\": %s", method, url, why);
}

static int perform_once(struct exchange *x, const char *url, bool foreign)
{
	struct curl_slist *headers = make_headers(x->q, foreign);
	CURL *c = x->t->curl;
	long status = 0;
	CURLcode code;

	transfer_answer_free(x->a);
	*x->a = (struct transfer_answer){0};
	x->head_bytes = x->sent = 0;
	x->failed = 0;
	x->enough = false;
	x->why[0] = '\0';
	set_options(c, x, url, foreign);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(c);
	curl_slist_free_all(headers);
	if (code != CURLE_OK && !x->enough)
		return name_failure(x, code, url);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	x->a->status = (int)status;
	if (foreign)
		x->a->challenge = (struct challenge){0};
	return 0;
}

/* Whether two URLs are of one scheme, host and port. */
static bool same_origin(const char *a, const char *b)
{
	size_t a_len, b_len;
	const char *a_host = host_of(a, &a_len);
	const char *b_host = host_of(b, &b_len);
	size_t len = (size_t)(a_host - a) + a_len;

	return len == (size_t)(b_host - b) + b_len && strncasecmp(a, b, len) == 0;
}

static bool is_redirect(const struct exchange *x)
{
	int status = x->a->status;

	return (strcmp(x->q->method, "GET") == 0 || strcmp(x->q->method, "HEAD") == 0) &&
	       (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

int transfer_perform(struct transfer *t, const struct transfer_request *q,
	struct transfer_answer *a, struct err *e)
{
	struct exchange *x = calloc(1, sizeof(*x));
	char *next = NULL;
	bool foreign = false;
	int r;

	if (!x)
		return err_set(e, ENOMEM, "out of memory");
	*x = (struct exchange){.t = t, .q = q, .a = a, .e = e};
	r = perform_once(x, q->url, false);
	for (unsigned n = 0; r == 0 && is_redirect(x); n++) {
		const char *to = NULL;

		curl_easy_getinfo(t->curl, CURLINFO_REDIRECT_URL, &to);
		free(next);
		next = to ? strdup(to) : NULL;
		if (n == REGISTRY_REDIRECTS_MAX || !next || strlen(next) >= REGISTRY_URL_BYTES) {
			r = err_set(e, ELOOP, "Get \"%.300s\": %s", q->url,
				n == REGISTRY_REDIRECTS_MAX ? "stopped after 10 redirects"
							    : "is redirected to nowhere");
			break;
		}
		/* Once it left the registry, nothing secret is sent any more. */
		foreign |= !same_origin(q->url, next);
		r = perform_once(x, next, foreign);
	}
	free(next);
	free(x);
	return r;
}

bool transfer_may_retry(int r)
{
	return r == -EHOSTUNREACH || r == -ETIMEDOUT || r == -ECONNRESET;
}

unsigned transfer_back_off_ms(unsigned attempt, unsigned at_least_s)
{
	unsigned ms = REGISTRY_BACKOFF_MS << (attempt - 1);

	return at_least_s * 1000 > ms ? at_least_s * 1000 : ms;
}

int transfer_back_off(
	const struct transfer *t, unsigned attempt, unsigned at_least_s, struct err *e)
{
	uint64_t end = time_now_ms() + transfer_back_off_ms(attempt, at_least_s);
	uint64_t now;

	while ((now = time_now_ms()) < end) {
		if (is_canceled(t))
			return err_set(e, ECANCELED, "context canceled");
		(void)poll(NULL, 0, end - now < CANCEL_POLL_MS ? (int)(end - now) : CANCEL_POLL_MS);
	}
	return 0;
}
