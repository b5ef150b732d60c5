/*
 * Where an image's blobs come from: an OCI layout directory, or a tar file of one, or a
 * `docker save` archive; a tar file may itself be compressed.
 */
#ifndef SAMPAN_IMAGE_SOURCE_H
#define SAMPAN_IMAGE_SOURCE_H

#include "lib/base/err.h"
#include "runtime/image/tarindex.h"

#include <stddef.h>
#include <stdint.h>

/* One blob: a range of a file. */
struct blob {
	int fd; /* owned when @owned */
	int owned;
	uint64_t offset; /* bytes */
	uint64_t size;	 /* bytes */
};

/* as a blob's size: a pipe that is read to its end, by stream.h alone */
#define BLOB_TO_END UINT64_MAX

void blob_close(struct blob *b);

struct image_source {
	int dirfd; /* the layout directory, or -1 */
	int fd;	   /* the tar file, or -1 */
	struct tar_index index;
};

/*
 * Open an image.
 * @spool_dirfd: a compressed tar file is unpacked into a nameless file in this directory, because
 * its blobs are needed in another order than they come in; borrowed
 * @spool_bytes_max: cap for that
 * Returns 0 or -errno. After 0 the caller owes image_source_close.
 */
int image_source_open(struct image_source *s, const char *path, int spool_dirfd,
	uint64_t spool_bytes_max, struct err *e);
void image_source_close(struct image_source *s);

/* A source whose only blob, @name, is the whole of a file. @fd: taken over, also on failure. */
int image_source_of_file(struct image_source *s, int fd, const char *name, struct err *e);

/* Whether the image has the file @name: 1 or 0. */
int image_source_has(const struct image_source *s, const char *name);

/*
 * Find the blob @name ("blobs/sha256/…").
 * Returns 0; -ENOENT if the image lacks it; -errno. After 0 the caller owes blob_close.
 */
int image_source_blob(
	const struct image_source *s, const char *name, struct blob *ret, struct err *e);

/*
 * Read a small file whole.
 * @ret_text: with room behind it for document_parse, to be freed by the caller
 * Returns 0; -EFBIG above IMAGE_JSON_BYTES_MAX; -errno.
 */
int image_source_read(const struct image_source *s, const char *name, char **ret_text,
	size_t *ret_len, struct err *e);

#endif
