#include "init/storage/gpt.h"

#include "init/storage/bytes.h"
#include "init/storage/crc32.h"
#include "lib/base/io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES 92
#define ENTRY_BYTES_MIN 128

/* offsets in a header */
enum {
	H_REVISION = 8,
	H_SIZE = 12,
	H_CRC = 16,
	H_OWN_LBA = 24,
	H_OTHER_LBA = 32,
	H_FIRST_USABLE = 40,
	H_LAST_USABLE = 48,
	H_DISK_GUID = 56,
	H_ENTRIES_LBA = 72,
	H_ENTRY_COUNT = 80,
	H_ENTRY_SIZE = 84,
	H_ENTRIES_CRC = 88,
};

/* offsets in an entry; attributes lie between LAST and NAME */
enum { E_TYPE = 0, E_GUID = 16, E_FIRST = 32, E_LAST = 40, E_NAME = 56 };

static uint64_t sectors_of(uint64_t bytes, uint32_t sector)
{
	return (bytes + sector - 1) / sector;
}

uint64_t gpt_entries_sectors(const struct gpt *gpt)
{
	return sectors_of((uint64_t)gpt->entry_count * gpt->entry_size, gpt->sector);
}

/* The checksum of a header is computed with its own field zero. */
static uint32_t header_crc(const uint8_t *buf, uint32_t size)
{
	uint8_t copy[SECTOR_BYTES_MAX];

	memcpy(copy, buf, size);
	memset(copy + H_CRC, 0, 4);
	return crc32(copy, size);
}

static int check_geometry(const struct gpt_header *h, size_t sector, uint64_t sectors)
{
	uint64_t bytes;
	uint64_t table;

	if (h->entry_size < ENTRY_BYTES_MIN || (h->entry_size & (h->entry_size - 1)) ||
		h->entry_count == 0)
		return -EINVAL;
	bytes = (uint64_t)h->entry_count * h->entry_size;
	if (bytes > GPT_ENTRIES_BYTES_MAX)
		return -E2BIG;
	table = sectors_of(bytes, (uint32_t)sector);
	if (h->entries_lba < 2 || h->entries_lba >= sectors || sectors - h->entries_lba < table)
		return -EINVAL;
	if (h->first_usable > h->last_usable || h->last_usable >= sectors - 1)
		return -EINVAL;
	/* the entries must not lie where partitions may */
	if (h->entries_lba <= h->last_usable && h->entries_lba + table > h->first_usable)
		return -EINVAL;
	return 0;
}

int gpt_parse_header(
	const uint8_t *buf, size_t len, uint64_t lba, uint64_t sectors, struct gpt_header *ret)
{
	struct gpt_header h;
	uint32_t size;
	int r;

	if (len < SECTOR_BYTES_MIN || len > SECTOR_BYTES_MAX || sectors < 4 || lba >= sectors)
		return -EINVAL;
	if (get_le64(buf) != GPT_SIGNATURE)
		return -EINVAL;
	size = get_le32(buf + H_SIZE);
	if (size < HEADER_BYTES || size > len || header_crc(buf, size) != get_le32(buf + H_CRC))
		return -EINVAL;
	h = (struct gpt_header){
		.own_lba = get_le64(buf + H_OWN_LBA),
		.other_lba = get_le64(buf + H_OTHER_LBA),
		.first_usable = get_le64(buf + H_FIRST_USABLE),
		.last_usable = get_le64(buf + H_LAST_USABLE),
		.entries_lba = get_le64(buf + H_ENTRIES_LBA),
		.entry_count = get_le32(buf + H_ENTRY_COUNT),
		.entry_size = get_le32(buf + H_ENTRY_SIZE),
		.entries_crc = get_le32(buf + H_ENTRIES_CRC),
	};
	if (h.own_lba != lba)
		return -EINVAL;
	r = check_geometry(&h, len, sectors);
	if (r < 0)
		return r;
	memcpy(h.disk_guid, buf + H_DISK_GUID, GUID_BYTES);
	*ret = h;
	return 0;
}

/* One copy into @gpt. *ret_other is set as soon as the header is good, whatever its entries are. */
static int load_copy(int fd, uint64_t lba, struct gpt *gpt, uint64_t *ret_other)
{
	uint8_t buf[SECTOR_BYTES_MAX];
	struct gpt_header h;
	size_t bytes;
	int r = io_pread_all(fd, buf, gpt->sector, lba * gpt->sector);

	if (r < 0)
		return r;
	r = gpt_parse_header(buf, gpt->sector, lba, gpt->sectors, &h);
	if (r < 0)
		return r;
	*ret_other = h.other_lba;
	bytes = (size_t)h.entry_count * h.entry_size;
	/* A backup header does not say where the primary entries are; everybody has them in
	 * sector 2. */
	if (lba != 1 && h.first_usable < 2 + sectors_of(bytes, gpt->sector))
		return -EINVAL;
	memset(gpt->entries, 0, sizeof(gpt->entries));
	r = io_pread_all(fd, gpt->entries, bytes, h.entries_lba * gpt->sector);
	if (r < 0)
		return r;
	if (crc32(gpt->entries, bytes) != h.entries_crc)
		return -EINVAL;
	gpt->first_usable = h.first_usable;
	gpt->last_usable = h.last_usable;
	gpt->entry_count = h.entry_count;
	gpt->entry_size = h.entry_size;
	memcpy(gpt->disk_guid, h.disk_guid, GUID_BYTES);
	if (lba == 1) {
		gpt->entries_lba = h.entries_lba;
		gpt->backup_lba = h.other_lba;
	} else {
		gpt->entries_lba = 2;
		gpt->backup_lba = lba;
	}
	return 0;
}

/* Whether the backup copy at gpt->backup_lba says what the primary one says. */
static bool backup_agrees(int fd, const struct gpt *gpt)
{
	uint8_t buf[SECTOR_BYTES_MAX];
	struct gpt_header h;
	uint32_t crc = crc32(gpt->entries, (size_t)gpt->entry_count * gpt->entry_size);

	if (gpt->backup_lba >= gpt->sectors ||
		io_pread_all(fd, buf, gpt->sector, gpt->backup_lba * gpt->sector) < 0 ||
		gpt_parse_header(buf, gpt->sector, gpt->backup_lba, gpt->sectors, &h) < 0)
		return false;
	if (h.entries_crc != crc || h.entry_count != gpt->entry_count ||
		h.entry_size != gpt->entry_size || h.last_usable != gpt->last_usable)
		return false;
	/* the header may be whole and its entries not */
	for (size_t done = 0, len = (size_t)h.entry_count * h.entry_size; done < len;) {
		size_t n = len - done < sizeof(buf) ? len - done : sizeof(buf);

		if (io_pread_all(fd, buf, n, h.entries_lba * gpt->sector + done) < 0 ||
			memcmp(buf, gpt->entries + done, n) != 0)
			return false;
		done += n;
	}
	return true;
}

int gpt_load(
	int fd, uint32_t sector, uint64_t sectors, struct gpt *ret, struct gpt_health *ret_health)
{
	uint64_t other = 0;
	uint64_t unused;

	if (sector < SECTOR_BYTES_MIN || sector > SECTOR_BYTES_MAX || (sector & (sector - 1)) ||
		sectors < 4 || sectors > INT64_MAX / sector)
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	ret->sector = sector;
	ret->sectors = sectors;
	*ret_health = (struct gpt_health){0};
	if (load_copy(fd, 1, ret, &other) == 0) {
		ret_health->primary = true;
		ret_health->backup = backup_agrees(fd, ret);
		return 0;
	}
	ret_health->backup = true;
	if (load_copy(fd, sectors - 1, ret, &unused) == 0)
		return 0;
	/* A primary header that outlived its entries knows where the backup was when the disk was
	 * smaller. */
	if (other > 1 && other < sectors - 1 && load_copy(fd, other, ret, &unused) == 0)
		return 0;
	ret_health->backup = false;
	return -ENOENT;
}

void gpt_init(struct gpt *gpt, uint32_t sector, uint64_t sectors, const uint8_t *disk_guid)
{
	memset(gpt, 0, sizeof(*gpt));
	gpt->sector = sector;
	gpt->sectors = sectors;
	gpt->entries_lba = 2;
	gpt->entry_count = 128;
	gpt->entry_size = ENTRY_BYTES_MIN;
	gpt->first_usable = 2 + gpt_entries_sectors(gpt);
	gpt->backup_lba = sectors - 1;
	gpt->last_usable = gpt->backup_lba - gpt_entries_sectors(gpt) - 1;
	memcpy(gpt->disk_guid, disk_guid, GUID_BYTES);
}

int gpt_fit_disk(struct gpt *gpt)
{
	uint64_t backup = gpt->sectors - 1;
	uint64_t last = backup - gpt_entries_sectors(gpt) - 1;
	struct gpt_part part;

	if (last < gpt->first_usable)
		return -ENOSPC;
	for (uint32_t i = 0; i < gpt->entry_count; i++) {
		gpt_get_part(gpt, i, &part);
		if (gpt_part_used(&part) && part.last > last)
			return -ENOSPC;
	}
	gpt->backup_lba = backup;
	gpt->last_usable = last;
	return 0;
}

bool gpt_part_used(const struct gpt_part *part)
{
	static const uint8_t unused[GUID_BYTES];

	return memcmp(part->type, unused, GUID_BYTES) != 0;
}

void gpt_get_part(const struct gpt *gpt, uint32_t index, struct gpt_part *ret)
{
	const uint8_t *entry = gpt->entries + (size_t)index * gpt->entry_size;
	size_t i;

	memcpy(ret->type, entry + E_TYPE, GUID_BYTES);
	memcpy(ret->guid, entry + E_GUID, GUID_BYTES);
	ret->first = get_le64(entry + E_FIRST);
	ret->last = get_le64(entry + E_LAST);
	for (i = 0; i < GPT_NAME_BYTES / 2; i++) {
		uint16_t unit = get_le16(entry + E_NAME + 2 * i);

		if (unit == 0)
			break;
		ret->name[i] = unit >= 0x20 && unit < 0x7f ? (char)unit : '?';
	}
	ret->name[i] = '\0';
}

void gpt_set_part(struct gpt *gpt, uint32_t index, const struct gpt_part *part)
{
	uint8_t *entry = gpt->entries + (size_t)index * gpt->entry_size;

	memcpy(entry + E_TYPE, part->type, GUID_BYTES);
	memcpy(entry + E_GUID, part->guid, GUID_BYTES);
	put_le64(entry + E_FIRST, part->first);
	put_le64(entry + E_LAST, part->last);
	memset(entry + E_NAME, 0, GPT_NAME_BYTES);
	for (size_t i = 0; i < GPT_NAME_BYTES / 2 && part->name[i]; i++)
		entry[E_NAME + 2 * i] = (uint8_t)part->name[i];
}

bool gpt_is_sane(const struct gpt *gpt)
{
	struct gpt_part a;
	struct gpt_part b;

	for (uint32_t i = 0; i < gpt->entry_count; i++) {
		gpt_get_part(gpt, i, &a);
		if (!gpt_part_used(&a))
			continue;
		if (a.first > a.last || a.first < gpt->first_usable || a.last > gpt->last_usable)
			return false;
		for (uint32_t j = i + 1; j < gpt->entry_count; j++) {
			gpt_get_part(gpt, j, &b);
			if (gpt_part_used(&b) && a.first <= b.last && b.first <= a.last)
				return false;
		}
	}
	return true;
}
