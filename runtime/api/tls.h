/*
 * The API over TCP, by mutual TLS alone: whoever has a certificate of our authority may do
 * anything, nobody else gets as far as a request. The rest of the server sees a unix socket: a
 * thread per connection carries what is said between that and the TLS connection.
 */
#ifndef SAMPAN_API_TLS_H
#define SAMPAN_API_TLS_H

#include "lib/base/err.h"

struct tls_server;

/*
 * Read ca.pem (who signs clients), cert.pem and key.pem (ours) in @dir.
 * @ret: NULL when there is no such directory: then nobody is served over TCP
 * Returns 0 or -errno. It lives as long as the process.
 */
int tls_open(const char *dir, struct tls_server **ret, struct err *e);

/* Listen on TCP port @port of all addresses. Returns a descriptor or -errno. */
int tls_listen(unsigned port, struct err *e);

/*
 * Serve the TCP connection @fd, which is taken over in any case.
 * Returns a socket that carries the plain bytes, owned by the caller, or -errno.
 */
int tls_accept(struct tls_server *server, int fd);

#endif
