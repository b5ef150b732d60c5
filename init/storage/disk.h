/* Block devices as the kernel shows them. */
#ifndef SAMPAN_STORAGE_DISK_H
#define SAMPAN_STORAGE_DISK_H

#include "init/storage/limits.h"
#include "lib/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk {
	char name[DISK_NAME_BYTES_MAX]; /* "vda", in /sys/class/block and /dev */
	uint32_t sector;		/* bytes */
	uint64_t sectors;
};

/*
 * List the disks that could hold data: whole, writable, on real hardware (no loop, RAM, device
 * mapper), not empty slots.
 * Returns how many, at most @max, ordered by name; or -errno.
 */
int disk_list(struct disk *disks, size_t max);

/* Open /dev/NAME. @flags: O_RDONLY or O_RDWR. Returns a descriptor that the caller owns or -errno.
 */
int disk_open(const char *name, int flags);

/*
 * Whether nothing was ever written to where partition tables, file systems and RAID keep their
 * labels: everything within BLANK_HEAD_BYTES and BLANK_TAIL_BYTES is zero. A disk whose labelling
 * by us was cut counts as empty, too (see gpt_update_label).
 * Returns 1, 0 or -errno.
 */
int disk_is_blank(int fd, uint32_t sector, uint64_t sectors);

/*
 * Make the kernel's view of one partition match the table, and find its device.
 * @disk_fd: the whole disk, borrowed
 * @number: counts from 1
 * @first, @last: in sectors of the disk
 * @ret_name: filled with "vda3"
 */
int disk_sync_partition(int disk_fd, const struct disk *disk, unsigned number, uint64_t first,
	uint64_t last, char ret_name[static DISK_NAME_BYTES_MAX], struct err *e);

/* Whether this machine has a bus whose disks may appear long after the kernel has started: USB,
 * NVMe, SD cards. Other drivers are done before the first process runs. */
bool disk_may_come_late(void);

/* A socket that tells of new devices; open it before the first disk_list(). Or -errno. */
int disk_watch(void);

/*
 * Wait until something happened to a block device.
 * @watch_fd: from disk_watch(), borrowed; -1 just waits
 * Returns true if so, false after @timeout_ms.
 */
bool disk_wait(int watch_fd, uint64_t timeout_ms);

#endif
