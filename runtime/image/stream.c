#include "runtime/image/stream.h"

#include "runtime/image/limits.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int stream_detect(const struct blob *b)
{
	unsigned char magic[4] = {0};
	ssize_t n = pread(b->fd, magic, b->size < 4 ? b->size : 4, (off_t)b->offset);

	if (n < 0)
		return -errno;
	if (magic[0] == 0x1f && magic[1] == 0x8b)
		return PACKING_GZIP;
	if (memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0)
		return PACKING_ZSTD;
	return PACKING_NONE;
}

/* Read the next bytes of the blob into the buffer and hash them. Returns how many, or -errno. */
static ssize_t read_packed(struct stream *s)
{
	uint64_t left = s->blob->size - s->consumed;
	size_t want = left < IMAGE_READ_BYTES ? (size_t)left : IMAGE_READ_BYTES;
	bool is_pipe = s->blob->size == BLOB_TO_END;
	ssize_t n;

	if (want == 0)
		return 0;
	do {
		n = is_pipe ? read(s->blob->fd, s->buf, want)
			    : pread(s->blob->fd, s->buf, want,
				      (off_t)(s->blob->offset + s->consumed));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0) /* or the file shrank under us */
		return is_pipe ? 0 : -EIO;
	s->consumed += (uint64_t)n;
	if (s->hashes_packed)
		hasher_update(&s->packed, s->buf, (size_t)n);
	return n;
}

static la_ssize_t unpacker_read(struct archive *a, void *arg, const void **ret_buf)
{
	struct stream *s = arg;
	ssize_t n = read_packed(s);

	if (n < 0) {
		s->failed = (int)n;
		archive_set_error(a, (int)-n, "read: %s", strerror((int)-n));
		return ARCHIVE_FATAL;
	}
	*ret_buf = s->buf;
	return n;
}

static int unpack_error(struct stream *s, struct err *e)
{
	const char *why = archive_error_string(s->unpacker);

	if (s->failed)
		return err_set(e, -s->failed, "read: %s", strerror(-s->failed));
	return err_set(e, EINVAL, "unpack: %s", why ? why : "damaged data");
}

static int open_unpacker(struct stream *s, struct err *e)
{
	struct archive_entry *entry;
	int r;

	s->unpacker = archive_read_new();
	if (!s->unpacker)
		return err_set(e, ENOMEM, "no memory to unpack");
	r = s->packing == PACKING_GZIP ? archive_read_support_filter_gzip(s->unpacker)
				       : archive_read_support_filter_zstd(s->unpacker);
	/* ARCHIVE_WARN: this libarchive would start a gzip or zstd program instead. */
	if (r != ARCHIVE_OK)
		return err_set(e, ENOTSUP, "libarchive was built without %s",
			s->packing == PACKING_GZIP ? "gzip" : "zstd");
	archive_read_support_format_raw(s->unpacker);
	if (archive_read_open(s->unpacker, s, NULL, unpacker_read, NULL) != ARCHIVE_OK ||
		archive_read_next_header(s->unpacker, &entry) != ARCHIVE_OK)
		return unpack_error(s, e);
	/* libarchive unpacks what was packed twice; the media type speaks of once. */
	if (archive_filter_count(s->unpacker) != 2)
		return err_set(e, EINVAL, "unpack: is packed twice, or not as it says");
	return 0;
}

int stream_open(struct stream *s, const struct blob *blob, enum packing declared,
	const struct digest *packed_want, const struct digest *plain_want, uint64_t plain_max,
	struct err *e)
{
	/* A pipe cannot be looked into first. */
	int r = blob->size == BLOB_TO_END ? (int)declared : stream_detect(blob);

	*s = (struct stream){
		.blob = blob,
		.plain_max = plain_max,
		.packed_want = packed_want,
		.plain_want = plain_want,
	};
	if (r < 0)
		return err_set(e, -r, "read: %s", strerror(-r));
	s->packing = (enum packing)r;
	if (declared != PACKING_ANY && declared != s->packing)
		return err_set(e, EINVAL, "is not packed as its media type says");
	/* Not packed: one hash serves both, if they are of one kind. */
	if (s->packing == PACKING_NONE && packed_want && plain_want &&
		strcmp(packed_want->text, plain_want->text) == 0)
		s->plain_want = NULL;
	s->buf = malloc(IMAGE_READ_BYTES);
	if (!s->buf)
		return err_set(e, ENOMEM, "no memory to read");
	if (s->packed_want)
		s->hashes_packed = hasher_start(&s->packed, s->packed_want) == 0;
	if (s->plain_want)
		s->hashes_plain = hasher_start(&s->plain, s->plain_want) == 0;
	if (s->hashes_packed != !!s->packed_want || s->hashes_plain != !!s->plain_want)
		r = err_set(e, ENOMEM, "no memory to hash");
	else
		r = s->packing == PACKING_NONE ? 0 : open_unpacker(s, e);
	if (r < 0)
		stream_close(s);
	return r;
}

/* All plain bytes are out: read what is left of the blob, then compare. */
static int finish(struct stream *s, struct err *e)
{
	ssize_t n;

	while ((n = read_packed(s)) > 0)
		;
	if (n < 0)
		return err_set(e, (int)-n, "read: %s", strerror((int)-n));
	if (s->hashes_packed && !hasher_matches(&s->packed, s->packed_want))
		return err_set(
			e, EBADMSG, "content does not match its digest %s", s->packed_want->text);
	if (s->hashes_plain && !hasher_matches(&s->plain, s->plain_want))
		return err_set(
			e, EBADMSG, "content does not match its diffID %s", s->plain_want->text);
	return 0;
}

ssize_t stream_next(struct stream *s, const void **ret_buf, struct err *e)
{
	const void *buf = s->buf;
	size_t len = 0;

	if (s->packing == PACKING_NONE) {
		ssize_t n = read_packed(s);

		if (n < 0)
			return err_set(e, (int)-n, "read: %s", strerror((int)-n));
		len = (size_t)n;
	} else {
		la_int64_t at;
		int r;

		do {
			r = archive_read_data_block(s->unpacker, &buf, &len, &at);
		} while (r == ARCHIVE_OK && len == 0);
		if (r != ARCHIVE_OK && r != ARCHIVE_EOF)
			return unpack_error(s, e);
		if (r == ARCHIVE_EOF)
			len = 0;
	}
	if (len == 0)
		return finish(s, e);
	s->plain_bytes += len;
	if (s->plain_bytes > s->plain_max)
		return err_set(e, EFBIG, "unpacks to more than %llu bytes",
			(unsigned long long)s->plain_max);
	if (s->hashes_plain)
		hasher_update(&s->plain, buf, len);
	*ret_buf = buf;
	return (ssize_t)len;
}

void stream_close(struct stream *s)
{
	if (s->unpacker)
		archive_read_free(s->unpacker);
	if (s->hashes_packed)
		hasher_free(&s->packed);
	if (s->hashes_plain)
		hasher_free(&s->plain);
	free(s->buf);
	*s = (struct stream){0};
}
