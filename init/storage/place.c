#include "init/storage/place.h"

#include "init/storage/ext4.h"
#include "init/storage/gpt.h"
#include "init/storage/plan.h"
#include "init/storage/tool.h"
#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

/* Everything about the disk that is worked on. */
struct work {
	int fd;
	const struct disk *disk;
	place_say *say;
	struct gpt gpt;
	struct gpt_health health;
	struct gpt_update update;
	struct gpt_part part; /* the data partition, once there is one */
	uint32_t index;	      /* its entry */
	char device[DISK_NAME_BYTES_MAX + 8];
};

static int commit(struct work *w, struct err *e)
{
	const char *step = "";
	int r = gpt_write(w->fd, &w->update, &step);

	if (r < 0)
		return err_set(e, -r, "%s: write %s: %s", w->disk->name, step, strerror(-r));
	return 0;
}

static unsigned long long part_mib(const struct work *w)
{
	return (w->part.last - w->part.first + 1) * w->disk->sector >> 20;
}

/* RFC 4122, version 4 */
static int random_guid(uint8_t guid[static GUID_BYTES], struct err *e)
{
	if (getrandom(guid, GUID_BYTES, 0) != GUID_BYTES)
		return err_set(e, EIO, "no random numbers: %s", strerror(errno));
	guid[7] = (uint8_t)((guid[7] & 0x0f) | 0x40);
	guid[8] = (uint8_t)((guid[8] & 0x3f) | 0x80);
	return 0;
}

/* Where there was a file system of ours that somebody has used, there is data. */
static bool holds_used_data(int fd)
{
	uint8_t buf[EXT4_SUPER_BYTES];
	struct ext4_super super;

	return io_pread_all(fd, buf, sizeof(buf), EXT4_SUPER_OFFSET) == 0 &&
	       ext4_parse_super(buf, sizeof(buf), &super) == 0 && super.mounted_before &&
	       strcmp(super.label, DATA_NAME) == 0;
}

/* Make the kernel know the data partition as the table has it. */
static int sync_partition(struct work *w, struct err *e)
{
	char name[DISK_NAME_BYTES_MAX];
	struct plan_disk found;
	int r;

	plan_inspect(&w->gpt, NULL, &found);
	w->index = found.data_index;
	gpt_get_part(&w->gpt, w->index, &w->part);
	r = disk_sync_partition(w->fd, w->disk, w->index + 1, w->part.first, w->part.last, name, e);
	if (r == 0)
		snprintf(w->device, sizeof(w->device), "/dev/%s", name);
	return r;
}

static int repair_primary(struct work *w, struct err *e)
{
	int r;

	w->say("%s: the partition table is damaged; restoring it from its copy", w->disk->name);
	gpt_update_primary(&w->gpt, &w->update);
	r = commit(w, e);
	if (r < 0)
		return r;
	/* The kernel saw no partitions. It refuses when one is in use, and then it knows them. */
	(void)ioctl(w->fd, BLKRRPART);
	return 0;
}

/* Both copies, and a protective MBR that covers the disk. */
static int write_table(struct work *w, struct err *e)
{
	uint8_t mbr[SECTOR_BYTES_MAX];
	int r = gpt_fit_disk(&w->gpt);

	if (r < 0)
		return err_set(
			e, -r, "%s: no room for the copy of the partition table", w->disk->name);
	gpt_update_full(&w->gpt, &w->update);
	if (io_pread_all(w->fd, mbr, w->disk->sector, 0) == 0)
		gpt_update_mbr(&w->gpt, mbr, &w->update);
	return commit(w, e);
}

static int repair_backup(struct work *w, struct err *e)
{
	w->say("%s: writing the copy of the partition table to the end of the disk", w->disk->name);
	return write_table(w, e);
}

static int create(struct work *w, struct err *e)
{
	uint8_t guid[GUID_BYTES];
	int r = random_guid(guid, e);

	if (r < 0)
		return r;
	r = plan_add_data(&w->gpt, guid, &w->index);
	if (r < 0)
		return err_set(e, -r, "%s: no free entry in the partition table", w->disk->name);
	gpt_get_part(&w->gpt, w->index, &w->part);
	w->say("%s: making the data partition, %llu MiB", w->disk->name, part_mib(w));
	return write_table(w, e);
}

static int format(struct work *w, struct err *e)
{
	int r = sync_partition(w, e);

	if (r < 0)
		return r;

	AUTO_CLOSE int fd = open(w->device, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, errno, "open %s: %s", w->device, strerror(errno));
	if (holds_used_data(fd)) {
		w->say("%s: taking over the data of an earlier installation", w->device);
	} else {
		w->say("%s: making the file system", w->device);
		r = tool_make_ext4(w->device, e);
		if (r < 0)
			return r;
	}
	plan_rename_data(&w->gpt, w->index);
	return write_table(w, e);
}

static int grow(struct work *w, struct err *e)
{
	struct plan_disk found;

	plan_inspect(&w->gpt, NULL, &found);
	plan_grow_data(&w->gpt, found.data_index);
	gpt_get_part(&w->gpt, found.data_index, &w->part);
	w->say("%s: growing the data partition to %llu MiB", w->disk->name, part_mib(w));
	return write_table(w, e);
}

static int no_room(struct work *w, struct err *e)
{
	return err_set(e, ENOSPC, "%s: no data partition, and less than %d MiB free for one",
		w->disk->name, DATA_BYTES_MIN >> 20);
}

static int refuse(struct work *w, struct err *e)
{
	return err_set(
		e, EUCLEAN, "%s: partitions overlap or lie outside of the disk", w->disk->name);
}

static int (*const actions[])(struct work *, struct err *) = {
	[PLAN_REPAIR_PRIMARY] = repair_primary,
	[PLAN_REPAIR_BACKUP] = repair_backup,
	[PLAN_CREATE] = create,
	[PLAN_FORMAT] = format,
	[PLAN_GROW] = grow,
	[PLAN_NO_ROOM] = no_room,
	[PLAN_REFUSE] = refuse,
};

/* A disk that the user named and that has no table. */
static int label(struct work *w, struct err *e)
{
	uint8_t guid[GUID_BYTES];
	int r = disk_is_blank(w->fd, w->disk->sector, w->disk->sectors);

	if (r < 0)
		return err_set(e, -r, "%s: read: %s", w->disk->name, strerror(-r));
	if (r == 0)
		return err_set(e, ENOTEMPTY, "%s: not empty, and not Sampan's: left as it is",
			w->disk->name);
	r = random_guid(guid, e);
	if (r < 0)
		return r;
	w->say("%s: making a partition table on the empty disk", w->disk->name);
	gpt_init(&w->gpt, w->disk->sector, w->disk->sectors, guid);
	gpt_update_label(&w->gpt, &w->update);
	return commit(w, e);
}

static int load(struct work *w, bool may_label, struct err *e)
{
	const struct disk *disk = w->disk;
	int r = gpt_load(w->fd, disk->sector, disk->sectors, &w->gpt, &w->health);

	if (r == -ENOENT && may_label) {
		r = label(w, e);
		if (r < 0)
			return r;
		r = gpt_load(w->fd, disk->sector, disk->sectors, &w->gpt, &w->health);
	}
	if (r < 0)
		return err_set(e, -r, "%s: no partition table: %s", disk->name, strerror(-r));
	return 0;
}

/* Whether a user's disk may be changed: it is ours already, or was labelled by us. */
static int check_owner(struct work *w, struct err *e)
{
	struct plan_disk found;

	plan_inspect(&w->gpt, NULL, &found);
	if (found.is_boot || found.data != DATA_NONE)
		return 0;
	for (uint32_t i = 0; i < w->gpt.entry_count; i++) {
		gpt_get_part(&w->gpt, i, &w->part);
		if (gpt_part_used(&w->part))
			return err_set(e, ENOTEMPTY,
				"%s: has partitions that are not Sampan's: left as it is",
				w->disk->name);
	}
	return 0;
}

/* After a failure: data that is there already is used all the same. */
static bool has_data(struct work *w)
{
	struct plan_disk found;

	if (gpt_load(w->fd, w->disk->sector, w->disk->sectors, &w->gpt, &w->health) < 0 ||
		!gpt_is_sane(&w->gpt))
		return false;
	plan_inspect(&w->gpt, NULL, &found);
	return found.data == DATA_READY;
}

static int work_through(struct work *w, bool may_label, struct err *e)
{
	for (int i = 0; i < ACTIONS_MAX; i++) {
		enum plan_action action;
		int r = load(w, may_label, e);

		if (r == 0)
			r = check_owner(w, e);
		if (r < 0)
			return r;
		action = plan_next(&w->gpt, &w->health);
		if (action == PLAN_USE)
			return 0;
		r = actions[action](w, e);
		if (r < 0 && !has_data(w))
			return r;
		if (r < 0) {
			w->say("%s", e->msg);
			return 0;
		}
	}
	return err_set(e, EIO, "%s: does not keep what is written to it", w->disk->name);
}

int place_prepare(
	const struct disk *disk, bool may_label, place_say *say, struct place *ret, struct err *e)
{
	static struct work work;
	AUTO_CLOSE int fd = disk_open(disk->name, O_RDWR);
	int r;

	if (fd < 0)
		return err_set(e, -fd, "open %s: %s", disk->name, strerror(-fd));
	work = (struct work){.fd = fd, .disk = disk, .say = say};
	r = work_through(&work, may_label, e);
	if (r == 0)
		r = sync_partition(&work, e);
	if (r < 0)
		return r;
	memcpy(ret->device, work.device, sizeof(ret->device));
	ret->bytes = (work.part.last - work.part.first + 1) * disk->sector;
	return 0;
}
