#include "init/storage/request.h"

#include "init/storage/ext4.h"
#include "init/storage/guid.h"
#include "init/storage/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ESP "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"

/* From a heap copy without a NUL, so that a byte too many is noticed. */
static int parse(const char *text, struct request *ret, struct err *e)
{
	size_t len = strlen(text);
	char *copy = malloc(len ? len : 1);
	int r;

	for (size_t i = 0; i < len; i++)
		copy[i] = text[i];
	r = request_parse(copy, len, ret, e);
	free(copy);
	return r;
}

static void words_are_found_and_the_last_one_wins(void **state)
{
	struct request request;
	struct err e;

	(void)state;
	assert_int_equal(parse("", &request, &e), 0);
	assert_true(!request.no_disk && !request.disk[0] && !request.has_boot);
	assert_int_equal(parse("quiet sampan.data=none\n", &request, &e), 0);
	assert_true(request.no_disk);
	assert_int_equal(
		parse("sampan.data=none sampan.data=/dev/vdb xsampan.data=/dev/vdc", &request, &e),
		0);
	assert_true(!request.no_disk);
	assert_string_equal(request.disk, "vdb");
	assert_int_equal(parse("sampan.boot=" ESP " quiet", &request, &e), 0);
	assert_true(request.has_boot);
	assert_memory_equal(request.boot, plan_esp_type, GUID_BYTES);
}

static void words_inside_quotes_are_somebody_elses(void **state)
{
	struct request request;
	struct err e;

	(void)state;
	assert_int_equal(parse("sampan.authorized_key=\"ssh-ed25519 AAAA sampan.data=none\" "
			       "sampan.data=/dev/sda",
				 &request, &e),
		0);
	assert_false(request.no_disk);
	assert_string_equal(request.disk, "sda");
}

static void nonsense_is_refused_by_name(void **state)
{
	static const char *const bad[] = {"sampan.data=", "sampan.data=vdb", "sampan.data=/dev/",
		"sampan.data=/dev/../etc", "sampan.data=/dev/disk/by-id/x", "sampan.data=/dev/..",
		"sampan.data=/dev/a-name-longer-than-that-of-any-disk",
		"sampan.boot=", "sampan.boot=c12a7328-f81f-11d2-ba4b-00a0c93ec93b0",
		"sampan.boot=c12a7328-f81f-11d2-ba4b-00a0c93ec93"};
	struct request request;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(bad[i], &request, &e), -EINVAL);
		assert_ptr_equal(strstr(e.msg, bad[i]), e.msg);
	}
}

static void guid_is_read_in_either_case_and_nothing_else(void **state)
{
	const char *bad[] = {"c12a7328-f81f-11d2-ba4b-00a0c93ec93g",
		"c12a7328+f81f-11d2-ba4b-00a0c93ec93b", "c12a7328f81f-11d2-ba4b-00a0c93ec93bb"};
	uint8_t guid[GUID_BYTES] = {0};

	(void)state;
	assert_int_equal(guid_parse("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", 36, guid), 0);
	assert_memory_equal(guid, plan_esp_type, GUID_BYTES);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(guid_parse(bad[i], 36, guid), -EINVAL);
	for (size_t len = 0; len < 36; len++)
		assert_int_equal(guid_parse(ESP, len, guid), -EINVAL);
}

static void loader_variable_is_read_with_and_without_its_end(void **state)
{
	uint8_t var[4 + 37 * 2] = {6, 0, 0, 0};
	uint8_t guid[GUID_BYTES];

	(void)state;
	for (size_t i = 0; i < 36; i++)
		var[4 + 2 * i] = (uint8_t)ESP[i];
	for (size_t len = 0; len <= sizeof(var); len++)
		assert_int_equal(guid_parse_efivar(var, len, guid),
			len == sizeof(var) || len == sizeof(var) - 2 ? 0 : -EINVAL);
	assert_memory_equal(guid, plan_esp_type, GUID_BYTES);
	var[5] = 1;
	assert_int_equal(guid_parse_efivar(var, sizeof(var), guid), -EINVAL);
}

static void superblock_tells_size_label_and_use(void **state)
{
	uint8_t buf[EXT4_SUPER_BYTES] = {0};
	struct ext4_super super;

	(void)state;
	assert_int_equal(ext4_parse_super(buf, sizeof(buf), &super), -EINVAL);
	buf[0x38] = 0x53;
	buf[0x39] = 0xef;
	buf[0x18] = 2;
	buf[0x04] = 7;
	buf[0x150] = 1;
	snprintf((char *)buf + 0x78, 17, "%s", "sixteen-letters!");
	assert_int_equal(ext4_parse_super(buf, sizeof(buf) - 1, &super), -EINVAL);
	assert_int_equal(ext4_parse_super(buf, sizeof(buf), &super), 0);
	assert_int_equal(super.block_bytes, 4096);
	assert_int_equal(super.blocks, 7);
	assert_string_equal(super.label, "sixteen-letters!");
	assert_false(super.mounted_before);
	buf[0x60] = 0x80;
	buf[0x2f] = 1;
	assert_int_equal(ext4_parse_super(buf, sizeof(buf), &super), 0);
	assert_true(super.blocks == (1ULL << 32 | 7));
	assert_true(super.mounted_before);
	buf[0x18] = 7;
	assert_int_equal(ext4_parse_super(buf, sizeof(buf), &super), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_found_and_the_last_one_wins),
		cmocka_unit_test(words_inside_quotes_are_somebody_elses),
		cmocka_unit_test(nonsense_is_refused_by_name),
		cmocka_unit_test(guid_is_read_in_either_case_and_nothing_else),
		cmocka_unit_test(loader_variable_is_read_with_and_without_its_end),
		cmocka_unit_test(superblock_tells_size_label_and_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
