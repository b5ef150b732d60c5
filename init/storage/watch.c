/* The part of disk.h that waits for disks. */
#include "init/storage/disk.h"

#include "lib/base/fd.h"
#include "lib/base/time.h"

#include <dirent.h>
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* the kernel's multicast group of uevents */
#define UEVENTS_OF_KERNEL 1

static bool has_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool found = false;

	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.';
	closedir(dir);
	return found;
}

bool disk_may_come_late(void)
{
	static const char *const buses[] = {
		"/sys/class/nvme", "/sys/class/mmc_host", "/sys/bus/usb/devices"};

	for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]); i++)
		if (has_entries(buses[i]))
			return true;
	return false;
}

int disk_watch(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = UEVENTS_OF_KERNEL};
	AUTO_CLOSE int fd = socket(
		AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* One message: "add@/devices/…", then "KEY=value" strings, each with its NUL. */
static bool is_about_block(const char *message, size_t len)
{
	static const char wanted[] = "SUBSYSTEM=block";

	for (size_t at = 0; at < len; at += strnlen(message + at, len - at) + 1)
		if (len - at >= sizeof(wanted) && memcmp(message + at, wanted, sizeof(wanted)) == 0)
			return true;
	return false;
}

bool disk_wait(int watch_fd, uint64_t timeout_ms)
{
	uint64_t deadline = time_now_ms() + timeout_ms;
	char message[8192];

	for (;;) {
		uint64_t now = time_now_ms();
		struct pollfd poll_fd = {.fd = watch_fd, .events = POLLIN};
		ssize_t n;

		if (now >= deadline)
			return false;
		if (poll(&poll_fd, 1, (int)(deadline - now)) <= 0)
			continue;
		n = recv(watch_fd, message, sizeof(message), 0);
		/* Lost messages could have been about disks. */
		if (n < 0 && errno == ENOBUFS)
			return true;
		if (n > 0 && is_about_block(message, (size_t)n))
			return true;
	}
}
