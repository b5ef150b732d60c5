#include "runtime/store/volume_fill.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "lib/util/copytree.h"
#include "lib/util/rmtree.h"
#include "lib/util/xattrs.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define PART_PREFIX ".part-"
#define READY ".ready"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static DIR *open_list(int dir)
{
	int fd = openat(dir, ".", DIR_FLAGS);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		fd_close(&fd);
	return d;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* 1 or 0, or -errno. */
static int is_empty(int dir)
{
	DIR *d = open_list(dir);
	struct dirent *entry;
	int r = 1;

	if (!d)
		return -errno;
	while (r && (entry = readdir(d)))
		r = is_dot(entry->d_name);
	closedir(d);
	return r;
}

/* One entry of @from into @to; what is there already came first and stays. */
static int move_entry(int from, int to, const char *name)
{
	if (sys_renameat2(from, name, to, name, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EEXIST ? rmtree_at(from, name) : -errno;
}

static int move_all(int from, int to)
{
	DIR *d = open_list(from);
	struct dirent *entry;
	int r = 0;
	int moved;

	if (!d)
		return -errno;
	/* A listing that is changed meanwhile may leave some out. */
	do {
		moved = 0;
		rewinddir(d);
		while (r == 0 && (entry = readdir(d))) {
			if (is_dot(entry->d_name))
				continue;
			r = move_entry(from, to, entry->d_name);
			moved++;
		}
	} while (r == 0 && moved);
	closedir(d);
	return r;
}

/* The top itself: owner before attributes and mode, times last, as copytree does. */
static int take_after(int from, int to)
{
	struct xattrs xattrs = {0};
	struct stat st;
	int r;

	if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0)
		return -errno;
	r = xattrs_copy(&xattrs, from, to);
	xattrs_end(&xattrs);
	if (r == 0 && fchmod(to, st.st_mode & 07777) < 0)
		r = -errno;
	return r;
}

/* The times go last, and moving changes those of both: they are read before. */
static int publish(int own)
{
	AUTO_CLOSE int ready = openat(own, READY, DIR_FLAGS);
	AUTO_CLOSE int data = openat(own, "_data", DIR_FLAGS);
	struct stat st;
	int r;

	if (ready < 0 || data < 0 || fstat(ready, &st) < 0)
		return -errno;
	r = take_after(ready, data);
	if (r == 0)
		r = move_all(ready, data);
	if (r == 0) {
		const struct timespec times[2] = {st.st_atim, st.st_mtim};

		if (futimens(data, times) < 0 || fsync(data) < 0 ||
			unlinkat(own, READY, AT_REMOVEDIR) < 0)
			r = -errno;
	}
	return r;
}

/* Returns 0, also for a volume that is not empty any more. */
static int publish_part(int own, const char *part)
{
	AUTO_CLOSE int data = openat(own, "_data", DIR_FLAGS);
	int r = data < 0 ? -errno : is_empty(data);

	if (r <= 0)
		return r;
	if (renameat(own, part, own, READY) < 0 || fsync(own) < 0)
		return -errno;
	return publish(own);
}

/* A working directory of the thread's own; what failed of the copy in @e. */
static int copy(int from, int to, const char *name, struct err *e)
{
	char at[PATH_BYTES_MAX] = "";
	struct stat st;
	int r = unshare(CLONE_FS) < 0 || fstat(from, &st) < 0 ? -errno : 0;

	if (r == 0)
		r = copytree(from, to, &st, at);
	return r < 0 ? err_set(e, -r, "fill volume %s: %s: %s", name, at[0] ? at : "/",
			       strerror(-r))
		     : 0;
}

int volume_fill(int own, const char *name, int from, pthread_mutex_t *lock, struct err *e)
{
	AUTO_CLOSE int data = openat(own, "_data", DIR_FLAGS);
	AUTO_CLOSE int fd = -1;
	char part[32];
	uint64_t number;
	int r = data < 0 ? -errno : is_empty(data);

	if (r == 0)
		return 0;
	if (r < 0 || getrandom(&number, sizeof(number), 0) != sizeof(number))
		return err_set(e, r < 0 ? -r : EIO, "fill volume %s: %s", name,
			strerror(r < 0 ? -r : EIO));
	(void)snprintf(part, sizeof(part), PART_PREFIX "%016llx", (unsigned long long)number);
	if (mkdirat(own, part, 0700) < 0 || (fd = openat(own, part, DIR_FLAGS)) < 0)
		return err_set(e, errno, "fill volume %s: %s", name, strerror(errno));
	r = copy(from, fd, name, e);
	/* The name only after the content: power may go at any moment. */
	if (r == 0 && syncfs(fd) < 0)
		r = err_set(e, errno, "fill volume %s: %s", name, strerror(errno));
	if (r == 0) {
		pthread_mutex_lock(lock);
		r = publish_part(own, part);
		pthread_mutex_unlock(lock);
		if (r < 0)
			err_set(e, -r, "fill volume %s: %s", name, strerror(-r));
	}
	(void)rmtree_at(own, part);
	return r;
}

int volume_fill_straight(int own, const char *name, int from, struct err *e)
{
	AUTO_CLOSE int data = openat(own, "_data", DIR_FLAGS);
	int r = data < 0 ? -errno : is_empty(data);

	if (r < 0)
		return err_set(e, -r, "fill volume %s: %s", name, strerror(-r));
	return r ? copy(from, data, name, e) : 0;
}

int volume_fill_resume(int own, const char *name, struct err *e)
{
	DIR *d = open_list(own);
	struct dirent *entry;
	struct stat st;
	int r = d ? 0 : -errno;

	while (r == 0 && (entry = readdir(d)))
		if (strncmp(entry->d_name, PART_PREFIX, strlen(PART_PREFIX)) == 0)
			r = rmtree_at(own, entry->d_name);
	if (d)
		closedir(d);
	if (r == 0 && fstatat(own, READY, &st, AT_SYMLINK_NOFOLLOW) == 0)
		r = publish(own);
	return r < 0 ? err_set(e, -r, "volume %s: %s", name, strerror(-r)) : 0;
}
