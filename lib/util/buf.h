/* A growing buffer of bytes, always NUL-terminated once something was added. */
#ifndef SAMPAN_UTIL_BUF_H
#define SAMPAN_UTIL_BUF_H

#include <stddef.h>

/* Zero-initialise; free with buf_free(). */
struct buf {
	char *v;
	size_t len;  /* bytes in use */
	size_t room; /* bytes allocated, the NUL's included */
};

/* Make room for @more bytes behind the content. Returns where they go, or NULL without memory. */
char *buf_reserve(struct buf *b, size_t more);

/* Append. Each returns 0 or -ENOMEM, and then the content is as before. */
int buf_add(struct buf *b, const void *bytes, size_t len);
int buf_add_str(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drop the first @len bytes. */
void buf_consume(struct buf *b, size_t len);

void buf_free(struct buf *b);

#define AUTO_BUF __attribute__((cleanup(buf_free)))

#endif
