#include "init/storage/tool.h"

#include "init/storage/plan.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* exit status of a child that could not run the program, as a shell has it */
#define STATUS_NOT_RUN 127

/* e2fsck(8), EXIT CODE: a sum of these */
enum { FSCK_FIXED = 1, FSCK_REBOOT = 2 };

int tool_run(const char *const argv[], struct err *e)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return err_set(e, errno, "fork: %s", strerror(errno));
	if (pid == 0) {
		/* execvp takes what it does not change as char *const * */
		union {
			const char *const *in;
			char *const *out;
		} args = {.in = argv};

		execvp(argv[0], args.out);
		_exit(STATUS_NOT_RUN);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "wait for %s: %s", argv[0], strerror(errno));
	if (!WIFEXITED(status))
		return err_set(
			e, ECANCELED, "%s was ended by signal %d", argv[0], WTERMSIG(status));
	if (WEXITSTATUS(status) == STATUS_NOT_RUN)
		return err_set(e, ENOENT, "%s cannot be run", argv[0]);
	return WEXITSTATUS(status);
}

int tool_make_ext4(const char *device, struct err *e)
{
	/* 4 KiB blocks whatever the first size is: a disk may grow a thousand times. Nothing is
	 * discarded: that takes minutes on large disks, and fstrim does it later. */
	const char *const argv[] = {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1",
		"-L", DATA_NAME, "-e", "remount-ro", "-E",
		"nodiscard,lazy_itable_init=1,lazy_journal_init=1", device, NULL};
	int r = tool_run(argv, e);

	if (r < 0)
		return r;
	if (r > 0)
		return err_set(e, EIO, "mke2fs %s: exit status %d", device, r);

	AUTO_CLOSE int fd = open(device, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_set(e, errno, "sync %s: %s", device, strerror(errno));
	return 0;
}

int tool_check_ext4(const char *device, struct err *e)
{
	const char *const argv[] = {"e2fsck", "-p", device, NULL};
	int r = tool_run(argv, e);

	/* It asks for a reboot when the file system was in use. Ours is not mounted: what was fixed
	 * must hold in a second look. */
	if (r > 0 && (r & FSCK_REBOOT) && (r & ~(FSCK_FIXED | FSCK_REBOOT)) == 0)
		r = tool_run(argv, e);
	if (r < 0)
		return r;
	if (r & ~FSCK_FIXED)
		return err_set(e, EUCLEAN, "e2fsck -p %s: exit status %d", device, r);
	return 0;
}
