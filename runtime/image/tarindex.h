/*
 * An image that is one uncompressed tar file (an OCI layout in a tar, `docker save`): where each of
 * its members lies, so that blobs are read in place, in any order, without a copy.
 * Layers are not read with this; libarchive does that.
 */
#ifndef SAMPAN_IMAGE_TARINDEX_H
#define SAMPAN_IMAGE_TARINDEX_H

#include "lib/base/err.h"

#include <stddef.h>
#include <stdint.h>

#define TAR_BLOCK_BYTES 512

struct tar_member {
	char *name;	 /* clean: relative, no "." components */
	char *link;	 /* target of a symlink or hard link, as written; NULL for a file */
	int symlink;	 /* the target is relative to the member's directory, not to the archive */
	uint64_t offset; /* bytes, of the data in the file */
	uint64_t size;	 /* bytes */
};

struct tar_index {
	struct tar_member *members;
	size_t n_members;
};

/*
 * Index the tar file @fd (seekable, borrowed).
 * @file_bytes: its size
 * Returns 0; -EINVAL for no tar or a truncated one; -EFBIG for too many members; -errno.
 * After 0 the caller owes tar_index_free.
 */
int tar_index_read(int fd, uint64_t file_bytes, struct tar_index *ret, struct err *e);
void tar_index_free(struct tar_index *index);

/* Find the file @name, links followed inside the archive; NULL if there is none. */
const struct tar_member *tar_index_find(const struct tar_index *index, const char *name);

/*
 * Parse one header block. Pure.
 * @ret_type: its type flag; '\0' when the block is all zero (end of the archive)
 * @ret_size: bytes of data that follow
 * Returns 0 or -EINVAL.
 */
int tar_header_parse(
	const unsigned char block[static TAR_BLOCK_BYTES], char *ret_type, uint64_t *ret_size);

#endif
