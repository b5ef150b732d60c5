/*
 * One blob as a stream of plain bytes: read, hash, decompress, hash, in a single pass.
 */
#ifndef SAMPAN_IMAGE_STREAM_H
#define SAMPAN_IMAGE_STREAM_H

#include "lib/base/err.h"
#include "runtime/image/digest.h"
#include "runtime/image/manifest.h"
#include "runtime/image/source.h"

#include <stdint.h>
#include <sys/types.h>

struct archive;

struct stream {
	const struct blob *blob;
	uint64_t consumed;    /* bytes of the blob */
	uint64_t plain_bytes; /* bytes handed out */
	uint64_t plain_max;
	enum packing packing;
	const struct digest *packed_want; /* NULL: not checked */
	const struct digest *plain_want;
	struct hasher packed;
	struct hasher plain;
	int hashes_packed; /* packed and plain are set up */
	int hashes_plain;
	struct archive *unpacker; /* NULL for PACKING_NONE */
	unsigned char *buf;
	int failed; /* -errno of a read inside the unpacker */
};

/* What the first bytes of a blob say: PACKING_NONE, _GZIP, _ZSTD, or -errno. */
int stream_detect(const struct blob *b);

/*
 * Start reading a blob.
 * @blob: borrowed until stream_close; one of BLOB_TO_END is a pipe
 * @declared: by its media type; PACKING_ANY takes what the first bytes say, which a pipe has not
 * @packed_want: digest of the blob; @plain_want: of what it unpacks to (a diffID); each may be
 * NULL; borrowed until stream_close
 * @plain_max: bytes; unpacking to more is refused
 * Returns 0 or -errno. After 0 the caller owes stream_close.
 */
int stream_open(struct stream *s, const struct blob *blob, enum packing declared,
	const struct digest *packed_want, const struct digest *plain_want, uint64_t plain_max,
	struct err *e);

/*
 * Hand out the next bytes.
 * @ret_buf: valid until the next call
 * Returns how many; 0 at the end, which is only reached when every digest was right; -errno.
 */
ssize_t stream_next(struct stream *s, const void **ret_buf, struct err *e);
void stream_close(struct stream *s);

#endif
