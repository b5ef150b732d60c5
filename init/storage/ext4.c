#include "init/storage/ext4.h"

#include "init/storage/bytes.h"

#include <errno.h>

/* offsets in the superblock */
enum {
	S_BLOCKS_LOW = 0x4,
	S_LOG_BLOCK = 0x18,
	S_MOUNT_TIME = 0x2c,
	S_MOUNT_COUNT = 0x34,
	S_MAGIC = 0x38,
	S_INCOMPATIBLE = 0x60,
	S_LABEL = 0x78,
	S_BLOCKS_HIGH = 0x150,
};

#define MAGIC 0xef53
#define INCOMPATIBLE_64BIT 0x80
/* 64 KiB blocks */
#define LOG_BLOCK_MAX 6

int ext4_parse_super(const uint8_t *buf, size_t len, struct ext4_super *ret)
{
	uint32_t log_block;

	if (len < EXT4_SUPER_BYTES || get_le16(buf + S_MAGIC) != MAGIC)
		return -EINVAL;
	log_block = get_le32(buf + S_LOG_BLOCK);
	if (log_block > LOG_BLOCK_MAX)
		return -EINVAL;
	*ret = (struct ext4_super){
		.blocks = get_le32(buf + S_BLOCKS_LOW),
		.block_bytes = 1024U << log_block,
		.mounted_before = get_le32(buf + S_MOUNT_TIME) || get_le16(buf + S_MOUNT_COUNT),
	};
	if (get_le32(buf + S_INCOMPATIBLE) & INCOMPATIBLE_64BIT)
		ret->blocks |= (uint64_t)get_le32(buf + S_BLOCKS_HIGH) << 32;
	memcpy(ret->label, buf + S_LABEL, sizeof(ret->label) - 1);
	return 0;
}
