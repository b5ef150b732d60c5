/* The writing half of gpt.h: composing is pure, only gpt_write() touches the disk. */
#include "init/storage/gpt.h"

#include "init/storage/bytes.h"
#include "init/storage/crc32.h"
#include "lib/base/io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES 92
#define REVISION 0x10000

/* offsets in an MBR */
enum { M_ROW = 446, M_ROW_BYTES = 16, M_TYPE = 4, M_FIRST = 8, M_SIZE = 12, M_MAGIC = 510 };
#define MBR_PROTECTIVE 0xee

/* Stands where a boot sector's code would: nothing boots from a data disk. */
static const char own_mark[] = "Sampan data disk";

static void compose_header(
	const struct gpt *gpt, uint64_t own, uint64_t other, uint64_t entries_lba, uint8_t *ret)
{
	size_t entries = (size_t)gpt->entry_count * gpt->entry_size;

	memset(ret, 0, gpt->sector);
	put_le64(ret, GPT_SIGNATURE);
	put_le32(ret + 8, REVISION);
	put_le32(ret + 12, HEADER_BYTES);
	put_le64(ret + 24, own);
	put_le64(ret + 32, other);
	put_le64(ret + 40, gpt->first_usable);
	put_le64(ret + 48, gpt->last_usable);
	memcpy(ret + 56, gpt->disk_guid, GUID_BYTES);
	put_le64(ret + 72, entries_lba);
	put_le32(ret + 80, gpt->entry_count);
	put_le32(ret + 84, gpt->entry_size);
	put_le32(ret + 88, crc32(gpt->entries, entries));
	put_le32(ret + 16, crc32(ret, HEADER_BYTES));
}

static void add_step(struct gpt_update *update, const char *what, uint64_t offset,
	const uint8_t *data, size_t len)
{
	update->steps[update->count++] = (struct gpt_step){what, offset, data, len};
}

static void add_primary(const struct gpt *gpt, struct gpt_update *update)
{
	compose_header(gpt, 1, gpt->backup_lba, gpt->entries_lba, update->primary);
	add_step(update, "primary entries", gpt->entries_lba * gpt->sector, gpt->entries,
		gpt_entries_sectors(gpt) * gpt->sector);
	add_step(update, "primary header", gpt->sector, update->primary, gpt->sector);
}

static void add_backup(const struct gpt *gpt, struct gpt_update *update)
{
	uint64_t entries_lba = gpt->backup_lba - gpt_entries_sectors(gpt);

	compose_header(gpt, gpt->backup_lba, 1, entries_lba, update->backup);
	add_step(update, "backup entries", entries_lba * gpt->sector, gpt->entries,
		gpt_entries_sectors(gpt) * gpt->sector);
	add_step(update, "backup header", gpt->backup_lba * gpt->sector, update->backup,
		gpt->sector);
}

void gpt_update_primary(const struct gpt *gpt, struct gpt_update *ret)
{
	ret->count = 0;
	add_primary(gpt, ret);
}

void gpt_update_full(const struct gpt *gpt, struct gpt_update *ret)
{
	ret->count = 0;
	add_backup(gpt, ret);
	add_primary(gpt, ret);
}

static uint32_t mbr_size(uint64_t sectors)
{
	return sectors - 1 > UINT32_MAX ? UINT32_MAX : (uint32_t)(sectors - 1);
}

void gpt_update_mbr(const struct gpt *gpt, const uint8_t *mbr, struct gpt_update *update)
{
	const uint8_t *row = mbr + M_ROW;
	uint32_t size = mbr_size(gpt->sectors);

	/* only a plain protective MBR: a hybrid one is somebody's work */
	if (mbr[M_MAGIC] != 0x55 || mbr[M_MAGIC + 1] != 0xaa || row[M_TYPE] != MBR_PROTECTIVE ||
		get_le32(row + M_FIRST) != 1 || get_le32(row + M_SIZE) == size)
		return;
	for (size_t i = 1; i < 4; i++)
		if (row[i * M_ROW_BYTES + M_TYPE] != 0)
			return;
	memcpy(update->mbr, mbr, gpt->sector);
	put_le32(update->mbr + M_ROW + M_SIZE, size);
	add_step(update, "protective MBR", 0, update->mbr, gpt->sector);
}

static void compose_own_mbr(uint32_t sector, uint64_t sectors, uint8_t *ret)
{
	uint8_t *row = ret + M_ROW;

	memset(ret, 0, sector);
	memcpy(ret, own_mark, sizeof(own_mark));
	row[2] = 2; /* sector 1 as cylinder, head, sector */
	row[M_TYPE] = MBR_PROTECTIVE;
	memset(row + M_TYPE + 1, 0xff, 3);
	put_le32(row + M_FIRST, 1);
	put_le32(row + M_SIZE, mbr_size(sectors));
	ret[M_MAGIC] = 0x55;
	ret[M_MAGIC + 1] = 0xaa;
}

bool gpt_is_own_mbr(const uint8_t *mbr, uint32_t sector, uint64_t sectors)
{
	uint8_t own[SECTOR_BYTES_MAX];

	compose_own_mbr(sector, sectors, own);
	return memcmp(mbr, own, sector) == 0;
}

void gpt_update_label(const struct gpt *gpt, struct gpt_update *ret)
{
	ret->count = 0;
	compose_own_mbr(gpt->sector, gpt->sectors, ret->mbr);
	add_step(ret, "protective MBR", 0, ret->mbr, gpt->sector);
	add_backup(gpt, ret);
	add_primary(gpt, ret);
}

int gpt_write(int fd, const struct gpt_update *update, const char **ret_step)
{
	for (size_t i = 0; i < update->count; i++) {
		const struct gpt_step *step = &update->steps[i];
		int r = io_pwrite_all(fd, step->data, step->len, step->offset);

		if (r == 0 && fsync(fd) < 0)
			r = -errno;
		if (r < 0) {
			*ret_step = step->what;
			return r;
		}
	}
	return 0;
}
