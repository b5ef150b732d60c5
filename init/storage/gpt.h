/*
 * A GUID partition table: read, changed in memory, and turned into numbered writes.
 *
 * Two copies lie on a disk: the primary one (header in sector 1) and the backup one (header in the
 * last sector). A copy counts when the checksums of its header and of its entries hold. Changes
 * are ordered so that at every instant at least one copy counts: see gpt_update_full().
 *
 * Source: UEFI specification 2.10, chapter 5 "GUID Partition Table (GPT) Disk Layout".
 */
#ifndef SAMPAN_STORAGE_GPT_H
#define SAMPAN_STORAGE_GPT_H

#include "init/storage/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUID_BYTES 16
/* "EFI PART", little-endian */
#define GPT_SIGNATURE 0x5452415020494645ULL
#define GPT_NAME_BYTES 72 /* UTF-16LE, 36 units */

/* One header, as it stands on the disk. LBA counts sectors. */
struct gpt_header {
	uint64_t own_lba;
	uint64_t other_lba;
	uint64_t first_usable;
	uint64_t last_usable;
	uint64_t entries_lba;
	uint32_t entry_count;
	uint32_t entry_size;
	uint32_t entries_crc;
	uint8_t disk_guid[GUID_BYTES];
};

struct gpt {
	uint32_t sector;      /* bytes */
	uint64_t sectors;     /* of the disk */
	uint64_t entries_lba; /* of the primary copy */
	uint64_t backup_lba;  /* header of the backup copy */
	uint64_t first_usable;
	uint64_t last_usable;
	uint32_t entry_count;
	uint32_t entry_size;
	uint8_t disk_guid[GUID_BYTES];
	uint8_t entries[GPT_ENTRIES_BYTES_MAX]; /* as on the disk; zero behind the last one */
};

struct gpt_part {
	uint8_t type[GUID_BYTES]; /* all zero: the entry is unused */
	uint8_t guid[GUID_BYTES];
	uint64_t first;
	uint64_t last;			   /* inclusive */
	char name[GPT_NAME_BYTES / 2 + 1]; /* '?' for what is not ASCII */
};

/* Which copies counted when the table was loaded. */
struct gpt_health {
	bool primary;
	bool backup; /* at gpt.backup_lba */
};

/* One write. @data belongs to the update or to its gpt. */
struct gpt_step {
	const char *what;
	uint64_t offset; /* bytes */
	const uint8_t *data;
	size_t len;
};

#define GPT_STEPS_MAX 5

/* The steps of one change; each must be on the disk before the next one begins. */
struct gpt_update {
	struct gpt_step steps[GPT_STEPS_MAX];
	size_t count;
	uint8_t mbr[SECTOR_BYTES_MAX];
	uint8_t primary[SECTOR_BYTES_MAX];
	uint8_t backup[SECTOR_BYTES_MAX];
};

/*
 * Check one header.
 * @buf: the sector, @len bytes
 * @lba: where it was read from
 * @sectors: of the disk
 * Returns 0; -EINVAL if this is no header, or not one that can be trusted; -E2BIG if it has more
 * entries than Sampan reads.
 */
int gpt_parse_header(
	const uint8_t *buf, size_t len, uint64_t lba, uint64_t sectors, struct gpt_header *ret);

/*
 * Load a disk's table from whichever copy counts, the primary one first.
 * @fd: the disk or a file, borrowed
 * @sector: bytes
 * Returns 0; -ENOENT if no copy counts; otherwise -errno. @ret is scratch on failure.
 */
int gpt_load(
	int fd, uint32_t sector, uint64_t sectors, struct gpt *ret, struct gpt_health *ret_health);

/* An empty table for a disk of @sectors sectors; @disk_guid should be random. */
void gpt_init(struct gpt *gpt, uint32_t sector, uint64_t sectors, const uint8_t *disk_guid);

/* Let the table end where the disk ends. Returns 0; -ENOSPC if a partition is in the way. */
int gpt_fit_disk(struct gpt *gpt);

/* The size of the entries on the disk, whole sectors. */
uint64_t gpt_entries_sectors(const struct gpt *gpt);

bool gpt_part_used(const struct gpt_part *part);

/* Read entry @index, which is below entry_count. */
void gpt_get_part(const struct gpt *gpt, uint32_t index, struct gpt_part *ret);

/* Write entry @index: all but its attributes, which stay. */
void gpt_set_part(struct gpt *gpt, uint32_t index, const struct gpt_part *part);

/* Whether all partitions lie in the usable sectors and none overlaps another. A table that fails
 * this is not changed. */
bool gpt_is_sane(const struct gpt *gpt);

/* Write the primary copy anew, from a table loaded from the backup copy. */
void gpt_update_primary(const struct gpt *gpt, struct gpt_update *ret);

/*
 * Write both copies: backup entries, backup header, primary entries, primary header. The primary
 * copy on the disk must count when this begins: it is what a cut during the first two steps leaves;
 * a cut during the other two leaves the new backup copy.
 */
void gpt_update_full(const struct gpt *gpt, struct gpt_update *ret);

/*
 * Add a step that makes the protective MBR cover the disk, when it does not.
 * @mbr: sector 0 as it is; everything else in it stays
 */
void gpt_update_mbr(const struct gpt *gpt, const uint8_t *mbr, struct gpt_update *update);

/*
 * The steps that label an empty disk: a protective MBR of ours first, so that a disk on which this
 * was cut is recognised (gpt_is_own_mbr), then the copies.
 */
void gpt_update_label(const struct gpt *gpt, struct gpt_update *ret);

/* Whether sector 0 is what gpt_update_label() writes on a disk of this size. */
bool gpt_is_own_mbr(const uint8_t *mbr, uint32_t sector, uint64_t sectors);

/* Do the steps: write, fsync, next. Returns 0 or -errno; *ret_step is the step that failed. */
int gpt_write(int fd, const struct gpt_update *update, const char **ret_step);

#endif
