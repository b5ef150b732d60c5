#include "init/watchdog.h"

#include "init/cmdline.h"
#include "init/limits.h"
#include "init/options.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <string.h>
#include <sys/ioctl.h>

static int fd = -1;
static uint64_t period_ms;
static uint64_t next_ms = UINT64_MAX;

void watchdog_open(void)
{
	uint64_t wanted_ms = cmdline_ms(options.cmdline, "sampan.watchdog", WATCHDOG_MS);
	int seconds = (int)(wanted_ms / 1000);

	if (options.subreaper || fd >= 0 || seconds <= 0)
		return;
	fd = open("/dev/watchdog", O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		if (errno != ENOENT)
			log_warn("watchdog: open /dev/watchdog: %s", strerror(errno));
		return;
	}
	/* One that cannot be set keeps its own time, which has to be known. */
	if (ioctl(fd, WDIOC_SETTIMEOUT, &seconds) < 0 && ioctl(fd, WDIOC_GETTIMEOUT, &seconds) < 0)
		seconds = 10;
	if (seconds < 1)
		seconds = 1;
	period_ms = (uint64_t)seconds * 1000 / 3;
	next_ms = time_now_ms();
	log_info("watchdog: resets after %d s", seconds);
}

uint64_t watchdog_deadline(void)
{
	return next_ms;
}

void watchdog_tick(uint64_t now_ms)
{
	if (fd < 0 || now_ms < next_ms)
		return;
	(void)ioctl(fd, WDIOC_KEEPALIVE, 0);
	next_ms = now_ms + period_ms;
}

void watchdog_disarm(void)
{
	if (fd < 0)
		return;
	/* the magic close of the kernel's watchdog-api.rst: closing without it leaves it armed */
	(void)!write(fd, "V", 1);
	fd_close(&fd);
	next_ms = UINT64_MAX;
}
