/*
 * A disk that somebody prepared: loading, planning and composing must stand anything. The input is
 * the start of a small disk; its checksums are made right, because nothing gets past wrong ones.
 */
#include "init/storage/gpt.h"

#include "init/storage/bytes.h"
#include "init/storage/crc32.h"
#include "init/storage/plan.h"
#include "lib/base/io.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECTOR 512
#define SECTORS 131072
#define INPUT_BYTES_MAX (64 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sign(uint8_t *disk, size_t size)
{
	uint8_t *header = disk + SECTOR;
	uint64_t entries = get_le64(header + 72) * SECTOR;
	uint64_t bytes = (uint64_t)get_le32(header + 80) * get_le32(header + 84);
	uint32_t header_size = get_le32(header + 12);

	if (entries < size && bytes <= size - entries)
		put_le32(header + 88, crc32(disk + entries, bytes));
	if (header_size <= SECTOR) {
		put_le32(header + 16, 0);
		put_le32(header + 16, crc32(header, header_size));
	}
}

static void plan(struct gpt *gpt, const struct gpt_health *health)
{
	static struct gpt_update update;
	uint8_t mbr[SECTOR] = {0};
	struct plan_disk found;
	uint32_t index;

	plan_inspect(gpt, NULL, &found);
	switch (plan_next(gpt, health)) {
	case PLAN_CREATE:
		/* there is room, but perhaps no entry */
		(void)plan_add_data(gpt, plan_data_type, &index);
		break;
	case PLAN_GROW:
		if (!plan_grow_data(gpt, found.data_index))
			abort();
		break;
	case PLAN_FORMAT:
		plan_rename_data(gpt, found.data_index);
		break;
	case PLAN_REFUSE:
		return;
	default:
		break;
	}
	if (!gpt_is_sane(gpt))
		abort();
	if (gpt_fit_disk(gpt) == 0) {
		gpt_update_full(gpt, &update);
		gpt_update_mbr(gpt, mbr, &update);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t disk[INPUT_BYTES_MAX];
	static struct gpt gpt;
	static int fd = -1;
	struct gpt_health health;

	if (size > sizeof(disk))
		return 0;
	memset(disk, 0, sizeof(disk));
	memcpy(disk, data, size);
	sign(disk, sizeof(disk));
	if (fd < 0)
		fd = memfd_create("disk", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)SECTORS * SECTOR) < 0 ||
		io_pwrite_all(fd, disk, sizeof(disk), 0) < 0)
		abort();
	if (gpt_load(fd, SECTOR, SECTORS, &gpt, &health) == 0)
		plan(&gpt, &health);
	return 0;
}
