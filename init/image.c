#include "init/image.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#define FLAGS (MS_RDONLY | MS_NODEV)

/* Through a loop device that goes away with the mount. */
static int mount_loop(const char *path, const char *target, const char **ret_step)
{
	struct loop_config config = {.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR};
	AUTO_CLOSE int image = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	char device[32];

	*ret_step = "open the image";
	if (image < 0)
		return errno;
	*ret_step = "open /dev/loop-control";
	if (control < 0)
		return errno;
	config.fd = (uint32_t)image;
	*ret_step = "set up a loop device";
	for (;;) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		AUTO_CLOSE int loop = -1;

		if (number < 0)
			return errno;
		snprintf(device, sizeof(device), "/dev/loop%d", number);
		loop = open(device, O_RDONLY | O_CLOEXEC);
		if (loop < 0)
			return errno;
		if (ioctl(loop, LOOP_CONFIGURE, &config) < 0) {
			/* somebody else was faster with this one */
			if (errno == EBUSY)
				continue;
			return errno;
		}
		*ret_step = "mount the image";
		/* while loop is open: closing the last descriptor would clear it */
		return mount(device, target, "erofs", FLAGS, NULL) < 0 ? errno : 0;
	}
}

int image_mount(const char *path, const char *target, const char **ret_step)
{
	*ret_step = "mount the image";
	if (mount(path, target, "erofs", FLAGS, NULL) == 0)
		return 0;
	/* Linux mounts a file on ramfs or a disk by itself, but needs a block device (ENOTBLK)
	 * before 6.12, and (EINVAL) for a file on tmpfs: an initramfs without rootfstype=ramfs. */
	if (errno != EINVAL && errno != ENOTBLK)
		return errno;
	return mount_loop(path, target, ret_step);
}
