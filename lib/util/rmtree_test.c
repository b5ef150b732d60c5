#include "lib/util/rmtree.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

static char top[] = "/tmp/rmtree_test.XXXXXX";
static int topfd = -1;

static int make_top(void **state)
{
	(void)state;
	if (!mkdtemp(top))
		return -1;
	topfd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return topfd < 0 ? -1 : 0;
}

static int drop_top(void **state)
{
	(void)state;
	fd_close(&topfd);
	return rmdir(top); /* each test must have left it empty */
}

static void touch(int dirfd, const char *name)
{
	AUTO_CLOSE int fd = openat(dirfd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
}

static void test_removes_a_tree_with_files_links_and_directories(void **state)
{
	(void)state;
	assert_int_equal(mkdirat(topfd, "a", 0700), 0);
	assert_int_equal(mkdirat(topfd, "a/b", 0700), 0);
	assert_int_equal(mkdirat(topfd, "a/b/c", 0700), 0);
	touch(topfd, "a/f");
	touch(topfd, "a/b/f");
	touch(topfd, "a/b/c/f");
	assert_int_equal(symlinkat("/", topfd, "a/b/root"), 0);
	assert_int_equal(rmtree_at(topfd, "a"), 0);
	assert_int_equal(faccessat(topfd, "a", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static void test_a_symlink_is_removed_and_not_followed(void **state)
{
	(void)state;
	assert_int_equal(mkdirat(topfd, "kept", 0700), 0);
	touch(topfd, "kept/f");
	assert_int_equal(symlinkat("kept", topfd, "link"), 0);
	assert_int_equal(rmtree_at(topfd, "link"), 0);
	assert_int_equal(faccessat(topfd, "kept/f", F_OK, 0), 0);
	assert_int_equal(rmtree_at(topfd, "kept"), 0);
}

static void test_a_missing_name_is_no_error(void **state)
{
	(void)state;
	assert_int_equal(rmtree_at(topfd, "missing"), 0);
}

/* 3000 levels is beyond PATH_MAX with these names, and far beyond 20 descriptors. */
static void test_depth_is_not_limited_by_descriptors_or_path_max(void **state)
{
	struct rlimit old, few = {.rlim_cur = 20, .rlim_max = 20};
	int fd = dup(topfd);

	(void)state;
	for (int i = 0; i < 3000; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "deep", 0700), 0);
		touch(fd, "file");
		next = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
	getrlimit(RLIMIT_NOFILE, &old);
	few.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	assert_int_equal(rmtree_contents(topfd), 0);
	setrlimit(RLIMIT_NOFILE, &old);
}

static void test_names_that_look_like_ours_are_removed_too(void **state)
{
	(void)state;
	assert_int_equal(mkdirat(topfd, "a", 0700), 0);
	assert_int_equal(mkdirat(topfd, "a/.rmtree-0", 0700), 0);
	touch(topfd, "a/.rmtree-0/f");
	touch(topfd, "a/.rmtree-1");
	assert_int_equal(mkdirat(topfd, "a/b", 0700), 0);
	assert_int_equal(mkdirat(topfd, "a/b/c", 0700), 0);
	touch(topfd, "a/b/c/f");
	assert_int_equal(rmtree_at(topfd, "a"), 0);
}

static int keeps(void *arg, const char *name)
{
	return strcmp(name, "stop") == 0 ? -EIO : strcmp(name, arg) == 0;
}

static void test_what_is_wanted_stays(void **state)
{
	char wanted[] = "wanted";

	(void)state;
	assert_int_equal(mkdirat(topfd, "wanted", 0700), 0);
	assert_int_equal(mkdirat(topfd, "left", 0700), 0);
	touch(topfd, "wanted/f");
	touch(topfd, "left/f");
	touch(topfd, ".part");
	assert_int_equal(rmtree_contents_but(topfd, keeps, wanted), 0);
	assert_int_equal(faccessat(topfd, "wanted/f", F_OK, 0), 0);
	assert_int_equal(faccessat(topfd, "left", F_OK, 0), -1);
	assert_int_equal(faccessat(topfd, ".part", F_OK, 0), -1);
	touch(topfd, "stop");
	assert_int_equal(rmtree_contents_but(topfd, keeps, wanted), -EIO);
	assert_int_equal(rmtree_contents(topfd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_removes_a_tree_with_files_links_and_directories),
		cmocka_unit_test(test_a_symlink_is_removed_and_not_followed),
		cmocka_unit_test(test_a_missing_name_is_no_error),
		cmocka_unit_test(test_depth_is_not_limited_by_descriptors_or_path_max),
		cmocka_unit_test(test_names_that_look_like_ours_are_removed_too),
		cmocka_unit_test(test_what_is_wanted_stays),
	};

	return cmocka_run_group_tests(tests, make_top, drop_top);
}
