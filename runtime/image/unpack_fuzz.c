/*
 * Archives that are unpacked: the first byte tells as what. 'l': a layer of an overlay; 'p', 'k',
 * 'o': into a directory of a root that is in use (PUT /containers/{id}/archive), where links lead
 * out of it; 'k' keeps files files and directories directories, 'o' gives all to one owner.
 * Whatever comes, nothing beside the root is made, changed or linked to.
 */
#include "lib/base/fd.h"
#include "lib/util/rmtree.h"
#include "runtime/image/layer.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char base[] = "/tmp/unpack-fuzz.XXXXXX";
static int basefd = -1;
static int rootfd = -1;
static struct stat kept; /* of the file outside, from the start */

static void remove_all(void)
{
	(void)rmtree_contents(basefd);
	(void)rmdir(base);
}

static void set_up(void)
{
	int fd;

	(void)umask(0);
	if (!mkdtemp(base))
		abort();
	basefd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)atexit(remove_all);
	if (mkdirat(basefd, "root", 0755) < 0 || mkdirat(basefd, "outside", 0755) < 0)
		abort();
	fd = openat(basefd, "outside/kept", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, "x", 1) != 1 || fstat(fd, &kept) < 0)
		abort();
	close(fd);
	rootfd = openat(basefd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* What a container may have put into its root to have the engine write elsewhere. */
static void lay_traps(void)
{
	char outside[64];

	(void)snprintf(outside, sizeof(outside), "%s/outside", base);
	if (mkdirat(rootfd, "into", 0755) < 0 || mkdirat(rootfd, "into/d", 0755) < 0 ||
		symlinkat("../../outside", rootfd, "into/up") < 0 ||
		symlinkat(outside, rootfd, "into/away") < 0 ||
		symlinkat("../../outside/kept", rootfd, "into/file") < 0)
		abort();
}

static void count(int fd, unsigned want)
{
	DIR *d = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	unsigned n = 0;

	if (!d)
		abort();
	while (readdir(d))
		n++;
	closedir(d);
	/* . and .. are two of them. */
	if (n != want + 2)
		abort();
}

static void check_outside(void)
{
	AUTO_CLOSE int fd = openat(basefd, "outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstatat(fd, "kept", &st, AT_SYMLINK_NOFOLLOW) < 0)
		abort();
	if (st.st_ino != kept.st_ino || st.st_size != 1 || st.st_nlink != 1 ||
		st.st_mode != kept.st_mode || st.st_uid != kept.st_uid ||
		st.st_mtim.tv_sec != kept.st_mtim.tv_sec)
		abort();
	count(fd, 1);
	count(basefd, 2);
}

struct input {
	const uint8_t *at;
	size_t left;
};

/* A few bytes at a time, so that what is cut across two reads is met too. */
static ssize_t next(void *arg, const void **ret_buf, struct err *e)
{
	struct input *in = arg;
	size_t n = in->left < 700 ? in->left : 700;

	(void)e;
	*ret_buf = in->at;
	in->at += n;
	in->left -= n;
	return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct layer_policy policy = {.bytes_left = 1u << 20, .entries_left = 200};
	struct input input = {data + 1, size - 1};
	struct tar_input in = {.next = next, .arg = &input};
	struct err e = {0};
	struct tree tree;

	if (size == 0 || size > 65536 || !strchr("lpko", data[0]))
		return 0;
	if (rootfd < 0)
		set_up();
	tree_init(&tree, rootfd);
	if (data[0] == 'l') {
		tree.overlay = 1;
	} else {
		lay_traps();
		tree.in_use = 1;
		in.packed = 1;
		policy.into = "into";
		policy.keep_kind = data[0] == 'k';
		policy.owned = data[0] == 'o';
		policy.uid = policy.gid = 1234;
	}
	if (layer_unpack_input(&tree, &in, &policy, &e) == 0)
		(void)tree_finish(&tree);
	else if (!e.code || !e.msg[0])
		abort();
	tree_free(&tree);
	check_outside();
	if (rmtree_contents(rootfd) < 0)
		abort();
	return 0;
}
