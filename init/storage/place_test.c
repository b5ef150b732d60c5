/*
 * The whole preparation of a disk, with the power cut at every write: between two writes, and in
 * the middle of each with any part of it on the disk. After every cut the next run must finish.
 */
/* LDFLAGS: -Wl,--wrap=pwrite,--wrap=fsync,--wrap=open,--wrap=disk_open */
/* LDFLAGS: -Wl,--wrap=disk_sync_partition,--wrap=tool_make_ext4 */
#include "init/storage/place.h"

#include "init/storage/ext4.h"
#include "init/storage/gpt.h"
#include "init/storage/plan.h"
#include "init/storage/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (1024 * 1024ULL)
#define SMALL (64 * MIB)
#define LARGE (96 * MIB)
#define ESP_FIRST_MIB 2
#define ESP_LAST_MIB 8
/* what the preparation may write: the tables at both ends, also of the smaller disk, and the
 * superblock of the data partition */
#define WINDOW_BYTES (64 * 1024)
#define WINDOWS 4

static const uint8_t esp_guid[GUID_BYTES] = "esp-of-the-test";

/* A disk: an unlinked file, and how much of what was written would outlive a power cut. */
static int file = -1;
static struct disk disk;
static uint64_t data_offset; /* bytes; where the data partition must begin */
static uint8_t durable[WINDOWS][WINDOW_BYTES];
static uint8_t pending[WINDOW_BYTES];
static uint64_t pending_offset;
static size_t pending_len;
static unsigned events; /* writes, syncs and mke2fs so far */
static unsigned cut_at; /* the event at which the power goes; 0: never */
static unsigned formats;
static int opened = -1;
static jmp_buf power_cut;

ssize_t __real_pwrite(int fd, const void *buf, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t offset);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_fsync(int fd);
int __wrap_disk_open(const char *name, int flags);
int __wrap_disk_sync_partition(int disk_fd, const struct disk *d, unsigned number, uint64_t first,
	uint64_t last, char *ret_name, struct err *e);
int __wrap_tool_make_ext4(const char *device, struct err *e);

static uint64_t disk_bytes(void)
{
	return disk.sectors * disk.sector;
}

static uint64_t window_offset(int window)
{
	uint64_t bytes = disk_bytes();
	const uint64_t offsets[WINDOWS] = {0, data_offset,
		(bytes < SMALL ? bytes : SMALL) - WINDOW_BYTES, bytes - WINDOW_BYTES};

	return offsets[window];
}

static void keep_durable(void)
{
	for (int i = 0; i < WINDOWS; i++)
		assert_int_equal(pread(file, durable[i], WINDOW_BYTES, (off_t)window_offset(i)),
			WINDOW_BYTES);
	pending_len = 0;
}

static void restore_durable(void)
{
	for (int i = 0; i < WINDOWS; i++)
		assert_int_equal(
			__real_pwrite(file, durable[i], WINDOW_BYTES, (off_t)window_offset(i)),
			WINDOW_BYTES);
}

static void event(void)
{
	if (++events == cut_at)
		longjmp(power_cut, 1);
}

ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	assert_true(len <= sizeof(pending));
	assert_true(offset % disk.sector == 0 && len % disk.sector == 0);
	assert_int_equal(pending_len, 0); /* the one before was synced */
	memcpy(pending, buf, len);
	pending_offset = (uint64_t)offset;
	pending_len = len;
	event();
	return __real_pwrite(fd, buf, len, offset);
}

int __wrap_fsync(int fd)
{
	(void)fd;
	event();
	keep_durable();
	return 0;
}

int __wrap_disk_open(const char *name, int flags)
{
	(void)name;
	(void)flags;
	opened = dup(file);
	return opened;
}

int __wrap_disk_sync_partition(int disk_fd, const struct disk *d, unsigned number, uint64_t first,
	uint64_t last, char *ret_name, struct err *e)
{
	(void)disk_fd;
	(void)d;
	(void)last;
	(void)e;
	assert_int_equal(first * disk.sector, data_offset);
	snprintf(ret_name, DISK_NAME_BYTES_MAX, "test%u", number);
	return 0;
}

/* The partition's device: its first bytes, in a file of its own. */
int __wrap_open(const char *path, int flags, ...)
{
	uint8_t head[4096];
	int fd;

	if (strncmp(path, "/dev/test", 9) != 0)
		return __real_open(path, flags, 0600);
	assert_int_equal(pread(file, head, sizeof(head), (off_t)data_offset), sizeof(head));
	fd = memfd_create("partition", MFD_CLOEXEC);
	assert_int_equal(__real_pwrite(fd, head, sizeof(head), 0), sizeof(head));
	return fd;
}

static void put_super(uint16_t mount_count, const char *label)
{
	uint8_t super[EXT4_SUPER_BYTES] = {0};

	super[0x38] = 0x53;
	super[0x39] = 0xef;
	super[0x34] = (uint8_t)mount_count;
	snprintf((char *)super + 0x78, 16, "%s", label);
	assert_int_equal(
		__real_pwrite(file, super, sizeof(super), (off_t)(data_offset + EXT4_SUPER_OFFSET)),
		sizeof(super));
}

int __wrap_tool_make_ext4(const char *device, struct err *e)
{
	(void)device;
	(void)e;
	event(); /* nothing of it on the disk */
	put_super(0, DATA_NAME);
	formats++;
	event(); /* cut before its sync */
	keep_durable();
	return 0;
}

static void quiet(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void quiet(const char *fmt, ...)
{
	(void)fmt;
}

static void new_file(uint64_t bytes)
{
	if (file >= 0)
		close(file);
	file = memfd_create("disk", MFD_CLOEXEC);
	assert_int_equal(ftruncate(file, (off_t)bytes), 0);
	disk.sectors = bytes / disk.sector;
	formats = 0;
	cut_at = 0;
}

/* As images/ ships it: an ESP of ours, free room behind it. */
static void ship(uint64_t bytes)
{
	static struct gpt gpt;
	static struct gpt_update update;
	struct gpt_part esp = {.name = ESP_NAME};
	const char *step;

	data_offset = ESP_LAST_MIB * MIB;
	new_file(bytes);
	gpt_init(&gpt, disk.sector, disk.sectors, esp_guid);
	memcpy(esp.type, plan_esp_type, GUID_BYTES);
	memcpy(esp.guid, esp_guid, GUID_BYTES);
	esp.first = ESP_FIRST_MIB * MIB / disk.sector;
	esp.last = ESP_LAST_MIB * MIB / disk.sector - 1;
	gpt_set_part(&gpt, 1, &esp);
	gpt_update_label(&gpt, &update);
	pending_len = 0;
	assert_int_equal(gpt_write(file, &update, &step), 0);
	keep_durable();
}

/* Returns false when the power was cut. */
static bool run(bool may_label, unsigned cut, int *ret, struct err *e)
{
	struct place place;

	events = 0;
	cut_at = cut;
	pending_len = 0;
	if (setjmp(power_cut)) {
		close(opened);
		return false;
	}
	*ret = place_prepare(&disk, may_label, quiet, &place, e);
	return true;
}

static void assert_finished(bool has_esp)
{
	static struct gpt gpt;
	struct gpt_health health;
	struct gpt_part part;
	struct plan_disk found;
	struct ext4_super super;
	uint8_t buf[EXT4_SUPER_BYTES];
	unsigned used = 0;

	assert_int_equal(gpt_load(file, disk.sector, disk.sectors, &gpt, &health), 0);
	assert_true(health.primary && health.backup);
	assert_int_equal(gpt.backup_lba, disk.sectors - 1);
	assert_int_equal(plan_next(&gpt, &health), PLAN_USE);
	plan_inspect(&gpt, NULL, &found);
	assert_int_equal(found.data, DATA_READY);
	assert_int_equal(found.is_boot, has_esp);
	for (uint32_t i = 0; i < gpt.entry_count; i++) {
		gpt_get_part(&gpt, i, &part);
		used += gpt_part_used(&part);
	}
	assert_int_equal(used, has_esp ? 2 : 1);
	if (has_esp) {
		gpt_get_part(&gpt, 1, &part);
		assert_memory_equal(part.guid, esp_guid, GUID_BYTES);
		assert_int_equal(part.first, ESP_FIRST_MIB * MIB / disk.sector);
		assert_int_equal(part.last, ESP_LAST_MIB * MIB / disk.sector - 1);
	}
	gpt_get_part(&gpt, found.data_index, &part);
	assert_true((part.last + 1) * disk.sector > disk_bytes() - 2 * MIB);
	assert_int_equal(pread(file, buf, sizeof(buf), (off_t)(data_offset + EXT4_SUPER_OFFSET)),
		sizeof(buf));
	assert_int_equal(ext4_parse_super(buf, sizeof(buf), &super), 0);
	assert_string_equal(super.label, DATA_NAME);
}

static void finish(bool may_label, bool has_esp)
{
	struct err e = {0};
	int r = -1;

	assert_true(run(may_label, 0, &r, &e));
	if (r < 0)
		fail_msg("not finished: %s", e.msg);
	assert_finished(has_esp);
}

/* The pending write, torn: only sectors @from to @end of it reached the disk. */
static void tear(size_t from, size_t end)
{
	restore_durable();
	if (end > from)
		assert_true(__real_pwrite(file, pending + from * disk.sector,
				    (end - from) * disk.sector,
				    (off_t)(pending_offset + from * disk.sector)) > 0);
}

/*
 * Cut the power at event @cut, then try everything that could be on the disk. Returns false when
 * the run has no such event.
 */
static bool try_cut(unsigned cut, bool may_label, bool has_esp, bool keeps_data)
{
	uint8_t before[WINDOWS][WINDOW_BYTES];
	unsigned formats_before;
	size_t sectors;
	struct err e;
	int r;

	if (run(may_label, cut, &r, &e))
		return false;
	sectors = pending_len / disk.sector;
	memcpy(before, durable, sizeof(before));
	formats_before = formats;
	for (size_t n = 0; n <= 2 * sectors; n++) {
		uint8_t write[WINDOW_BYTES];
		uint64_t offset = pending_offset;
		size_t len = pending_len;

		memcpy(write, pending, sizeof(write));
		tear(n <= sectors ? 0 : n - sectors, n <= sectors ? n : sectors);
		finish(may_label, has_esp);
		if (keeps_data)
			assert_int_equal(formats, formats_before);
		memcpy(durable, before, sizeof(before));
		memcpy(pending, write, sizeof(write));
		pending_offset = offset;
		pending_len = len;
	}
	return true;
}

static void each_sector_size(void (*test)(void))
{
	const uint32_t sizes[] = {512, 4096};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		disk = (struct disk){.name = "test", .sector = sizes[i]};
		test();
	}
}

static void cut_first_boots(void)
{
	unsigned cut = 1;

	for (;; cut++) {
		ship(SMALL);
		if (!try_cut(cut, false, true, false))
			break;
	}
	/* two tables of four writes, each with its sync, and mke2fs */
	assert_true(cut >= 18);
}

static void first_boot_survives_a_cut_at_every_write(void **state)
{
	(void)state;
	each_sector_size(cut_first_boots);
}

/* A disk in use that became larger while the machine was off. */
static void grow_disk(void)
{
	ship(SMALL);
	finish(false, true);
	put_super(1, DATA_NAME);
	assert_int_equal(ftruncate(file, LARGE), 0);
	disk.sectors = LARGE / disk.sector;
	keep_durable();
}

static void cut_growing(void)
{
	unsigned cut = 1;

	for (;; cut++) {
		grow_disk();
		if (!try_cut(cut, false, true, true))
			break;
	}
	assert_true(cut >= 8);
}

static void growing_survives_a_cut_at_every_write(void **state)
{
	(void)state;
	each_sector_size(cut_growing);
}

static void cut_labelling(void)
{
	unsigned cut = 1;

	for (;; cut++) {
		data_offset = MIB;
		new_file(SMALL);
		keep_durable();
		if (!try_cut(cut, true, false, false))
			break;
	}
	assert_true(cut >= 20);
}

static void labelling_survives_a_cut_at_every_write(void **state)
{
	(void)state;
	each_sector_size(cut_labelling);
}

static void cut_twice(void)
{
	struct err e;
	int r;

	for (unsigned first = 1;; first++) {
		unsigned second;

		for (second = 1;; second++) {
			ship(SMALL);
			if (run(false, first, &r, &e))
				return;
			tear(0, pending_len / disk.sector / 2);
			keep_durable();
			if (run(false, second, &r, &e))
				break;
			tear(0, pending_len / disk.sector / 2);
			finish(false, true);
		}
		assert_true(second > 1);
	}
}

static void recovery_survives_a_cut_at_every_write(void **state)
{
	(void)state;
	each_sector_size(cut_twice);
}

static void unrename(void)
{
	static struct gpt gpt;
	static struct gpt_update update;
	struct gpt_health health;
	struct gpt_part part;
	const char *step;

	assert_int_equal(gpt_load(file, disk.sector, disk.sectors, &gpt, &health), 0);
	gpt_get_part(&gpt, 0, &part);
	assert_string_equal(part.name, DATA_NAME);
	memcpy(part.name, DATA_NAME_NEW, sizeof(DATA_NAME_NEW));
	gpt_set_part(&gpt, 0, &part);
	gpt_update_full(&gpt, &update);
	cut_at = 0;
	assert_int_equal(gpt_write(file, &update, &step), 0);
}

static void used_file_system_is_never_formatted(void **state)
{
	(void)state;
	disk = (struct disk){.name = "test", .sector = 512};
	/* an image written over a disk that was in use: free room, old data in it */
	ship(SMALL);
	put_super(1, DATA_NAME);
	finish(false, true);
	assert_int_equal(formats, 0);
	/* the same, from the moment the table is back to before the rename */
	ship(SMALL);
	finish(false, true);
	assert_int_equal(formats, 1);
	put_super(1, DATA_NAME);
	unrename();
	finish(false, true);
	assert_int_equal(formats, 1);
	/* never mounted: nothing is lost, and mke2fs may have been cut */
	put_super(0, DATA_NAME);
	unrename();
	finish(false, true);
	assert_int_equal(formats, 2);
}

static void foreign_content_in_free_room_is_no_data(void **state)
{
	(void)state;
	disk = (struct disk){.name = "test", .sector = 512};
	ship(SMALL);
	put_super(1, "other");
	finish(false, true);
	assert_int_equal(formats, 1);
}

static void named_disk_with_anything_on_it_is_left_alone(void **state)
{
	/* byte offsets where something keeps its label */
	const uint64_t places[] = {0, 510, 1080, 65600, 512 * 1024, 4 * MIB - 1, SMALL - MIB,
		SMALL - 65536, SMALL - 1};
	struct err e;
	int r;

	(void)state;
	disk = (struct disk){.name = "test", .sector = 512};
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		new_file(SMALL);
		assert_int_equal(__real_pwrite(file, "x", 1, (off_t)places[i]), 1);
		assert_true(run(true, 0, &r, &e));
		assert_int_equal(r, -ENOTEMPTY);
		assert_int_equal(events, 0);
	}
}

static void disk_without_a_table_is_not_labelled_unasked(void **state)
{
	struct err e;
	int r;

	(void)state;
	disk = (struct disk){.name = "test", .sector = 512};
	new_file(SMALL);
	assert_true(run(false, 0, &r, &e));
	assert_int_equal(r, -ENOENT);
	assert_int_equal(events, 0);
}

static void full_disk_is_left_as_it_is(void **state)
{
	struct err e;
	int r;

	(void)state;
	disk = (struct disk){.name = "test", .sector = 512};
	ship(ESP_LAST_MIB * MIB + DATA_BYTES_MIN);
	events = 0;
	assert_true(run(false, 0, &r, &e));
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(events, 0);
	assert_string_equal(e.msg, "test: no data partition, and less than 32 MiB free for one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_boot_survives_a_cut_at_every_write),
		cmocka_unit_test(growing_survives_a_cut_at_every_write),
		cmocka_unit_test(labelling_survives_a_cut_at_every_write),
		cmocka_unit_test(recovery_survives_a_cut_at_every_write),
		cmocka_unit_test(used_file_system_is_never_formatted),
		cmocka_unit_test(foreign_content_in_free_room_is_no_data),
		cmocka_unit_test(named_disk_with_anything_on_it_is_left_alone),
		cmocka_unit_test(disk_without_a_table_is_not_labelled_unasked),
		cmocka_unit_test(full_disk_is_left_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
