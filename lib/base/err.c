#include "lib/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Text in a message may come from somebody else, who must not forge lines or drive a terminal. */
static void make_one_line(char *msg)
{
	for (; *msg; msg++) {
		if ((unsigned char)*msg < ' ' || *msg == 0x7f)
			*msg = '?';
	}
}

int err_set(struct err *e, int errnum, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -errnum;
	e->code = errnum;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	make_one_line(e->msg);
	return -errnum;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char old[ERR_MSG_MAX];
	va_list ap;
	size_t room;
	int n;

	if (!e)
		return -EIO;
	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n + 2 < sizeof(e->msg)) {
		room = sizeof(e->msg) - (size_t)n - 3;
		snprintf(e->msg + n, room + 3, ": %.*s", (int)room, old);
	}
	make_one_line(e->msg);
	return -e->code;
}
