#include "init/storage/plan.h"

#include <errno.h>
#include <string.h>

/* GUIDs stand on a disk with their first three fields in little-endian order. */
const uint8_t plan_data_type[GUID_BYTES] = {0x36, 0x5b, 0x41, 0xc6, 0xcb, 0x5e, 0x08, 0x44, 0xb8,
	0x2a, 0x00, 0x74, 0x92, 0x99, 0x4a, 0xaa};
const uint8_t plan_esp_type[GUID_BYTES] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba,
	0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};

static uint64_t align_lba(const struct gpt *gpt)
{
	return ALIGN_BYTES / gpt->sector;
}

static enum plan_data data_state(const struct gpt_part *part)
{
	if (memcmp(part->type, plan_data_type, GUID_BYTES) != 0)
		return DATA_NONE;
	if (strcmp(part->name, DATA_NAME) == 0)
		return DATA_READY;
	return strcmp(part->name, DATA_NAME_NEW) == 0 ? DATA_NEW : DATA_NONE;
}

static void inspect_esp(
	const struct gpt_part *part, const uint8_t *boot_guid, struct plan_disk *disk)
{
	bool named = boot_guid && memcmp(part->guid, boot_guid, GUID_BYTES) == 0;

	if (memcmp(part->type, plan_esp_type, GUID_BYTES) != 0)
		return;
	disk->was_booted = disk->was_booted || named;
	/* on the ESP of another system, free room is not ours */
	if (strcmp(part->name, ESP_NAME) == 0 && (named || !boot_guid))
		disk->is_boot = true;
}

void plan_inspect(const struct gpt *gpt, const uint8_t *boot_guid, struct plan_disk *ret)
{
	struct gpt_part part;

	*ret = (struct plan_disk){.has_table = true};
	for (uint32_t i = 0; i < gpt->entry_count; i++) {
		enum plan_data data;

		gpt_get_part(gpt, i, &part);
		if (!gpt_part_used(&part))
			continue;
		inspect_esp(&part, boot_guid, ret);
		data = data_state(&part);
		if (data > ret->data) {
			ret->data = data;
			ret->data_index = i;
		}
	}
}

/* How good a disk is as the place of the data; 0 is none. */
static int rank(const struct plan_disk *disk)
{
	if (!disk->has_table)
		return 0;
	if (disk->data == DATA_READY)
		return disk->is_boot ? 4 : 3;
	if (disk->is_boot)
		return 2;
	return disk->data == DATA_NEW ? 1 : 0;
}

enum plan_choice plan_choose(
	const struct plan_disk *disks, size_t count, size_t *ret_index, size_t *ret_other)
{
	int best = 0;
	bool tie = false;

	for (size_t i = 0; i < count; i++) {
		int r = rank(&disks[i]);

		if (r == 0 || r < best)
			continue;
		tie = r == best;
		if (tie)
			*ret_other = i;
		else
			*ret_index = i;
		best = r;
	}
	if (best == 0)
		return CHOICE_NONE;
	return tie ? CHOICE_AMBIGUOUS : CHOICE_DISK;
}

/* The first sector behind @lba that belongs to a partition, or the end of the usable ones. */
static uint64_t room_end(const struct gpt *gpt, uint64_t lba)
{
	uint64_t end = gpt->last_usable + 1;
	struct gpt_part part;

	for (uint32_t i = 0; i < gpt->entry_count; i++) {
		gpt_get_part(gpt, i, &part);
		if (gpt_part_used(&part) && part.last >= lba && part.first < end)
			end = part.first > lba ? part.first : lba;
	}
	return end;
}

static void try_room(
	const struct gpt *gpt, uint64_t start, uint64_t *best_first, uint64_t *best_end)
{
	uint64_t step = align_lba(gpt);
	uint64_t first = (start + step - 1) / step * step;
	uint64_t end;

	if (first > gpt->last_usable)
		return;
	end = room_end(gpt, first) / step * step;
	if (end > first && end - first > *best_end - *best_first) {
		*best_first = first;
		*best_end = end;
	}
}

bool plan_room(const struct gpt *gpt, uint64_t *ret_first, uint64_t *ret_last)
{
	uint64_t first = 0;
	uint64_t end = 0;
	struct gpt_part part;

	try_room(gpt, gpt->first_usable, &first, &end);
	for (uint32_t i = 0; i < gpt->entry_count; i++) {
		gpt_get_part(gpt, i, &part);
		if (gpt_part_used(&part))
			try_room(gpt, part.last + 1, &first, &end);
	}
	if (end - first < DATA_BYTES_MIN / gpt->sector)
		return false;
	*ret_first = first;
	*ret_last = end - 1;
	return true;
}

int plan_add_data(struct gpt *gpt, const uint8_t *guid, uint32_t *ret_index)
{
	struct gpt_part data = {.name = DATA_NAME_NEW};
	struct gpt_part part;

	if (!plan_room(gpt, &data.first, &data.last))
		return -ENOSPC;
	memcpy(data.type, plan_data_type, GUID_BYTES);
	memcpy(data.guid, guid, GUID_BYTES);
	for (uint32_t i = 0; i < gpt->entry_count; i++) {
		gpt_get_part(gpt, i, &part);
		if (gpt_part_used(&part))
			continue;
		gpt_set_part(gpt, i, &data);
		*ret_index = i;
		return 0;
	}
	return -ENOSPC;
}

void plan_rename_data(struct gpt *gpt, uint32_t index)
{
	struct gpt_part part;

	gpt_get_part(gpt, index, &part);
	memcpy(part.name, DATA_NAME, sizeof(DATA_NAME));
	gpt_set_part(gpt, index, &part);
}

/* Where @part could end, as the first sector behind it. */
static uint64_t grown_end(const struct gpt *gpt, const struct gpt_part *part)
{
	uint64_t step = align_lba(gpt);
	uint64_t end = room_end(gpt, part->last + 1) / step * step;

	return end > part->last + 1 ? end : part->last + 1;
}

bool plan_grow_data(struct gpt *gpt, uint32_t index)
{
	struct gpt_part part;
	uint64_t end;

	gpt_get_part(gpt, index, &part);
	end = grown_end(gpt, &part);
	if (end == part.last + 1)
		return false;
	part.last = end - 1;
	gpt_set_part(gpt, index, &part);
	return true;
}

enum plan_action plan_next(const struct gpt *gpt, const struct gpt_health *health)
{
	struct plan_disk disk;
	struct gpt_part part;
	uint64_t first;
	uint64_t last;

	if (!gpt_is_sane(gpt))
		return PLAN_REFUSE;
	if (!health->primary)
		return PLAN_REPAIR_PRIMARY;
	if (!health->backup || gpt->backup_lba != gpt->sectors - 1)
		return PLAN_REPAIR_BACKUP;
	plan_inspect(gpt, NULL, &disk);
	switch (disk.data) {
	case DATA_NONE:
		return plan_room(gpt, &first, &last) ? PLAN_CREATE : PLAN_NO_ROOM;
	case DATA_NEW:
		return PLAN_FORMAT;
	case DATA_READY:
		break;
	}
	gpt_get_part(gpt, disk.data_index, &part);
	return grown_end(gpt, &part) > part.last + 1 ? PLAN_GROW : PLAN_USE;
}
