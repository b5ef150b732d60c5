/*
 * What to do with the disks. Pure: everything here works on what was read, and is decided anew from
 * it at every boot, so that a power cut leaves nothing to remember.
 *
 * The data partition is made in two moves. It appears under the name "sampan-data-new"; it is
 * formatted; it is renamed to "sampan-data". Only the first name may be formatted, and even then
 * not when the file system in it was ever mounted.
 */
#ifndef SAMPAN_STORAGE_PLAN_H
#define SAMPAN_STORAGE_PLAN_H

#include "init/storage/gpt.h"

#include <stdbool.h>
#include <stdint.h>

#define DATA_NAME "sampan-data"
#define DATA_NAME_NEW "sampan-data-new"
#define ESP_NAME "sampan-esp"

/* Partition type of Sampan's data: c6415b36-5ecb-4408-b82a-007492994aaa */
extern const uint8_t plan_data_type[GUID_BYTES];
extern const uint8_t plan_esp_type[GUID_BYTES];

enum plan_data { DATA_NONE, DATA_NEW, DATA_READY };

/* What matters about one disk's table. */
struct plan_disk {
	bool has_table;
	bool was_booted; /* has the ESP that was named, whosever it is */
	bool is_boot;	 /* has our ESP; the one that was named, if one was */
	enum plan_data data;
	uint32_t data_index; /* entry, if data is not DATA_NONE */
};

/*
 * Look at one table.
 * @boot_guid: the ESP that the firmware or boot loader named; NULL if none did
 */
void plan_inspect(const struct gpt *gpt, const uint8_t *boot_guid, struct plan_disk *ret);

enum plan_choice {
	CHOICE_NONE, /* no disk is Sampan's */
	CHOICE_DISK,
	CHOICE_AMBIGUOUS, /* two disks could be meant; *ret_index and *ret_other name them */
};

/*
 * Choose the disk that holds the data, or shall hold it: a finished data partition wins, on the
 * boot disk if several disks have one; else the boot disk; else a half-made partition.
 */
enum plan_choice plan_choose(
	const struct plan_disk *disks, size_t count, size_t *ret_index, size_t *ret_other);

enum plan_action {
	PLAN_USE,	     /* the table is as it should be: check the file system and mount it */
	PLAN_REPAIR_PRIMARY, /* only the backup copy counts */
	PLAN_REPAIR_BACKUP,  /* the backup copy is damaged or not at the end of the disk */
	PLAN_CREATE,	     /* there is free room and no data partition */
	PLAN_FORMAT,	     /* the partition is half-made */
	PLAN_GROW,	     /* there is free room behind the partition */
	PLAN_NO_ROOM,	     /* no data partition and no free room for one */
	PLAN_REFUSE,	     /* partitions overlap or lie outside: somebody has to look */
};

/* The next thing to do on the chosen disk. Do it, load the table again, ask again. */
enum plan_action plan_next(const struct gpt *gpt, const struct gpt_health *health);

/* Where a new data partition would go: the largest free room. False if it is too small. */
bool plan_room(const struct gpt *gpt, uint64_t *ret_first, uint64_t *ret_last);

/*
 * Add the data partition as DATA_NAME_NEW.
 * @guid: random
 * Returns 0; -ENOSPC without room or without a free entry. *ret_index is its entry.
 */
int plan_add_data(struct gpt *gpt, const uint8_t *guid, uint32_t *ret_index);

/* The formatted partition gets its final name. */
void plan_rename_data(struct gpt *gpt, uint32_t index);

/* Let the data partition end where the free room behind it ends. True if it grew. */
bool plan_grow_data(struct gpt *gpt, uint32_t index);

#endif
