#include "init/storage/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define MIB_SECTORS 2048 /* of 512 bytes */
#define DISK_MIB 256

static const uint8_t guid[GUID_BYTES] = "a-partition-guid";
static const struct gpt_health healthy = {true, true};

static void add(struct gpt *gpt, uint32_t index, const uint8_t *type, const char *name,
	uint64_t first_mib, uint64_t end_mib)
{
	struct gpt_part part = {
		.first = first_mib * MIB_SECTORS, .last = end_mib * MIB_SECTORS - 1};

	memcpy(part.type, type, GUID_BYTES);
	memcpy(part.guid, guid, GUID_BYTES);
	memcpy(part.name, name, strlen(name) + 1);
	gpt_set_part(gpt, index, &part);
}

static void shipped(struct gpt *gpt)
{
	gpt_init(gpt, 512, DISK_MIB * MIB_SECTORS, guid);
	add(gpt, 1, plan_esp_type, ESP_NAME, 2, 100);
}

static void data_goes_into_the_largest_room(void **state)
{
	static struct gpt gpt;
	uint32_t index;
	struct gpt_part part;

	(void)state;
	shipped(&gpt);
	add(&gpt, 0, plan_esp_type, "foreign", 110, 120);
	assert_int_equal(plan_next(&gpt, &healthy), PLAN_CREATE);
	assert_int_equal(plan_add_data(&gpt, guid, &index), 0);
	assert_int_equal(index, 2);
	gpt_get_part(&gpt, index, &part);
	assert_int_equal(part.first, 120 * MIB_SECTORS);
	/* the copy of the table takes the last MiB's end */
	assert_int_equal(part.last, (DISK_MIB - 1) * MIB_SECTORS - 1);
	assert_string_equal(part.name, DATA_NAME_NEW);
	assert_int_equal(plan_next(&gpt, &healthy), PLAN_FORMAT);
	plan_rename_data(&gpt, index);
	assert_int_equal(plan_next(&gpt, &healthy), PLAN_USE);
}

static void room_that_is_too_small_is_no_room(void **state)
{
	static struct gpt gpt;
	uint32_t index;

	(void)state;
	shipped(&gpt);
	add(&gpt, 0, plan_esp_type, "foreign", 100, DISK_MIB - 32);
	assert_int_equal(plan_next(&gpt, &healthy), PLAN_NO_ROOM);
	assert_int_equal(plan_add_data(&gpt, guid, &index), -ENOSPC);
	add(&gpt, 0, plan_esp_type, "foreign", 100, DISK_MIB - 33);
	assert_int_equal(plan_next(&gpt, &healthy), PLAN_CREATE);
}

static void table_without_a_free_entry_takes_no_data(void **state)
{
	static struct gpt gpt;
	uint32_t index;

	(void)state;
	shipped(&gpt);
	for (uint32_t i = 0; i < gpt.entry_count; i++)
		add(&gpt, i, plan_esp_type, "foreign", 2 + i / 2, 3 + i / 2);
	assert_int_equal(plan_add_data(&gpt, guid, &index), -ENOSPC);
}

static void data_grows_up_to_what_follows(void **state)
{
	static struct gpt gpt;
	struct gpt_part part;

	(void)state;
	shipped(&gpt);
	add(&gpt, 2, plan_data_type, DATA_NAME, 100, 150);
	add(&gpt, 3, plan_esp_type, "foreign", 200, 210);
	assert_int_equal(plan_next(&gpt, &healthy), PLAN_GROW);
	assert_true(plan_grow_data(&gpt, 2));
	gpt_get_part(&gpt, 2, &part);
	assert_int_equal(part.first, 100 * MIB_SECTORS);
	assert_int_equal(part.last, 200 * MIB_SECTORS - 1);
	assert_false(plan_grow_data(&gpt, 2));
	assert_int_equal(plan_next(&gpt, &healthy), PLAN_USE);
}

static void partition_is_data_only_by_type_and_name(void **state)
{
	static struct gpt gpt;
	struct plan_disk found;

	(void)state;
	shipped(&gpt);
	add(&gpt, 2, plan_data_type, "mine", 100, 150);
	add(&gpt, 3, plan_esp_type, DATA_NAME, 150, 160);
	plan_inspect(&gpt, NULL, &found);
	assert_int_equal(found.data, DATA_NONE);
	add(&gpt, 4, plan_data_type, DATA_NAME_NEW, 160, 170);
	plan_inspect(&gpt, NULL, &found);
	assert_int_equal(found.data, DATA_NEW);
	add(&gpt, 5, plan_data_type, DATA_NAME, 170, 180);
	plan_inspect(&gpt, NULL, &found);
	assert_int_equal(found.data, DATA_READY);
	assert_int_equal(found.data_index, 5);
}

static void table_is_repaired_before_anything_else(void **state)
{
	static struct gpt gpt;
	const struct gpt_health no_primary = {false, true};
	const struct gpt_health no_backup = {true, false};

	(void)state;
	shipped(&gpt);
	assert_int_equal(plan_next(&gpt, &no_primary), PLAN_REPAIR_PRIMARY);
	assert_int_equal(plan_next(&gpt, &no_backup), PLAN_REPAIR_BACKUP);
	gpt.sectors += 1;
	assert_int_equal(plan_next(&gpt, &healthy), PLAN_REPAIR_BACKUP);
	add(&gpt, 2, plan_data_type, DATA_NAME, 50, 60);
	assert_int_equal(plan_next(&gpt, &no_primary), PLAN_REFUSE);
}

static void boot_disk_is_the_one_that_was_named(void **state)
{
	static struct gpt gpt;
	static const uint8_t other[GUID_BYTES] = "another-guid-...";
	struct plan_disk found;

	(void)state;
	shipped(&gpt);
	plan_inspect(&gpt, NULL, &found);
	assert_true(found.is_boot);
	plan_inspect(&gpt, guid, &found);
	assert_true(found.is_boot && found.was_booted);
	plan_inspect(&gpt, other, &found);
	assert_false(found.is_boot || found.was_booted);
	/* started from the ESP of another system: the disk is there, and not ours */
	add(&gpt, 1, plan_esp_type, "EFI System", 2, 100);
	plan_inspect(&gpt, NULL, &found);
	assert_false(found.is_boot || found.was_booted);
	plan_inspect(&gpt, guid, &found);
	assert_true(!found.is_boot && found.was_booted);
}

static void disks_are_chosen_by_rank_and_never_by_guess(void **state)
{
	const struct plan_disk none = {0};
	const struct plan_disk foreign = {.has_table = true};
	const struct plan_disk boot = {.has_table = true, .is_boot = true};
	const struct plan_disk fresh = {.has_table = true, .data = DATA_NEW};
	const struct plan_disk data = {.has_table = true, .data = DATA_READY};
	const struct plan_disk both = {.has_table = true, .is_boot = true, .data = DATA_READY};
	const struct {
		struct plan_disk disks[3];
		enum plan_choice choice;
		size_t index;
	} cases[] = {
		{{none, foreign, none}, CHOICE_NONE, 0},
		{{none, foreign, boot}, CHOICE_DISK, 2},
		{{foreign, fresh, none}, CHOICE_DISK, 1},
		{{fresh, boot, none}, CHOICE_DISK, 1},
		{{boot, data, foreign}, CHOICE_DISK, 1},
		{{data, both, data}, CHOICE_DISK, 1},
		{{boot, boot, none}, CHOICE_AMBIGUOUS, 0},
		{{boot, boot, data}, CHOICE_DISK, 2},
		{{data, none, data}, CHOICE_AMBIGUOUS, 0},
		{{both, data, both}, CHOICE_AMBIGUOUS, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t index = 0;
		size_t other = 0;

		assert_int_equal(plan_choose(cases[i].disks, 3, &index, &other), cases[i].choice);
		assert_int_equal(index, cases[i].index);
		if (cases[i].choice == CHOICE_AMBIGUOUS)
			assert_true(other > index);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_goes_into_the_largest_room),
		cmocka_unit_test(room_that_is_too_small_is_no_room),
		cmocka_unit_test(table_without_a_free_entry_takes_no_data),
		cmocka_unit_test(data_grows_up_to_what_follows),
		cmocka_unit_test(partition_is_data_only_by_type_and_name),
		cmocka_unit_test(table_is_repaired_before_anything_else),
		cmocka_unit_test(boot_disk_is_the_one_that_was_named),
		cmocka_unit_test(disks_are_chosen_by_rank_and_never_by_guess),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
