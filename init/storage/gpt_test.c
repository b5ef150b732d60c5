#include "init/storage/gpt.h"

#include "init/storage/crc32.h"
#include "init/storage/bytes.h"
#include "lib/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define SECTORS 4096
#define BACKUP (SECTORS - 1)

static const uint8_t guid[GUID_BYTES] = "disk-of-the-test";

/* A disk of 512-byte sectors with one partition, sectors 64 to 127. */
static int make_disk(struct gpt *gpt)
{
	static struct gpt_update update;
	struct gpt_part part = {.type = "a-type", .first = 64, .last = 127, .name = "one"};
	int fd = memfd_create("disk", MFD_CLOEXEC);
	const char *step;

	assert_int_equal(ftruncate(fd, SECTORS * 512), 0);
	gpt_init(gpt, 512, SECTORS, guid);
	gpt_set_part(gpt, 0, &part);
	gpt_update_label(gpt, &update);
	assert_int_equal(gpt_write(fd, &update, &step), 0);
	return fd;
}

static void spoil(int fd, uint64_t lba)
{
	assert_int_equal(io_pwrite_all(fd, "spoiled", 7, lba * 512), 0);
}

static void what_is_written_is_what_is_read(void **state)
{
	static struct gpt written;
	static struct gpt read;
	struct gpt_health health;
	int fd = make_disk(&written);

	(void)state;
	assert_int_equal(gpt_load(fd, 512, SECTORS, &read, &health), 0);
	assert_true(health.primary && health.backup);
	assert_memory_equal(&read, &written, sizeof(read));
	assert_true(gpt_is_sane(&read));
	close(fd);
}

static void either_copy_is_enough(void **state)
{
	static struct gpt written;
	static struct gpt read;
	/* headers and entries of both copies */
	const uint64_t primary[] = {1, 2};
	const uint64_t backup[] = {BACKUP, BACKUP - 32};
	struct gpt_health health;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int fd = make_disk(&written);

		spoil(fd, primary[i]);
		assert_int_equal(gpt_load(fd, 512, SECTORS, &read, &health), 0);
		assert_true(!health.primary && health.backup);
		assert_memory_equal(&read, &written, sizeof(read));
		spoil(fd, backup[i]);
		assert_int_equal(gpt_load(fd, 512, SECTORS, &read, &health), -ENOENT);
		close(fd);

		fd = make_disk(&written);
		spoil(fd, backup[i]);
		assert_int_equal(gpt_load(fd, 512, SECTORS, &read, &health), 0);
		assert_true(health.primary && !health.backup);
		close(fd);
	}
}

static void copy_of_a_grown_disk_is_found_where_it_was(void **state)
{
	static struct gpt written;
	static struct gpt read;
	struct gpt_health health;
	int fd = make_disk(&written);

	(void)state;
	assert_int_equal(ftruncate(fd, 2 * SECTORS * 512), 0);
	spoil(fd, 2);
	assert_int_equal(gpt_load(fd, 512, 2 * SECTORS, &read, &health), 0);
	assert_true(!health.primary && health.backup);
	assert_int_equal(read.backup_lba, BACKUP);
	assert_int_equal(gpt_fit_disk(&read), 0);
	assert_int_equal(read.backup_lba, 2 * SECTORS - 1);
	assert_int_equal(read.last_usable, 2 * SECTORS - 34);
	close(fd);
}

static void shrunk_disk_has_no_table(void **state)
{
	static struct gpt gpt;
	struct gpt_health health;
	int fd = make_disk(&gpt);

	(void)state;
	assert_int_equal(gpt_load(fd, 512, SECTORS / 2, &gpt, &health), -ENOENT);
	assert_int_equal(gpt_load(fd, 512, 3, &gpt, &health), -EINVAL);
	assert_int_equal(gpt_load(fd, 513, SECTORS, &gpt, &health), -EINVAL);
	assert_int_equal(gpt_load(fd, 512, UINT64_MAX, &gpt, &health), -EINVAL);
	close(fd);
}

static void good_header(uint8_t sector[512])
{
	static struct gpt gpt;
	static struct gpt_update update;

	gpt_init(&gpt, 512, SECTORS, guid);
	gpt_update_primary(&gpt, &update);
	memcpy(sector, update.primary, 512);
}

static void sign(uint8_t *header)
{
	memset(header + 16, 0, 4);
	put_le32(header + 16, crc32(header, 92));
}

static int parse(const uint8_t *header)
{
	struct gpt_header h;

	return gpt_parse_header(header, 512, 1, SECTORS, &h);
}

static void every_changed_bit_of_a_header_is_noticed(void **state)
{
	uint8_t header[512];

	(void)state;
	good_header(header);
	assert_int_equal(parse(header), 0);
	for (size_t bit = 0; bit < 92 * 8; bit++) {
		header[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(parse(header), -EINVAL);
		header[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void signed_nonsense_is_refused(void **state)
{
	static const struct {
		size_t offset;
		uint64_t value;
		int bytes;
		int expected;
	} cases[] = {
		{24, 2, 8, -EINVAL},	       /* stands elsewhere */
		{40, 5000, 8, -EINVAL},	       /* first usable behind last */
		{48, SECTORS - 1, 8, -EINVAL}, /* usable up to the backup header */
		{48, UINT64_MAX, 8, -EINVAL},
		{72, 1, 8, -EINVAL},	       /* entries over the header */
		{72, 34, 8, -EINVAL},	       /* entries among the partitions */
		{72, SECTORS - 2, 8, -EINVAL}, /* entries beyond the disk */
		{72, UINT64_MAX, 8, -EINVAL},
		{80, 0, 4, -EINVAL},
		{80, 129, 4, -EINVAL}, /* entries reach into the usable sectors */
		{80, UINT32_MAX, 4, -E2BIG},
		{84, 64, 4, -EINVAL},
		{84, 129, 4, -EINVAL},
		{84, 0x80000000, 4, -E2BIG},
	};
	uint8_t header[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		good_header(header);
		if (cases[i].bytes == 8)
			put_le64(header + cases[i].offset, cases[i].value);
		else
			put_le32(header + cases[i].offset, (uint32_t)cases[i].value);
		sign(header);
		assert_int_equal(parse(header), cases[i].expected);
	}
}

static void header_is_never_read_beyond_its_end(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t header[512];
	struct gpt_header h;

	(void)state;
	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
	good_header(header);
	for (size_t len = 0; len <= sizeof(header); len++) {
		uint8_t *at = pages + page - len;

		memcpy(at, header, len);
		assert_int_equal(gpt_parse_header(at, len, 1, SECTORS, &h),
			len == sizeof(header) ? 0 : -EINVAL);
	}
	/* a header size that is larger than the sector */
	put_le32(header + 12, 513);
	memcpy(pages + page - 512, header, 512);
	assert_int_equal(gpt_parse_header(pages + page - 512, 512, 1, SECTORS, &h), -EINVAL);
	munmap(pages, 2 * page);
}

static void partitions_that_overlap_or_leave_the_disk_are_not_sane(void **state)
{
	static struct gpt gpt;
	static const struct {
		uint64_t first, last;
		bool sane;
	} cases[] = {
		{128, 200, true},
		{34, 63, true},
		{127, 200, false},
		{34, 64, false},
		{70, 80, false},
		{34, 200, false},
		{200, 199, false},
		{33, 50, false},
		{4000, SECTORS - 33, false},
		{0, UINT64_MAX, false},
	};
	struct gpt_part part = {.type = "b-type"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		close(make_disk(&gpt));
		part.first = cases[i].first;
		part.last = cases[i].last;
		gpt_set_part(&gpt, 5, &part);
		assert_int_equal(gpt_is_sane(&gpt), cases[i].sane);
	}
}

static void protective_mbr_follows_the_disk_and_keeps_boot_code(void **state)
{
	static struct gpt gpt;
	static struct gpt_update update;
	uint8_t mbr[512] = "boot code";

	(void)state;
	close(make_disk(&gpt));
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
	mbr[446 + 4] = 0xee;
	put_le32(mbr + 446 + 8, 1);
	put_le32(mbr + 446 + 12, 1000);
	update.count = 0;
	gpt_update_mbr(&gpt, mbr, &update);
	assert_int_equal(update.count, 1);
	assert_string_equal((const char *)update.mbr, "boot code");
	assert_int_equal(get_le32(update.mbr + 446 + 12), SECTORS - 1);
	/* as it should be */
	update.count = 0;
	gpt_update_mbr(&gpt, memcpy(mbr, update.mbr, sizeof(mbr)), &update);
	assert_int_equal(update.count, 0);
	/* a hybrid one */
	mbr[446 + 12] = 7;
	mbr[446 + 16 + 4] = 0x0c;
	gpt_update_mbr(&gpt, mbr, &update);
	assert_int_equal(update.count, 0);
}

static void checksum_is_the_one_of_the_specification(void **state)
{
	(void)state;
	assert_int_equal(crc32("123456789", 9), 0xcbf43926);
	assert_int_equal(crc32("", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_what_is_read),
		cmocka_unit_test(either_copy_is_enough),
		cmocka_unit_test(copy_of_a_grown_disk_is_found_where_it_was),
		cmocka_unit_test(shrunk_disk_has_no_table),
		cmocka_unit_test(every_changed_bit_of_a_header_is_noticed),
		cmocka_unit_test(signed_nonsense_is_refused),
		cmocka_unit_test(header_is_never_read_beyond_its_end),
		cmocka_unit_test(partitions_that_overlap_or_leave_the_disk_are_not_sane),
		cmocka_unit_test(protective_mbr_follows_the_disk_and_keeps_boot_code),
		cmocka_unit_test(checksum_is_the_one_of_the_specification),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
