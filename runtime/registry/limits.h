/* Every cap of the registry client: what a registry may cost at most. */
#ifndef SAMPAN_REGISTRY_LIMITS_H
#define SAMPAN_REGISTRY_LIMITS_H

/* bytes of an answer that is an error, a token or a list; more of an error is dropped */
#define REGISTRY_ANSWER_BYTES_MAX (1u << 20)

/* bytes of a URL: what Location and realm may be; a signed one of a cloud's store has about 2000 */
#define REGISTRY_URL_BYTES 8192

/* bytes of one header that is looked at, and of all headers of one answer */
#define REGISTRY_HEADER_BYTES 4096
#define REGISTRY_HEAD_BYTES_MAX (256u << 10)

/* directories of certificates */
#define REGISTRY_CERTS_DIRS_MAX 4

/* redirects followed for one request */
#define REGISTRY_REDIRECTS_MAX 10

/* attempts of one request before it is given up; a blob of which REGISTRY_PROGRESS_BYTES more have
 * come starts to count anew */
#define REGISTRY_ATTEMPTS_MAX 5
#define REGISTRY_PROGRESS_BYTES (1u << 20)

/* milliseconds before the second attempt; doubled each time */
#define REGISTRY_BACKOFF_MS 1000

/* how often the time that silence is borne a request may take in all when what it fetches is an
 * answer, a manifest or a config; a layer may take as long as it comes at all */
#define REGISTRY_ANSWER_STALLS 4

/* seconds in which a connection must stand */
#define REGISTRY_CONNECT_S 15

/* bytes of an X-Registry-Auth header, and of credentials and certificates in a file */
#define REGISTRY_AUTH_BYTES_MAX (64u << 10)
#define REGISTRY_CA_BYTES_MAX (4u << 20)

/* bytes of a token; some are lists of all that one may do */
#define REGISTRY_TOKEN_BYTES_MAX (64u << 10)

/* seconds that a token serves when its server does not say; Docker's number */
#define REGISTRY_TOKEN_S 60

/* bytes that a blob is received in at once */
#define REGISTRY_READ_BYTES (256L << 10)

#endif
