/*
 * What a client says of itself for a registry: the X-Registry-Auth header and the body of POST
 * /auth, both the API's AuthConfig object.
 */
#ifndef SAMPAN_REGISTRY_CREDENTIALS_H
#define SAMPAN_REGISTRY_CREDENTIALS_H

#include "lib/base/err.h"

#include <stddef.h>

/* Absent strings are "". Owned; credentials_free. */
struct credentials {
	char *username;
	char *password;
	char *identity_token; /* refreshes tokens */
	char *registry_token; /* is one */
	char *server;	      /* "https://index.docker.io/v1/", "registry:5000" */
};

/*
 * Read an AuthConfig object.
 * Returns 0; -EINVAL with @e filled for what is none; -ENOMEM. After 0 the caller owes
 * credentials_free.
 */
int credentials_parse(struct credentials *c, const char *json, size_t len, struct err *e);

/* The same in base64, with the alphabet for URLs or the other one, with padding or without. */
int credentials_decode(struct credentials *c, const char *header, struct err *e);

/* Free and wipe them; ones that are all zero are allowed. */
void credentials_free(struct credentials *c);

#endif
