/* What the cache of filters holds at most. */
#include "runtime/oci/seccomp_cache.h"

#include "lib/base/fd.h"
#include "runtime/oci/limits.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

static char path[64];
static int cache;
static int work;

static struct sock_filter insn = {.code = BPF_RET | BPF_K, .k = 0x7fff0000};
static struct seccomp_filter filter = {.insns = &insn, .n = 1};

static int set_up(void **state)
{
	(void)state;
	strcpy(path, "/tmp/seccomp_cache_test.XXXXXX");
	if (!mkdtemp(path) || chdir(path) < 0 || mkdir("cache", 0700) < 0 ||
		mkdir("work", 0700) < 0)
		return -1;
	cache = open("cache", O_PATH | O_DIRECTORY | O_CLOEXEC);
	work = open("work", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return cache < 0 || work < 0 ? -1 : 0;
}

static int clean(void **state)
{
	char command[96];

	(void)state;
	close(cache);
	close(work);
	snprintf(command, sizeof(command), "rm -r %s", path);
	return chdir("/") < 0 || system(command) != 0 ? -1 : 0;
}

/* One with @len bytes of text, as old as its number says. */
static int put(unsigned number, size_t len)
{
	struct timespec times[2] = {{.tv_sec = number}, {.tv_sec = number}};
	struct seccomp_cache_key k = {.text = malloc(len), .len = len};
	int r;

	memset(k.text, 'x', len);
	snprintf(k.name, sizeof(k.name), "%08u", number);
	r = seccomp_cache_write(cache, work, &k, &filter);
	if (r == 0)
		assert_int_equal(utimensat(cache, k.name, times, 0), 0);
	free(k.text);
	return r;
}

static bool is_there(unsigned number)
{
	char name[32];

	snprintf(name, sizeof(name), "%08u", number);
	return faccessat(cache, name, F_OK, 0) == 0;
}

static unsigned count(unsigned numbers)
{
	unsigned n = 0;

	for (unsigned i = 1; i <= numbers; i++)
		n += is_there(i);
	return n;
}

static void the_oldest_go_when_there_are_too_many(void **state)
{
	const unsigned max = OCI_SECCOMP_CACHE_FILES_MAX;

	(void)state;
	for (unsigned i = 1; i <= max + 3; i++)
		assert_int_equal(put(i, 100), 0);
	assert_int_equal(count(max + 3), max);
	assert_true(!is_there(1) && !is_there(3) && is_there(4) && is_there(max + 3));
}

static void the_oldest_go_when_they_are_too_large(void **state)
{
	const size_t large = OCI_SECCOMP_CACHE_BYTES_MAX / 4;

	(void)state;
	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(put(i, large), 0);
	/* The programs count too: four do not fit. */
	assert_int_equal(count(5), 3);
	assert_true(is_there(3) && is_there(5));
	assert_int_equal(put(6, large + 1), -EFBIG);
	assert_int_equal(count(6), 3);
	/* The one that was just put in stays, however old the clock has it. */
	for (unsigned i = 10; i < 10 + OCI_SECCOMP_CACHE_FILES_MAX; i++)
		assert_int_equal(put(i, 10), 0);
	assert_int_equal(put(0, 10), 0);
	assert_true(is_there(0));
}

static void many_at_once_leave_a_cache_that_is_whole(void **state)
{
	enum { WRITERS = 8, EACH = 40 };
	unsigned n = 0;
	int status;

	(void)state;
	for (unsigned w = 0; w < WRITERS; w++) {
		if (fork() == 0) {
			for (unsigned i = 0; i < EACH; i++) {
				struct seccomp_cache_key k = {.text = (char[]){"text"}, .len = 5};
				char dir[16];

				snprintf(k.name, sizeof(k.name), "%08u", (w * 7 + i * 11) % 200);
				snprintf(dir, sizeof(dir), "work/%u", w);
				(void)mkdir(dir, 0700);
				work = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
				if (seccomp_cache_write(cache, work, &k, &filter) < 0)
					_exit(1);
				close(work);
			}
			_exit(0);
		}
	}
	for (unsigned w = 0; w < WRITERS; w++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (unsigned i = 0; i < 200; i++) {
		struct seccomp_cache_key k = {.text = (char[]){"text"}, .len = 5};
		struct seccomp_filter seen = {0};

		snprintf(k.name, sizeof(k.name), "%08u", i);
		if (!is_there(i))
			continue;
		n++;
		assert_int_equal(seccomp_cache_read(cache, &k, &seen), 0);
		assert_true(seen.n == 1 && seen.insns[0].k == insn.k);
		seccomp_filter_free(&seen);
	}
	assert_true(n > 0 && n <= OCI_SECCOMP_CACHE_FILES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_oldest_go_when_there_are_too_many, set_up, clean),
		cmocka_unit_test_setup_teardown(
			the_oldest_go_when_they_are_too_large, set_up, clean),
		cmocka_unit_test_setup_teardown(
			many_at_once_leave_a_cache_that_is_whole, set_up, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
