/*
 * One repository of one registry: manifests and blobs, with whatever proof of identity it asks for.
 * Source: the OCI distribution specification; Docker Registry HTTP API v2; distribution's token
 * authentication.
 */
#ifndef SAMPAN_REGISTRY_REGISTRY_H
#define SAMPAN_REGISTRY_REGISTRY_H

#include "runtime/image/digest.h"
#include "runtime/image/reference.h"
#include "runtime/registry/credentials.h"
#include "runtime/registry/endpoint.h"

#include <pthread.h>

/* Several threads may use it, each with a transfer of its own. Refers to itself: not to be moved.
 */
struct registry {
	struct endpoint ep;
	char path[256];			 /* of the repository; "" to log in */
	char actions[32];		 /* "pull", "pull,push" */
	const struct credentials *creds; /* borrowed, or NULL */

	pthread_mutex_t lock;	    /* what follows */
	struct challenge challenge; /* CHALLENGE_NONE: nothing was asked for yet */
	char *token;
	uint64_t token_ends_ms;
	char mount[256];	/* another repository that must be read, "" for none */
	struct transfer tokens; /* to the token server */
};

/*
 * Open a repository at @ep, which is taken over, and see what the registry asks for (GET /v2/).
 * Returns 0; -EHOSTUNREACH, -EPROTO and what else transfer_perform returns when nobody answers as a
 * registry: the next endpoint may. After 0 the caller owes registry_close.
 */
int registry_open(struct registry *r, struct endpoint *ep, const char *path, const char *actions,
	const struct credentials *creds, const atomic_bool *cancel, struct err *e);
void registry_close(struct registry *r);

/* Ask, with authorization, once more with a new token if need be. @q's url is a path below the
 * registry ("/v2/…") or a whole URL. As transfer_perform, and -EACCES without credentials. */
int registry_request(struct registry *r, struct transfer *t, struct transfer_request *q,
	struct transfer_answer *a, struct err *e);

/* The same for a request that is small, repeated while the network or the registry has a bad
 * moment.
 */
int registry_ask(struct registry *r, struct transfer *t, struct transfer_request *q,
	struct transfer_answer *a, struct err *e);

/*
 * The registry's refusal as an error, in its words and Docker's: "manifest unknown: manifest
 * unknown".
 * @what: what was asked for and is named where the registry gives no reason
 * Returns -ENOENT for what it does not have or denies (@ret_code tells), -EACCES for 401, -EIO.
 */
enum registry_code {
	REGISTRY_OTHER,
	REGISTRY_DENIED,
	REGISTRY_MANIFEST_UNKNOWN,
	REGISTRY_NAME_UNKNOWN,
	REGISTRY_UNAUTHORIZED,
};

int registry_refusal(const struct transfer_answer *a, enum registry_code *ret_code, struct err *e);

/* A manifest or index as the registry has it. */
struct registry_manifest {
	struct digest digest;
	char media_type[256];
	struct buf text;
};

/*
 * Get the manifest that @ref (a tag or digest) names; its digest is checked where @ref is one.
 * Returns 0; as registry_refusal; -EBADMSG for content that is not what was asked for. After 0 the
 * caller owes buf_free of the text.
 */
int registry_get_manifest(struct registry *r, struct transfer *t, const char *ref,
	struct registry_manifest *ret, enum registry_code *ret_code, struct err *e);

/* Store a manifest under @ref. Returns 0 or as registry_refusal. */
int registry_put_manifest(struct registry *r, struct transfer *t, const char *ref,
	const char *media_type, const void *text, size_t len, struct err *e);

/* Takes a blob's bytes, in order. 0 or -errno with @e filled. */
struct registry_sink {
	int (*take)(void *arg, const void *buf, size_t len, struct err *e);
	/* Told before a wait, NULL allowed. */
	void (*retrying)(void *arg, unsigned seconds);
	void *arg;
};

/*
 * Get a blob, going on where a connection broke. That its content has @digest is for the sink's
 * owner to see; more or fewer bytes than @size are an error here.
 */
int registry_get_blob(struct registry *r, struct transfer *t, const struct digest *digest,
	uint64_t size, const struct registry_sink *sink, struct err *e);

/* Read a blob of at most IMAGE_JSON_BYTES_MAX whole and check its digest. */
int registry_read_blob(struct registry *r, struct transfer *t, const struct digest *digest,
	uint64_t size, struct buf *ret, struct err *e);

/* Whether the repository has a blob: 1, 0 or -errno. */
int registry_has_blob(
	struct registry *r, struct transfer *t, const struct digest *digest, struct err *e);

/* Where a blob that is sent comes from. */
struct registry_source {
	/* Start again: 0 or -errno. */
	int (*rewind)(void *arg);
	ssize_t (*read)(void *arg, void *buf, size_t size);
	void *arg;
	uint64_t size; /* bytes */
};

/* Have the registry take a blob from its repository @from, asking for the right to read that.
 * Returns 1 if it did, 0 if not, -errno. */
int registry_mount_blob(struct registry *r, struct transfer *t, const struct digest *digest,
	const char *from, struct err *e);

/* Send a blob. Returns 0 or -errno. */
int registry_put_blob(struct registry *r, struct transfer *t, const struct digest *digest,
	const struct registry_source *source, struct err *e);

/*
 * See whether the registry takes these credentials.
 * @ret_token: "" or an identity token to keep instead of the password; to be freed
 * Returns 0; -EACCES when it does not; otherwise -errno.
 */
int registry_login(struct registry *r, char **ret_token, struct err *e);

#endif
