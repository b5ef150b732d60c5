/*
 * A container may reach the program that made it through /proc/PID/exe (CVE-2019-5736): as its own
 * first program, or from another process while ours is inside. That way leads to the file by the
 * mount it was executed from. If that mount is read-only, no write can follow it, whoever tries;
 * and a mount that belongs to no namespace cannot be made writable again by anyone.
 *
 * So: executed from a read-only mount (the OS puts the runtime on one) there is nothing to do.
 * Otherwise the program executes itself once more, from a detached read-only copy of its own mount
 * or, where that is not allowed, from a sealed file in memory.
 */
#include "runtime/oci/commands.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* Says that the second execution happened: if it still is not safe, a third will not help. */
#define SECOND_ENV "SAMPAN_OCI_SECOND"

extern char **environ;

static bool is_safe(int exe)
{
	struct statvfs fs;
	int seals = fcntl(exe, F_GET_SEALS);

	if (seals >= 0 && (seals & F_SEAL_WRITE))
		return true;
	return fstatvfs(exe, &fs) == 0 && (fs.f_flag & ST_RDONLY);
}

static int copy_mount(void)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	AUTO_CLOSE int fd =
		sys_open_tree(AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int copy_to_memory(int exe)
{
	AUTO_CLOSE int fd = memfd_create("sampan-oci", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;
	off_t done = 0;

	if (fd < 0 || fstat(exe, &st) < 0)
		return -errno;
	while (done < st.st_size) {
		if (sendfile(fd, exe, &done, (size_t)(st.st_size - done)) <= 0)
			return errno ? -errno : -EIO;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int self_protect(char **argv, struct err *e)
{
	AUTO_CLOSE int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int copy = -1;

	if (exe < 0)
		return err_set(e, errno, "open /proc/self/exe: %s", strerror(errno));
	if (is_safe(exe)) {
		unsetenv(SECOND_ENV);
		return 0;
	}
	if (getenv(SECOND_ENV))
		return err_set(e, EPERM,
			"this program's file cannot be protected from the container's writes");
	copy = copy_mount();
	if (copy < 0)
		copy = copy_to_memory(exe);
	if (copy < 0)
		return err_set(e, -copy, "copy this program: %s", strerror(-copy));
	if (setenv(SECOND_ENV, "1", 1) == 0)
		(void)syscall(SYS_execveat, copy, "", argv, environ, AT_EMPTY_PATH);
	return err_set(e, errno, "execute the copy of this program: %s", strerror(errno));
}
