/* The CRC of partition tables: IEEE 802.3, reflected, as zlib's crc32(). */
#ifndef SAMPAN_STORAGE_CRC32_H
#define SAMPAN_STORAGE_CRC32_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32(const void *buf, size_t len);

#endif
