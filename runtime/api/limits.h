/* Every cap of the API's server: what a client may cost at most. */
#ifndef SAMPAN_API_LIMITS_H
#define SAMPAN_API_LIMITS_H

/* bytes of a request's line and headers; also built into the parser, rootfs/recipes/http-parser.sh
 */
#define API_HEAD_BYTES_MAX 65536

/* headers of one request */
#define API_HEADERS_MAX 64

/* bytes of a JSON body */
#define API_JSON_BYTES_MAX (4u << 20)

/* parameters behind the "?" */
#define API_QUERY_MAX 48

/* connections at a time; one more is told 503 */
#define API_CONNECTIONS_MAX 1024

/* bytes of a connection's stack: handlers keep paths and errors on it, documents on the heap */
#define API_STACK_BYTES (256u << 10)

/* milliseconds in which the head of a request must arrive once its first byte has, and a read or
 * write of a body must get on */
#define API_IO_TIMEOUT_MS 30000

/* milliseconds in which a JSON body must be there as a whole */
#define API_BODY_TIMEOUT_MS 120000

/* bytes of an unread body that are read and dropped to keep the connection */
#define API_DRAIN_BYTES_MAX (1u << 20)

/* bytes read from or written to a socket at once */
#define API_IO_BYTES 32768

#endif
