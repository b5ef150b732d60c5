/* Every cap of sampan-storage, with its unit. */
#ifndef SAMPAN_STORAGE_LIMITS_H
#define SAMPAN_STORAGE_LIMITS_H

/* bytes; disks have 512 or 4096 */
#define SECTOR_BYTES_MIN 512
#define SECTOR_BYTES_MAX 4096

/* bytes; of a partition table's entries. The specification's minimum, and what every tool makes by
 * default, is 16 KiB. */
#define GPT_ENTRIES_BYTES_MAX (32 * 1024)

/* bytes; where a partition starts and ends. Suits every disk's physical blocks. */
#define ALIGN_BYTES (1024 * 1024)

/* bytes; less free room than this is not worth a file system with a journal */
#define DATA_BYTES_MIN (32 * 1024 * 1024)

/* bytes; how much of a disk must be zero at its start and at its end to count as empty. Covers
 * partition tables, ext4, btrfs (64 KiB), LVM, LUKS, ZFS (512 KiB at both ends), md (the end). */
#define BLANK_HEAD_BYTES (4 * 1024 * 1024)
#define BLANK_TAIL_BYTES (1024 * 1024)

/* disks looked at */
#define DISKS_MAX 64

/* bytes, the NUL included: "nvme10n1", "mmcblk0" and their partitions */
#define DISK_NAME_BYTES_MAX 32

/* actions on one disk in one run: repair, create, format, grow; more means that the disk does not
 * keep what is written */
#define ACTIONS_MAX 8

/* milliseconds; for the disk that the firmware or boot loader named. Disks on USB take seconds. */
#define BOOT_DISK_WAIT_MS 30000

/* milliseconds without a new disk, after which buses that are slow to enumerate count as done */
#define DISKS_SETTLE_MS 2000

/* percent of memory that /var may take when there is no disk */
#define TMPFS_PERCENT 25

#endif
