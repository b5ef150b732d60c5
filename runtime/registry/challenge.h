/*
 * The WWW-Authenticate header: how a registry wants to be convinced. A pure function of the text.
 * Source: RFC 9110 section 11.6.1; RFC 6750 section 3; distribution's token specification.
 */
#ifndef SAMPAN_REGISTRY_CHALLENGE_H
#define SAMPAN_REGISTRY_CHALLENGE_H

#include <stddef.h>

enum challenge_scheme { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
	enum challenge_scheme scheme;
	char realm[2048];
	char service[256];
	char scope[1024];
	char error[64]; /* "invalid_token", "insufficient_scope" */
	char description[256];
};

/*
 * Read the challenges of one header and take the strongest that we can answer: Bearer, then Basic.
 * @header: its value; a scheme that we do not know is passed over
 * Returns 0, with CHALLENGE_NONE if there was none that we know; -EINVAL for what is no list of
 * challenges; -ENAMETOOLONG for a parameter that does not fit. @ret is all zero after an error.
 */
int challenge_parse(const char *header, struct challenge *ret);

#endif
