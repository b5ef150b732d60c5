/*
 * One HTTP request to a registry, its token server, or where it redirects to, on libcurl. Proxies
 * come from the environment (http_proxy, HTTPS_PROXY, NO_PROXY), but never for loopback.
 */
#ifndef SAMPAN_REGISTRY_TRANSFER_H
#define SAMPAN_REGISTRY_TRANSFER_H

#include "lib/base/err.h"
#include "lib/util/buf.h"
#include "runtime/registry/challenge.h"
#include "runtime/registry/limits.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How a host is spoken to. */
struct transfer_host {
	bool insecure;	     /* certificates are not checked, plain HTTP is allowed */
	struct buf ca;	     /* PEM: what its certificate is checked with */
	const char *ca_file; /* the same in a file, when ca is empty; NULL: libcurl's own */
	char cert[512];	     /* files of a client certificate and its key; "" for none */
	char key[512];
	unsigned stall_s;	   /* without a byte for so long it is given up */
	const atomic_bool *cancel; /* NULL: nobody can */
};

/* A connection that is kept between requests; one thread's. */
struct transfer {
	void *curl;
	const struct transfer_host *host;
};

/*
 * @host: borrowed until transfer_close
 * Returns 0 or -ENOMEM. After 0 the caller owes transfer_close.
 */
int transfer_open(struct transfer *t, const struct transfer_host *host, struct err *e);
void transfer_close(struct transfer *t);

struct transfer_request {
	const char *method; /* "GET", "HEAD", "POST", "PUT", "PATCH" */
	const char *url;
	const char *authorization;  /* of the header, or NULL; not sent to where another host is
				       redirected to */
	const char *const *headers; /* whole lines, NULL at the end; NULL: none */
	uint64_t from;		    /* byte to start at */

	/* what is sent: a text, or @source, called until it has given body_len bytes */
	const void *body;
	uint64_t body_len;
	ssize_t (*source)(void *arg, void *buf, size_t size);

	/* Takes the body of an answer 2xx; NULL: it goes into the answer. 0 or -errno, with @e
	 * filled. */
	int (*sink)(void *arg, long status, const void *buf, size_t len, struct err *e);
	void *arg;
	bool endless;	 /* may take as long as it likes; otherwise REGISTRY_ANSWER_STALLS */
	size_t body_max; /* bytes of a body that goes into the answer; 0: REGISTRY_ANSWER_BYTES_MAX
			  */
};

struct transfer_answer {
	int status;
	char content_type[256]; /* without parameters */
	char digest[160];	/* Docker-Content-Digest */
	char location[REGISTRY_URL_BYTES];
	unsigned retry_after_s;
	struct challenge challenge; /* none from another host that was redirected to: it is not
				       told what is the registry's to know */
	struct buf body;
};

void transfer_answer_free(struct transfer_answer *a);

/*
 * Ask, follow redirects (of GET and HEAD), and read the answer to its end.
 * @a: reset first; transfer_answer_free by the caller, also after a failure
 * Returns 0 once there is an answer, whatever its status; -ECANCELED; -EHOSTUNREACH when there is
 * no connection, -EPROTO for TLS, -ETIMEDOUT for a stall, -ECONNRESET for an answer that was cut
 * off; what the sink returned; otherwise -errno. Errors begin as Go's clients word them: 'Get
 * "URL": '.
 */
int transfer_perform(struct transfer *t, const struct transfer_request *q,
	struct transfer_answer *a, struct err *e);

/* Whether to try again after transfer_perform returned @r: the network's whims, not a refusal. */
bool transfer_may_retry(int r);

/* Wait before attempt number @attempt (from 1) is repeated. Returns 0 or -ECANCELED. */
int transfer_back_off(
	const struct transfer *t, unsigned attempt, unsigned at_least_s, struct err *e);

/* How long transfer_back_off will wait, in milliseconds. */
unsigned transfer_back_off_ms(unsigned attempt, unsigned at_least_s);

/* Whether @host ("127.0.0.1", "[::1]", "localhost", with or without a port) is this machine. */
bool transfer_is_loopback(const char *host);

#endif
