/* What of an ext4 superblock decides over formatting and growing. */
#ifndef SAMPAN_STORAGE_EXT4_H
#define SAMPAN_STORAGE_EXT4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bytes; where it lies in the partition, and its size */
#define EXT4_SUPER_OFFSET 1024
#define EXT4_SUPER_BYTES 1024

struct ext4_super {
	uint64_t blocks;
	uint32_t block_bytes;
	bool mounted_before; /* mke2fs leaves both the mount time and the mount count zero */
	char label[17];
};

/*
 * Read a superblock.
 * @buf: @len bytes from EXT4_SUPER_OFFSET
 * Returns 0; -EINVAL if this is none.
 * Source: kernel Documentation/filesystems/ext4/super.rst.
 */
int ext4_parse_super(const uint8_t *buf, size_t len, struct ext4_super *ret);

#endif
