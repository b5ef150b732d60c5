#include "lib/util/path.h"

#include "lib/base/fd.h"
#include "lib/util/rmtree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* A root inside a directory of its own: "outside" lies beside the root and must stay out of reach.
 */
static char top[] = "/tmp/path_test.XXXXXX";
static int topfd = -1;
static int rootfd = -1;

static int make_root(void **state)
{
	(void)state;
	if (!mkdtemp(top))
		return -1;
	topfd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (mkdirat(topfd, "root", 0755) || mkdirat(topfd, "outside", 0755))
		return -1;
	rootfd = openat(topfd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return rootfd < 0 ? -1 : 0;
}

static int drop_root(void **state)
{
	(void)state;
	if (rmtree_at(topfd, "root") < 0 || rmtree_at(topfd, "outside") < 0)
		return -1;
	fd_close(&rootfd);
	fd_close(&topfd);
	return rmdir(top);
}

static int exists(const char *path)
{
	return faccessat(topfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void directories_are_made_component_by_component(void **state)
{
	AUTO_CLOSE int fd = path_make_dirs_in_root(rootfd, "/a//b/c/", 0755);
	struct stat made;
	struct stat seen;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &made), 0);
	assert_int_equal(fstatat(rootfd, "a/b/c", &seen, 0), 0);
	assert_true(made.st_ino == seen.st_ino);
}

static void links_and_dotdot_stay_inside(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(symlinkat("../../outside", rootfd, "up"), 0);
	assert_int_equal(symlinkat("/outside", rootfd, "abs"), 0);
	/* Both point to "outside" as seen from the root, which does not exist yet. */
	assert_int_equal(path_open_in_root(rootfd, "up", O_PATH, 0), -ENOENT);
	assert_int_equal(path_open_in_root(rootfd, "../outside", O_PATH, 0), -ENOENT);
	fd = path_make_dirs_in_root(rootfd, "../../outside/d", 0755);
	assert_true(fd >= 0);
	fd_close(&fd);
	assert_true(exists("root/outside/d"));
	assert_false(exists("outside/d"));
	fd = path_open_in_root(rootfd, "abs/d", O_PATH | O_DIRECTORY, 0);
	assert_true(fd >= 0);
	fd_close(&fd);
	assert_int_equal(unlinkat(rootfd, "up", 0), 0);
}

static void symlink_to_nowhere_is_refused(void **state)
{
	(void)state;
	assert_int_equal(symlinkat("/not/there", rootfd, "dangling"), 0);
	assert_int_equal(path_make_dirs_in_root(rootfd, "dangling/x", 0755), -ELOOP);
	assert_false(exists("root/not"));
}

static void what_a_symlink_leads_to_is_made_inside(void **state)
{
	struct stat made;
	struct stat seen;
	int fd;

	(void)state;
	/* var/run -> ../run/./now, run -> /../../outside, outside is the root's */
	assert_int_equal(mkdirat(rootfd, "var", 0755), 0);
	assert_int_equal(symlinkat("../run/./now", rootfd, "var/run"), 0);
	assert_int_equal(symlinkat("/../../beside/", rootfd, "run"), 0);
	fd = path_make_dirs_through_links(rootfd, "/var//run/x/", 0755);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &made), 0);
	fd_close(&fd);
	assert_int_equal(fstatat(topfd, "root/beside/now/x", &seen, 0), 0);
	assert_true(made.st_ino == seen.st_ino);
	assert_false(exists("beside"));
	/* A file in place of the last link's target, and one whose directories are missing too. */
	assert_int_equal(symlinkat("../run/new/file", rootfd, "var/conf"), 0);
	assert_int_equal(path_make_file_through_links(rootfd, "var/conf", 0600), 0);
	assert_int_equal(fstatat(topfd, "root/beside/new/file", &seen, 0), 0);
	assert_true(S_ISREG(seen.st_mode));
	assert_int_equal(path_make_file_through_links(rootfd, "var/conf", 0600), 0);
	assert_int_equal(path_make_file_through_links(rootfd, "plain/f", 0600), 0);
	assert_true(exists("root/plain/f"));
	assert_int_equal(path_make_file_through_links(rootfd, "plain/f/g", 0600), -ENOTDIR);
	assert_int_equal(path_make_file_through_links(rootfd, "plain/..", 0600), 0);
	assert_int_equal(path_make_file_through_links(rootfd, "none/..", 0600), -EINVAL);
}

static void symlinks_without_end_are_refused(void **state)
{
	char name[8];
	char next[8];
	char text[2048];
	char path[PATH_BYTES_MAX];

	(void)state;
	assert_int_equal(symlinkat("self/x", rootfd, "self"), 0);
	assert_int_equal(path_make_dirs_through_links(rootfd, "self/y", 0755), -ELOOP);
	assert_int_equal(path_make_file_through_links(rootfd, "self", 0600), -ELOOP);
	/* The link's text and the rest of the path together are longer than a path may be. */
	memset(text, '/', sizeof(text));
	memcpy(text + 2000, "gone", 5);
	assert_int_equal(symlinkat(text, rootfd, "l"), 0);
	memset(path, '/', sizeof(path));
	path[0] = 'l';
	memcpy(path + 3000, "x", 2);
	assert_int_equal(path_make_dirs_through_links(rootfd, path, 0755), -ENAMETOOLONG);
	/* One link more than the kernel follows. */
	for (int i = 0; i <= 40; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		snprintf(next, sizeof(next), "c%d", i + 1);
		assert_int_equal(symlinkat(next, rootfd, name), 0);
	}
	assert_int_equal(path_make_dirs_through_links(rootfd, "c0", 0755), -ELOOP);
	assert_int_equal(path_make_file_through_links(rootfd, "c0", 0600), -ELOOP);
}

static void file_on_the_way_is_no_directory(void **state)
{
	int fd = path_open_in_root(rootfd, "/file", O_CREAT | O_WRONLY | O_EXCL, 0600);

	(void)state;
	assert_true(fd >= 0);
	fd_close(&fd);
	assert_int_equal(path_make_dirs_in_root(rootfd, "file/x", 0755), -ENOTDIR);
}

static void magic_links_are_refused(void **state)
{
	AUTO_CLOSE int proc = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(path_open_in_root(proc, "root", O_PATH | O_DIRECTORY, 0), -ELOOP);
	assert_int_equal(path_open_in_root(proc, "cwd/.", O_PATH, 0), -ELOOP);
}

static void what_is_mounted_is_not_in_the_mount(void **state)
{
	AUTO_CLOSE int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int fd = -1;

	(void)state;
	assert_int_equal(path_open_in_mount(host, "proc", O_PATH), -EXDEV);
	assert_int_equal(path_open_in_mount(host, "/proc/self", O_PATH), -EXDEV);
	assert_int_equal(mkdirat(rootfd, "in-mount", 0755), 0);
	assert_int_equal(symlinkat("/../in-mount", rootfd, "in-mount-link"), 0);
	fd = path_open_in_mount(rootfd, "/in-mount-link", O_PATH | O_DIRECTORY);
	assert_true(fd >= 0);
	assert_int_equal(path_open_in_mount(rootfd, "/none", O_PATH), -ENOENT);
}

static void split_names_parent_and_last(void **state)
{
	char parent[64];
	char name[256];

	(void)state;
	assert_int_equal(path_split("a/b//c/", parent, sizeof(parent), name), 0);
	assert_string_equal(parent, "a/b");
	assert_string_equal(name, "c");
	assert_int_equal(path_split("/x", parent, sizeof(parent), name), 0);
	assert_string_equal(parent, "/");
	assert_int_equal(path_split("x", parent, sizeof(parent), name), 0);
	assert_string_equal(parent, ".");
	assert_int_equal(path_split("", parent, sizeof(parent), name), -EINVAL);
	assert_int_equal(path_split("/", parent, sizeof(parent), name), -EINVAL);
	assert_int_equal(path_split("a/..", parent, sizeof(parent), name), -EINVAL);
	assert_int_equal(path_split("a/.", parent, sizeof(parent), name), -EINVAL);
	assert_int_equal(path_split("long/x", parent, 4, name), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directories_are_made_component_by_component),
		cmocka_unit_test(links_and_dotdot_stay_inside),
		cmocka_unit_test(symlink_to_nowhere_is_refused),
		cmocka_unit_test(what_a_symlink_leads_to_is_made_inside),
		cmocka_unit_test(symlinks_without_end_are_refused),
		cmocka_unit_test(file_on_the_way_is_no_directory),
		cmocka_unit_test(magic_links_are_refused),
		cmocka_unit_test(what_is_mounted_is_not_in_the_mount),
		cmocka_unit_test(split_names_parent_and_last),
	};

	return cmocka_run_group_tests(tests, make_root, drop_root);
}
