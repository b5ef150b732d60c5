#include "lib/util/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bytes of the first allocation */
#define BUF_FIRST 256

char *buf_reserve(struct buf *b, size_t more)
{
	size_t room = b->room ? b->room : BUF_FIRST;
	char *v;

	if (more >= (size_t)-1 - b->len)
		return NULL;
	if (b->v && b->len + more + 1 <= b->room)
		return b->v + b->len;
	while (room < b->len + more + 1) {
		if (room > (size_t)-1 / 2)
			return NULL;
		room *= 2;
	}
	v = realloc(b->v, room);
	if (!v)
		return NULL;
	b->v = v;
	b->room = room;
	return b->v + b->len;
}

int buf_add(struct buf *b, const void *bytes, size_t len)
{
	char *to = buf_reserve(b, len);

	if (!to)
		return -ENOMEM;
	if (len)
		memcpy(to, bytes, len);
	b->len += len;
	b->v[b->len] = '\0';
	return 0;
}

int buf_add_str(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *to;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	to = n < 0 ? NULL : buf_reserve(b, (size_t)n);
	if (!to)
		return -ENOMEM;
	va_start(ap, fmt);
	(void)vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void buf_consume(struct buf *b, size_t len)
{
	if (len >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->v, b->v + len, b->len - len);
	b->len -= len;
	b->v[b->len] = '\0';
}

void buf_free(struct buf *b)
{
	free(b->v);
	*b = (struct buf){0};
}
