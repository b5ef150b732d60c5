/*
 * Writing tar files: POSIX pax, with an extended header only where ustar has no room. The same
 * entries give the same bytes.
 * Source: POSIX.1-2017 pax, "ustar Interchange Format", "pax Extended Header"; SCHILY.xattr as
 * star, libarchive and Docker write it.
 */
#ifndef SAMPAN_IMAGE_TARWRITE_H
#define SAMPAN_IMAGE_TARWRITE_H

#include <stddef.h>
#include <stdint.h>

struct tar_writer {
	int (*write)(void *arg, const void *buf, size_t len); /* 0 or -errno */
	void *arg;
	uint64_t left;	/* bytes of data that the entry at hand still needs */
	unsigned unpad; /* bytes behind the data, up to a whole block */
};

struct tar_xattr {
	const char *name;
	const void *value;
	size_t size; /* bytes */
};

/* A directory's name ends with a slash. */
struct tar_entry {
	const char *name;
	char type; /* '0' file, '1' hard link, '2' symlink, '3' and '4' devices, '5' directory,
		      '6' fifo */
	const char *link; /* target of a link; NULL for others */
	unsigned mode;	  /* the lowest 12 bits */
	uint32_t uid, gid;
	uint64_t size; /* bytes of data; 0 for what is no file */
	int64_t mtime; /* seconds */
	unsigned major, minor;
	const struct tar_xattr *xattrs;
	size_t n_xattrs;
};

/* Each returns 0 or -errno. Of a file, exactly @size bytes of data follow its entry. */
int tar_write_entry(struct tar_writer *w, const struct tar_entry *entry);
int tar_write_data(struct tar_writer *w, const void *buf, size_t len);

/* Fill what the entry at hand still needs with zeros: a file that shrank. */
int tar_write_fill(struct tar_writer *w);
int tar_write_end(struct tar_writer *w);

/* A whole small file. */
int tar_write_file(
	struct tar_writer *w, const char *name, const void *buf, size_t len, int64_t mtime);

#endif
