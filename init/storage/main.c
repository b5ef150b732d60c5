/*
 * sampan-storage: makes /var. Finds the data partition, or makes it in the free room of the disk
 * that was booted; checks it, grows it and mounts it. Without a disk, /var is in memory.
 *
 * Exit status: 0 /var is there; 1 /var is in memory although there is data, which was not touched;
 * 2 there is no /var.
 */
#include "init/storage/disk.h"
#include "init/storage/ext4.h"
#include "init/storage/gpt.h"
#include "init/storage/guid.h"
#include "init/storage/place.h"
#include "init/storage/plan.h"
#include "init/storage/request.h"
#include "init/storage/tool.h"
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/time.h"

#include <fcntl.h>
#include <linux/types.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define VAR "/var"
#define LOADER_PARTITION                                                                           \
	"/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

/* The kernel keeps this number out of its exported headers: fs/ext4/ext4.h. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, __u64)

enum { EXIT_VAR = 0, EXIT_DATA_REFUSED = 1, EXIT_NO_VAR = 2 };

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
	char line[ERR_MSG_MAX + 64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n] = '\n';
	/* Nobody is left to tell when the log itself fails. */
	(void)io_write_all(STDOUT_FILENO, line, (size_t)n + 1);
}

static int read_request(struct request *ret, struct err *e)
{
	char text[4096];
	uint8_t efivar[256];
	ssize_t n = io_read_file_at(AT_FDCWD, "/proc/cmdline", text, sizeof(text));
	int r;

	if (n < 0)
		return err_set(e, (int)-n, "read /proc/cmdline: %s", strerror((int)-n));
	r = request_parse(text, (size_t)n, ret, e);
	if (r < 0 || ret->has_boot)
		return r;
	/* systemd-boot and its stub say it this way */
	n = io_read_file_at(AT_FDCWD, LOADER_PARTITION, (char *)efivar, sizeof(efivar));
	ret->has_boot = n > 0 && guid_parse_efivar(efivar, (size_t)n, ret->boot) == 0;
	return 0;
}

/* All disks, and what is on them. */
struct scan {
	struct disk disks[DISKS_MAX];
	struct plan_disk found[DISKS_MAX];
	size_t count;
	bool has_boot; /* the disk that was booted from is there */
};

static void inspect(const struct disk *disk, const uint8_t *boot, struct plan_disk *ret)
{
	static struct gpt gpt;
	struct gpt_health health;
	AUTO_CLOSE int fd = disk_open(disk->name, O_RDONLY);

	*ret = (struct plan_disk){0};
	if (fd >= 0 && gpt_load(fd, disk->sector, disk->sectors, &gpt, &health) == 0)
		plan_inspect(&gpt, boot, ret);
}

static void scan_disks(const struct request *request, struct scan *ret)
{
	int n = disk_list(ret->disks, DISKS_MAX);

	ret->count = n < 0 ? 0 : (size_t)n;
	ret->has_boot = false;
	for (size_t i = 0; i < ret->count; i++) {
		inspect(&ret->disks[i], request->has_boot ? request->boot : NULL, &ret->found[i]);
		ret->has_boot = ret->has_boot || ret->found[i].was_booted;
	}
}

static const struct disk *find_named(const struct scan *scan, const char *name)
{
	for (size_t i = 0; i < scan->count; i++)
		if (strcmp(scan->disks[i].name, name) == 0)
			return &scan->disks[i];
	return NULL;
}

/* Milliseconds for which another disk could change the answer; 0: the answer stands. */
static uint64_t wait_for_more(
	const struct request *request, const struct scan *scan, bool late, uint64_t waited_ms)
{
	bool missing = request->disk[0] ? !find_named(scan, request->disk)
					: request->has_boot && !scan->has_boot;

	if (missing && waited_ms < BOOT_DISK_WAIT_MS)
		return BOOT_DISK_WAIT_MS - waited_ms;
	if (request->disk[0] || !late)
		return 0;
	for (size_t i = 0; i < scan->count; i++)
		if (scan->found[i].data == DATA_READY)
			return 0;
	return DISKS_SETTLE_MS;
}

/* Look until the disk that was booted from is there, and slow buses are done. */
static void find_disks(const struct request *request, struct scan *ret)
{
	AUTO_CLOSE int watch = disk_watch();
	uint64_t start = time_now_ms();
	bool told = false;

	for (;;) {
		uint64_t waited = time_now_ms() - start;
		uint64_t left;

		scan_disks(request, ret);
		left = wait_for_more(request, ret, disk_may_come_late(), waited);
		if (left == 0)
			return;
		if (left > DISKS_SETTLE_MS && !told) {
			say("waiting for the disk");
			told = true;
		}
		if (!disk_wait(watch, left) && left <= DISKS_SETTLE_MS)
			return;
	}
}

/* Returns the disk; NULL and -ENODEV in *ret_error when there is none; other errors are told in @e.
 */
static const struct disk *choose(
	const struct request *request, const struct scan *scan, int *ret_error, struct err *e)
{
	const struct disk *disk;
	size_t index;
	size_t other;

	if (request->disk[0]) {
		disk = find_named(scan, request->disk);
		if (!disk)
			*ret_error = err_set(
				e, ENXIO, "%s: no such disk, or it is read-only", request->disk);
		return disk;
	}
	switch (plan_choose(scan->found, scan->count, &index, &other)) {
	case CHOICE_DISK:
		return &scan->disks[index];
	case CHOICE_AMBIGUOUS:
		*ret_error = err_set(e, EEXIST,
			"both %s and %s could hold the data; choose with sampan.data=/dev/%s",
			scan->disks[index].name, scan->disks[other].name, scan->disks[index].name);
		return NULL;
	case CHOICE_NONE:
		break;
	}
	*ret_error = err_set(e, ENODEV, "no disk for data");
	return NULL;
}

static int mount_var(const char *source, const char *type, unsigned long flags, const char *options,
	struct err *e)
{
	if (mkdir(VAR, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "make " VAR ": %s", strerror(errno));
	/* Nothing on /var is a device or setuid program of the OS. Containers are not limited by
	 * this: their overlay has flags of its own. */
	if (mount(source, VAR, type, flags | MS_NOSUID | MS_NODEV, options) < 0)
		return err_set(e, errno, "mount %s on " VAR ": %s", source, strerror(errno));
	return 0;
}

static int mount_tmpfs(struct err *e)
{
	char options[64];

	snprintf(options, sizeof(options), "mode=0755,size=%d%%", TMPFS_PERCENT);
	return mount_var("tmpfs", "tmpfs", 0, options, e);
}

/* Blocks of the file system on a device that is not mounted; 0 if that cannot be told. */
static uint64_t count_blocks(const char *device, uint32_t *ret_block_bytes)
{
	AUTO_CLOSE int fd = open(device, O_RDONLY | O_CLOEXEC);
	uint8_t buf[EXT4_SUPER_BYTES];
	struct ext4_super super;

	if (fd < 0 || io_pread_all(fd, buf, sizeof(buf), EXT4_SUPER_OFFSET) < 0 ||
		ext4_parse_super(buf, sizeof(buf), &super) < 0)
		return 0;
	*ret_block_bytes = super.block_bytes;
	return super.blocks;
}

/*
 * Grow the mounted file system to the size of its partition. The kernel does it in its journal, so
 * a power cut leaves the old size or the new one; resize2fs on an unmounted one moves blocks about.
 */
static void grow_mounted(const struct place *place, uint64_t blocks, uint32_t block_bytes)
{
	AUTO_CLOSE int fd = open(VAR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs before;
	struct statfs after;
	__u64 wanted;

	if (blocks == 0 || place->bytes / block_bytes <= blocks)
		return;
	wanted = place->bytes / block_bytes;
	if (fd < 0 || fstatfs(fd, &before) < 0 || ioctl(fd, EXT4_IOC_RESIZE_FS, &wanted) < 0)
		say("%s: cannot grow the file system: %s", place->device, strerror(errno));
	/* a few blocks that make no group of their own stay unused */
	else if (fstatfs(fd, &after) == 0 && after.f_blocks != before.f_blocks)
		say("%s: the file system has grown to %llu MiB", place->device,
			(unsigned long long)(wanted * block_bytes >> 20));
}

static int mount_data(const struct request *request, struct err *e)
{
	static struct scan scan;
	struct place place;
	const struct disk *disk;
	uint32_t block_bytes = 1;
	uint64_t blocks;
	int r = 0;

	find_disks(request, &scan);
	disk = choose(request, &scan, &r, e);
	if (!disk)
		return r;
	r = place_prepare(disk, request->disk[0] != '\0', say, &place, e);
	if (r == 0)
		r = tool_check_ext4(place.device, e);
	if (r < 0)
		return r;
	blocks = count_blocks(place.device, &block_bytes);
	r = mount_var(place.device, "ext4", MS_NOATIME, "errors=remount-ro", e);
	if (r < 0)
		return r;
	grow_mounted(&place, blocks, block_bytes);
	say("%s on " VAR ", %llu MiB", place.device, (unsigned long long)(place.bytes >> 20));
	return 0;
}

static bool var_is_mounted(void)
{
	struct stat root;
	struct stat var;

	return stat("/", &root) == 0 && stat(VAR, &var) == 0 && root.st_dev != var.st_dev;
}

int main(void)
{
	struct request request;
	struct err e = {0};
	int r;

	if (var_is_mounted()) {
		say(VAR " is mounted already");
		return EXIT_VAR;
	}
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 0);
	r = read_request(&request, &e);
	if (r == 0 && request.no_disk)
		r = err_set(&e, ENODEV, "no disk wanted");
	else if (r == 0)
		r = mount_data(&request, &e);
	if (r == 0)
		return EXIT_VAR;
	say("%s", e.msg);
	if (mount_tmpfs(&e) < 0) {
		say("%s", e.msg);
		return EXIT_NO_VAR;
	}
	say("WARNING: " VAR " IS IN MEMORY (at most %d%% of it): LOST AT POWER-OFF", TMPFS_PERCENT);
	return r == -ENODEV || r == -ENOSPC ? EXIT_VAR : EXIT_DATA_REFUSED;
}
