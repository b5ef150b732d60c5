#include "runtime/cli/stream.h"

#include "lib/base/io.h"

#include <string.h>

int demux_feed(struct demux *d, const char *bytes, size_t len,
	int (*put)(void *arg, int which, const char *bytes, size_t len), void *arg)
{
	while (len > 0) {
		size_t n = sizeof(d->header) - d->have;
		int r;

		if (n > 0) {
			n = n < len ? n : len;
			memcpy(d->header + d->have, bytes, n);
			d->have += n;
			bytes += n;
			len -= n;
			if (d->have < sizeof(d->header))
				return 0;
			if (d->header[0] > 2 || d->header[1] || d->header[2] || d->header[3])
				return -EBADMSG;
			d->left = (size_t)d->header[4] << 24 | (size_t)d->header[5] << 16 |
				  (size_t)d->header[6] << 8 | d->header[7];
		}
		n = d->left < len ? d->left : len;
		r = n ? put(arg, d->header[0] == 2 ? 2 : 1, bytes, n) : 0;
		if (r < 0)
			return r;
		bytes += n;
		len -= n;
		d->left -= n;
		if (d->left == 0)
			d->have = 0;
	}
	return 0;
}

static int put_out(void *arg, int which, const char *bytes, size_t len)
{
	(void)arg;
	return io_write_all(which, bytes, len);
}

bool stream_is_framed(const struct http *h)
{
	return strcmp(h->type, "application/vnd.docker.multiplexed-stream") == 0;
}

int stream_put(struct demux *d, bool framed, const char *bytes, size_t len, struct err *e)
{
	int r = framed ? demux_feed(d, bytes, len, put_out, NULL) : io_write_all(1, bytes, len);

	if (r == -EBADMSG)
		return err_set(e, EBADMSG, "the engine's output is not understood");
	return r < 0 ? err_set(e, -r, "write: %s", strerror(-r)) : 0;
}

int stream_copy(struct http *h, struct err *e)
{
	bool framed = stream_is_framed(h);
	struct demux d = {0};
	const char *piece;
	ssize_t n;

	while ((n = http_read(h, &piece, e)) > 0) {
		int r = stream_put(&d, framed, piece, (size_t)n, e);

		if (r < 0)
			return r;
	}
	return (int)n;
}
