/* Asking a token server, as distribution's token specification has it. */
#ifndef SAMPAN_REGISTRY_TOKEN_H
#define SAMPAN_REGISTRY_TOKEN_H

#include "runtime/registry/registry.h"

struct token_grant {
	char *token;   /* to be freed */
	char *refresh; /* an identity token, "" for none; to be freed */
	unsigned lasts_s;
};

/*
 * Get a token for what @r is for, with r->challenge and r->creds. With r->lock.
 * @login: ask for an identity token too
 * Returns 0; -EACCES when the server refuses; otherwise -errno.
 */
int token_fetch(struct registry *r, bool login, struct token_grant *ret, struct err *e);

/* "Basic …" for the credentials. Returns a text to be freed, or NULL without memory. */
char *token_basic(const struct credentials *c);

#endif
