#include "init/storage/disk.h"

#include "init/storage/gpt.h"
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <unistd.h>

#define SYS_BLOCK "/sys/class/block"
/* bytes of a path below it */
#define PATH_BYTES (sizeof(SYS_BLOCK) + 2 * DISK_NAME_BYTES_MAX + 16)
/* bytes; what the kernel counts sizes in, whatever the disk's sectors are */
#define KERNEL_SECTOR 512

/* A number from /sys/class/block/NAME/FILE. */
static int read_number(const char *name, const char *file, uint64_t *ret)
{
	char path[PATH_BYTES + DISK_NAME_BYTES_MAX];
	char text[32];
	ssize_t n;

	snprintf(path, sizeof(path), SYS_BLOCK "/%s/%s", name, file);
	n = io_read_file_at(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	if (n > 0 && text[n - 1] == '\n')
		n--;
	return num_parse_u64(text, (size_t)n, UINT64_MAX, ret);
}

static bool has(const char *name, const char *file)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), SYS_BLOCK "/%s/%s", name, file);
	return access(path, F_OK) == 0;
}

static bool is_candidate(const char *name)
{
	uint64_t value;

	if (strlen(name) >= DISK_NAME_BYTES_MAX || name[0] == '.')
		return false;
	/* "device" leads to hardware; "hidden" marks one path of several to an NVMe disk */
	if (!has(name, "device") || has(name, "partition"))
		return false;
	if (read_number(name, "ro", &value) < 0 || value != 0)
		return false;
	if (read_number(name, "hidden", &value) == 0 && value != 0)
		return false;
	return read_number(name, "size", &value) == 0 && value != 0;
}

static int measure(struct disk *disk)
{
	AUTO_CLOSE int fd = disk_open(disk->name, O_RDONLY);
	uint64_t bytes;
	int sector;

	if (fd < 0)
		return fd;
	if (ioctl(fd, BLKSSZGET, &sector) < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return -errno;
	if (sector < SECTOR_BYTES_MIN || sector > SECTOR_BYTES_MAX)
		return -EINVAL;
	disk->sector = (uint32_t)sector;
	disk->sectors = bytes / (uint32_t)sector;
	return 0;
}

/* Keeps the list ordered: the kernel lists in no particular order. */
static size_t insert(struct disk *disks, size_t count, size_t max, const struct disk *disk)
{
	size_t at = count < max ? count : max - 1;

	if (count == max && strcmp(disks[at].name, disk->name) <= 0)
		return count;
	while (at > 0 && strcmp(disks[at - 1].name, disk->name) > 0) {
		disks[at] = disks[at - 1];
		at--;
	}
	disks[at] = *disk;
	return count < max ? count + 1 : max;
}

int disk_list(struct disk *disks, size_t max)
{
	DIR *dir = opendir(SYS_BLOCK);
	struct dirent *entry;
	size_t count = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		struct disk disk = {0};

		if (!is_candidate(entry->d_name))
			continue;
		memcpy(disk.name, entry->d_name, strlen(entry->d_name));
		if (measure(&disk) == 0)
			count = insert(disks, count, max, &disk);
	}
	closedir(dir);
	return (int)count;
}

int disk_open(const char *name, int flags)
{
	char path[DISK_NAME_BYTES_MAX + 8];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Returns 1 if bytes @from to @end are zero, 0 or -errno. */
static int is_zero(int fd, uint64_t from, uint64_t end)
{
	static const uint8_t zero[32 * 1024];
	static uint8_t buf[sizeof(zero)];

	while (from < end) {
		size_t n = end - from < sizeof(buf) ? (size_t)(end - from) : sizeof(buf);
		int r = io_pread_all(fd, buf, n, from);

		if (r < 0)
			return r;
		if (memcmp(buf, zero, n) != 0)
			return 0;
		from += n;
	}
	return 1;
}

int disk_is_blank(int fd, uint32_t sector, uint64_t sectors)
{
	uint64_t bytes = sectors * sector;
	uint64_t head = 0;
	uint64_t tail = bytes;
	uint8_t mbr[SECTOR_BYTES_MAX];
	int r;

	if (bytes < BLANK_HEAD_BYTES + BLANK_TAIL_BYTES)
		return 0;
	r = io_pread_all(fd, mbr, sector, 0);
	if (r < 0)
		return r;
	if (gpt_is_own_mbr(mbr, sector, sectors)) {
		/* our own unfinished copies may lie between; 128 entries of 128 bytes each */
		uint64_t table = 128 * 128;

		head = 2 * (uint64_t)sector + table;
		tail = bytes - sector - table;
	}
	r = is_zero(fd, head, BLANK_HEAD_BYTES);
	return r == 1 ? is_zero(fd, bytes - BLANK_TAIL_BYTES, tail) : r;
}

/* The kernel's name of partition @number; 0, or -ENOENT while the kernel does not know it. */
static int find_partition(const struct disk *disk, unsigned number, char *ret_name)
{
	char path[PATH_BYTES];
	struct dirent *entry;
	DIR *dir;
	int r = -ENOENT;

	snprintf(path, sizeof(path), SYS_BLOCK "/%s", disk->name);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (r < 0 && (entry = readdir(dir))) {
		uint64_t value;

		if (strlen(entry->d_name) >= DISK_NAME_BYTES_MAX || entry->d_name[0] == '.' ||
			read_number(entry->d_name, "partition", &value) < 0 || value != number)
			continue;
		memcpy(ret_name, entry->d_name, strlen(entry->d_name) + 1);
		r = 0;
	}
	closedir(dir);
	return r;
}

static int blkpg(int fd, int op, unsigned number, uint64_t start, uint64_t len)
{
	struct blkpg_partition part = {
		.start = (long long)start,
		.length = (long long)len,
		.pno = (int)number,
	};
	struct blkpg_ioctl_arg arg = {.op = op, .datalen = sizeof(part), .data = &part};

	return ioctl(fd, BLKPG, &arg) < 0 ? -errno : 0;
}

int disk_sync_partition(int disk_fd, const struct disk *disk, unsigned number, uint64_t first,
	uint64_t last, char ret_name[static DISK_NAME_BYTES_MAX], struct err *e)
{
	uint64_t start = first * disk->sector;
	uint64_t len = (last - first + 1) * disk->sector;
	uint64_t known_start = 0;
	uint64_t known_len = 0;
	int r = find_partition(disk, number, ret_name);

	if (r == 0 && read_number(ret_name, "start", &known_start) == 0 &&
		read_number(ret_name, "size", &known_len) == 0 &&
		known_start * KERNEL_SECTOR != start) {
		r = blkpg(disk_fd, BLKPG_DEL_PARTITION, number, 0, 0);
		if (r < 0)
			return err_set(e, -r, "%s: forget partition %u: %s", disk->name, number,
				strerror(-r));
		r = -ENOENT;
	}
	if (r == 0 && known_len * KERNEL_SECTOR == len)
		return 0;
	r = blkpg(
		disk_fd, r == 0 ? BLKPG_RESIZE_PARTITION : BLKPG_ADD_PARTITION, number, start, len);
	if (r == 0)
		r = find_partition(disk, number, ret_name);
	if (r < 0)
		return err_set(e, -r, "%s: tell the kernel of partition %u: %s", disk->name, number,
			strerror(-r));
	return 0;
}
